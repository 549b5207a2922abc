namespace ChatMinimal;

/// <summary>
/// A token bucket says how long to pause so that something happens at most so often: <paramref name="perSecond"/> in
/// the long run (0: no limit), <paramref name="burst"/> at once after a rest.
/// </summary>
struct TokenBucket(int perSecond, int burst, TimeProvider clock)
{
    double _tokens = burst;
    long _at = clock.GetTimestamp();

    /// <summary>Takes a token, on credit if there is none; returns the pause until the credit is paid.</summary>
    public TimeSpan Take()
    {
        if (perSecond == 0)
            return TimeSpan.Zero;
        long now = clock.GetTimestamp();
        _tokens = Math.Min(burst, _tokens + clock.GetElapsedTime(_at, now).TotalSeconds * perSecond) - 1;
        _at = now;
        return _tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-_tokens / perSecond);
    }
}
