namespace ChatMinimal;

/// <summary>
/// Keep-alive finds out who is gone without a word, and shows a silent browser that the link is alive. Nothing but times go in, and
/// a verdict comes out.
/// </summary>
/// <param name="now">When it begins.</param>
struct KeepAlive(long now)
{
    long _receivedAt = now, _wroteAt = now;
    long _pingedAt; // timestamp; 0: no pong is due

    [Flags]
    public enum Verdict { Fine = 0, Ping = 1, Beat = 2, Dead = 4 }

    /// <summary>To be called about once a second.</summary>
    /// <param name="hasReceived">Bytes came from the peer, or nobody listens to it.</param>
    /// <param name="wrote">A data frame was written to it.</param>
    /// <param name="isInTheWay">Output waits in front of the ping, and the peer is taking it: no pong is due yet.</param>
    /// <param name="at">A timestamp.</param>
    /// <param name="interval">Of silence before a ping or a beat, and again before a silent peer counts as dead.</param>
    /// <param name="clock">Whose timestamps these are.</param>
    public Verdict Look(bool hasReceived, bool wrote, bool isInTheWay, long at, TimeSpan interval, TimeProvider clock)
    {
        if (wrote)
            _wroteAt = at;
        Verdict beat = clock.GetElapsedTime(_wroteAt, at) >= interval ? Verdict.Beat : Verdict.Fine;
        if (hasReceived)
            (_receivedAt, _pingedAt) = (at, 0);
        if (clock.GetElapsedTime(_receivedAt, at) < interval)
            return beat;
        // A ping each time from then on: one that finds the write lock held is not sent, and that is no reason to die.
        if (_pingedAt == 0 || isInTheWay)
            _pingedAt = at;
        return clock.GetElapsedTime(_pingedAt, at) >= interval ? Verdict.Dead : beat | Verdict.Ping;
    }
}
