using System.Diagnostics;

namespace ChatMinimal;

/// <summary>
/// A step is what one thread has just done with messages of a room, told to whoever watches it. When nobody does it is not even made.
/// </summary>
/// <param name="What">received, committed, appended or sent.</param>
/// <param name="Seq">Of the last message that it is about; 0: it has none yet.</param>
/// <param name="Messages">How many together.</param>
/// <param name="Bytes">Of what was received or appended.</param>
/// <param name="Clients">Whom the pump has come by.</param>
/// <param name="Skipped">Of those: slow clients, whose last write is still on its way.</param>
/// <param name="Took">How long.</param>
readonly record struct ThreadStep(
    string What, long Seq = 0, int Messages = 0, long Bytes = 0, int Clients = 0, int Skipped = 0, TimeSpan Took = default)
{
    /// <summary>When it was done, as a timestamp of <see cref="Stopwatch"/>.</summary>
    public long At { get; } = Stopwatch.GetTimestamp();

    /// <summary>Who did it.</summary>
    public string Thread { get; } = System.Threading.Thread.CurrentThread is { IsThreadPoolThread: false, Name: { } name }
        ? name
        : "a worker of the pool";
}
