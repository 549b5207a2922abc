namespace ChatMinimal;

/// <summary>
/// A rate limit is what one peer may send, by kind: messages as the options have it, pings and pongs, and to be typing. Above it the
/// peer is read more slowly; nothing is dropped that means anything.
/// </summary>
struct RateLimit(ChatOptions options, TimeProvider clock)
{
    static readonly Rate s_controlFrames = new(20, 20); // pings and pongs: a browser sends one in many seconds
    static readonly TimeSpan s_typingEvery = TimeSpan.FromSeconds(1);

    TokenBucket _messages, _controls;
    long _typedAt, _peerEndedAt; // timestamps; 0: it did not

    /// <summary>A message was received: how long not to read.</summary>
    public TimeSpan TakeMessage() => _messages.Take(new(options.MessagesPerSecond, options.Burst), clock);

    /// <summary>A ping or a pong was received: how long not to read.</summary>
    public TimeSpan TakeControl() => _controls.Take(s_controlFrames, clock);

    /// <summary>The peer is typing: whether the room is told. It is once a second.</summary>
    public bool TakeTyping()
    {
        if (_typedAt != 0 && clock.GetElapsedTime(_typedAt) < s_typingEvery)
            return false;
        _typedAt = clock.GetTimestamp();
        return true;
    }

    /// <summary>
    /// Whether there is time for this pause once the peer has ended its side: what it sent before is submitted for a while, and not for
    /// minutes.
    /// </summary>
    public bool MayPause(TimeSpan pause)
    {
        if (_peerEndedAt == 0)
            _peerEndedAt = clock.GetTimestamp();
        return clock.GetElapsedTime(_peerEndedAt) + pause < options.SendTimeout;
    }
}
