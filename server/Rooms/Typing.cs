namespace ChatMinimal;

/// <summary>Typing is who writes just now, told once a second for a whole room: one frame, however many write.</summary>
sealed class Typing(TimeProvider clock)
{
    const int MostNames = 3; // more than that is "several people"
    static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);

    readonly List<(string Name, Feed? Feed)> _authors = []; // without a feed: at another server
    long? _toldAt;

    /// <summary>Somebody's typing has not been told yet.</summary>
    public bool IsWaiting => _authors.Count > 0;

    /// <summary>Somebody types, here or at another server. Under the room's lock.</summary>
    public void Add(string name, Feed? author)
    {
        if (_authors.Count <= MostNames && !_authors.Contains((name, author)))
            _authors.Add((name, author));
    }

    /// <summary>
    /// The frame to send, and the one author it is not for; null when nobody types or the last telling is too fresh. What is told is
    /// of the moment: it is told once. Under the room's lock.
    /// </summary>
    public (byte[] Frame, Feed? Author)? Take()
    {
        long now = clock.GetTimestamp();
        if (_authors.Count == 0 || (_toldAt is { } toldAt && clock.GetElapsedTime(toldAt, now) < s_every))
            return null;
        _toldAt = now;
        (byte[], Feed?) taken = _authors is [var author]
            ? (Frame.Of(ServerMessage.Typing(author.Name)), author.Feed)
            : (Frame.Of(ServerMessage.Typing([.. _authors.Take(MostNames).Select(each => each.Name)])), null);
        _authors.Clear();
        return taken;
    }
}
