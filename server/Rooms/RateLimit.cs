namespace ChatMinimal;

/// <summary>
/// A rate limit is what one peer may send, by kind: messages as the options have it, pings and pongs, and to be typing. Above it the
/// peer is read more slowly; nothing is dropped that means anything.
/// </summary>
struct RateLimit(ChatOptions options, TimeProvider clock)
{
    const int ControlFramesPerSecond = 20; // pings and pongs: a browser sends one in many seconds

    static readonly TimeSpan s_typingEvery = TimeSpan.FromSeconds(1);

    TokenBucket _messages = new(options.MessagesPerSecond, options.Burst, clock);
    TokenBucket _controls; // set with the first
    bool _hasControls;
    long? _typedAt, _peerEndedAt;

    /// <summary>A message was received: how long not to read.</summary>
    public TimeSpan TakeMessage() => _messages.Take();

    /// <summary>A ping or a pong was received: how long not to read.</summary>
    public TimeSpan TakeControl()
    {
        if (!_hasControls)
            (_controls, _hasControls) = (new(ControlFramesPerSecond, ControlFramesPerSecond, clock), true);
        return _controls.Take();
    }

    /// <summary>The peer is typing: whether the room is told. It is once a second.</summary>
    public bool TakeTyping()
    {
        if (_typedAt is { } typedAt && clock.GetElapsedTime(typedAt) < s_typingEvery)
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
        _peerEndedAt ??= clock.GetTimestamp();
        return clock.GetElapsedTime(_peerEndedAt.Value) + pause < options.SendTimeout;
    }
}
