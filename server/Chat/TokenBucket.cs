namespace ChatMinimal;

/// <summary>What may happen: so often in the long run (0: no limit), so much at once after a rest.</summary>
readonly record struct Rate(double PerSecond, int Burst);

/// <summary>
/// A token bucket is a rate limit: it tells how long to pause so that something happens at most at its rate. What all of a kind share, the
/// rate and the clock, is handed in; a new one is full.
/// </summary>
struct TokenBucket
{
    double _used; // tokens; above the burst: on credit
    long _at;     // timestamp, when last looked

    /// <summary>Takes a token, on credit if there is none; returns the pause until the credit is paid.</summary>
    public TimeSpan Take(Rate rate, TimeProvider clock)
    {
        if (rate.PerSecond == 0)
            return TimeSpan.Zero;
        Refill(rate, clock);
        _used++;
        return _used <= rate.Burst ? TimeSpan.Zero : TimeSpan.FromSeconds((_used - rate.Burst) / rate.PerSecond);
    }

    /// <summary>Takes a token if there is one, else tells when there will be.</summary>
    public bool TryTake(Rate rate, TimeProvider clock, out TimeSpan wait)
    {
        if (!Has(rate, clock, out wait))
            return false;
        _used += rate.PerSecond == 0 ? 0 : 1;
        return true;
    }

    /// <summary>Whether there is a token, else when there will be.</summary>
    public bool Has(Rate rate, TimeProvider clock, out TimeSpan wait)
    {
        wait = TimeSpan.Zero;
        if (rate.PerSecond == 0)
            return true;
        Refill(rate, clock);
        double lacking = _used + 1 - rate.Burst;
        if (lacking > 0)
            wait = TimeSpan.FromSeconds(lacking / rate.PerSecond);
        return lacking <= 0;
    }

    void Refill(Rate rate, TimeProvider clock)
    {
        long now = clock.GetTimestamp();
        _used = Math.Max(0, _used - clock.GetElapsedTime(_at, now).TotalSeconds * rate.PerSecond);
        _at = now;
    }
}
