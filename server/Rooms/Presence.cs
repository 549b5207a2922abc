namespace ChatMinimal;

/// <summary>
/// A presence is who is in a room. It is a state and not an event: however much changes, one telling tells it all. So it is told
/// at most once a second, and less often where it would be many bytes for many people.
/// </summary>
sealed class Presence(TimeProvider clock)
{
    const int MostNames = 100;           // more than a page can show; the number counts everyone
    const int BytesPerSecond = 1 << 20; // to all in a room together, in the long run
    static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);

    long? _toldAt;
    TimeSpan _pause;
    bool _isOld;

    /// <summary>The newest one as a frame: everyone whose last one was another is sent this one. Null: nobody was here yet.</summary>
    public byte[]? Frame { get; private set; }

    /// <summary>Somebody came, left, or has another name. True: there is a new frame to be sent. Under the room's lock.</summary>
    public bool Change(IReadOnlyList<Feed> here, Attendance elsewhere = default)
    {
        long now = clock.GetTimestamp();
        _isOld = _toldAt is { } toldAt && clock.GetElapsedTime(toldAt, now) < _pause;
        if (_isOld)
            return false;
        IEnumerable<string> names = NamesOf(here).Union(elsewhere.Names ?? []).Take(MostNames);
        Frame = ChatMinimal.Frame.Of(ServerMessage.Presence(here.Count + elsewhere.Online, names));
        _toldAt = now;
        _pause = TimeSpan.FromSeconds(Math.Max(s_every.TotalSeconds, (double)Frame.Length * here.Count / BytesPerSecond));
        return true;
    }

    /// <summary>Once a second: what has changed and could not be told is told when its time has come. Under the room's lock.</summary>
    public bool Refresh(IReadOnlyList<Feed> here, Attendance elsewhere = default) => _isOld && Change(here, elsewhere);

    /// <summary>The newest: a hundred names that stay are not the only ones ever shown.</summary>
    public static string[] NamesOf(IReadOnlyList<Feed> here) =>
        [.. here.Reverse().Select(feed => feed.Name).OfType<string>().Distinct().Take(MostNames).Reverse()];
}
