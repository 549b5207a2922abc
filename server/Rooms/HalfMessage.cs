namespace ChatMinimal;

/// <summary>
/// A half message is one whose first bytes have come, and whose last have not. It may take its time as long as it makes progress:
/// a fragment a minute would hold what came before it for ever.
/// </summary>
/// <remarks>The receive loop writes it, the pump reads it.</remarks>
struct HalfMessage
{
    const int Slowest = 240; // bytes a second, once the send timeout is over: Kestrel's limit for a body

    long _since; // timestamp of its first byte; 0: there is none
    long _bytes;

    /// <summary>Bytes came.</summary>
    /// <param name="isNew">What is unfinished now began with them.</param>
    /// <param name="isUnfinished">They end amid a message.</param>
    /// <param name="bytes">How many.</param>
    /// <param name="now">A timestamp.</param>
    public void Note(bool isNew, bool isUnfinished, long bytes, long now)
    {
        if (!isUnfinished)
            _since = 0;
        else if (isNew || _since == 0)
            (_since, _bytes) = (now, bytes);
        else
            _bytes += bytes;
    }

    /// <summary>Whether it has had its time, and came too slowly.</summary>
    public bool IsTooSlow(TimeSpan time, long now, TimeProvider clock) =>
        Volatile.Read(ref _since) is not 0 and long since && clock.GetElapsedTime(since, now) is var elapsed
        && elapsed >= time && Volatile.Read(ref _bytes) < Slowest * elapsed.TotalSeconds;
}
