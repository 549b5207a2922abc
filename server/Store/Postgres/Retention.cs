namespace ChatMinimal.Postgres;

/// <summary>
/// Retention deletes what is older than the options say, now and then, whichever server comes by. A key outlives its message, which
/// may be sent again.
/// </summary>
sealed class Retention(ChatOptions options)
{
    public const int KeysKept = 100_000; // a room: sent again even after a long time offline, a message is in the log once

    public static readonly TimeSpan Every = TimeSpan.FromHours(1); // how long a message may stay beyond KeepDays

    public int Keep => options.KeepMessages;

    public TimeSpan? Age => options.KeepDays > 0 ? TimeSpan.FromDays(options.KeepDays) : null;

    /// <summary>What is no longer retained may not be deleted yet; it is no longer shown.</summary>
    public LogHead Clip(LogHead head) => Keep == 0 ? head : head with { First = Math.Max(head.First, head.Next - Keep) };
}
