namespace ChatMinimal;

/// <summary>
/// A watch looks at one peer once a second: whether it takes what waits for it, and whether it is there at all. Time is counted by
/// progress. It gives a verdict, and does nothing.
/// </summary>
struct Watch(ChatOptions options, TimeProvider clock)
{
    KeepAlive _keepAlive = new(clock.GetTimestamp());
    Standstill _standstill, _inTheWay;

    /// <summary>Whether the peer has taken nothing of a write that waits for it, for as long as it may.</summary>
    public bool StandsStill(Output output, long now) =>
        _standstill.Look(output.IsWaiting, output.IsWaiting ? output.Taken : 0, now, clock) >= options.SendTimeout;

    /// <summary>What silence asks for.</summary>
    /// <param name="output">What is on its way to the peer.</param>
    /// <param name="hasReceived">Bytes came from it, or nobody listens to it.</param>
    /// <param name="now">A timestamp.</param>
    public KeepAlive.Verdict Look(Output output, bool hasReceived, long now) =>
        _keepAlive.Look(hasReceived, output.TakeWrote(), !hasReceived && IsOutputInTheWay(output, now), now, options.KeepAlive, clock);

    // More is on its way than pings alone, and the peer is taking it.
    bool IsOutputInTheWay(Output output, long now)
    {
        bool isWaiting = output.Unacknowledged > Frame.EmptyPing.Length * options.KeepAlive.TotalSeconds;
        return isWaiting && _inTheWay.Look(isWaiting, output.Taken, now, clock) < options.SendTimeout;
    }
}
