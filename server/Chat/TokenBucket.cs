namespace ChatMinimal;

/// <summary>
/// A token bucket is a rate limit: it tells how long to pause so that something happens at most so often: <paramref name="perSecond"/> in
/// the long run (0: no limit), <paramref name="burst"/> at once after a rest.
/// </summary>
struct TokenBucket(double perSecond, int burst, TimeProvider clock)
{
    double _tokens = burst;
    long _at = clock.GetTimestamp();

    /// <summary>Takes a token, on credit if there is none; returns the pause until the credit is paid.</summary>
    public TimeSpan Take()
    {
        if (perSecond == 0)
            return TimeSpan.Zero;
        Refill();
        _tokens--;
        return _tokens >= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(-_tokens / perSecond);
    }

    /// <summary>Takes a token if there is one, else tells when there will be.</summary>
    public bool TryTake(out TimeSpan wait)
    {
        if (!Has(out wait))
            return false;
        _tokens -= perSecond == 0 ? 0 : 1;
        return true;
    }

    /// <summary>Whether there is a token, else when there will be.</summary>
    public bool Has(out TimeSpan wait)
    {
        wait = TimeSpan.Zero;
        if (perSecond == 0)
            return true;
        Refill();
        if (_tokens < 1)
            wait = TimeSpan.FromSeconds((1 - _tokens) / perSecond);
        return _tokens >= 1;
    }

    void Refill()
    {
        long now = clock.GetTimestamp();
        _tokens = Math.Min(burst, _tokens + clock.GetElapsedTime(_at, now).TotalSeconds * perSecond);
        _at = now;
    }
}
