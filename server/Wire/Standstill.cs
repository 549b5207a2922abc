namespace ChatMinimal;

/// <summary>
/// A standstill is how long a peer has taken nothing of what waits for it. Time counts by progress: a slow reader that
/// reads on has all the time it needs, one that reads nothing has little.
/// </summary>
struct Standstill
{
    long _taken; // bytes, when last looked
    long _since; // timestamp; 0: nothing waits, or nobody looked

    /// <summary>How long it has lasted; zero when there is none.</summary>
    /// <param name="isWaiting">Whether anything waits for the peer.</param>
    /// <param name="taken">Bytes that the peer has taken so far.</param>
    /// <param name="now">A timestamp of <paramref name="clock"/>.</param>
    /// <param name="clock">Measures.</param>
    public TimeSpan Look(bool isWaiting, long taken, long now, TimeProvider clock)
    {
        if (!isWaiting)
            _since = 0;
        else if (_since == 0 || taken != _taken)
            (_taken, _since) = (taken, now);
        return _since == 0 ? TimeSpan.Zero : clock.GetElapsedTime(_since, now);
    }
}
