namespace ChatMinimal;

/// <summary>
/// Typing is who writes just now, told at most once a second for a whole room: one frame, however many write. What is told is of the
/// moment: a client that is busy then is not told later.
/// </summary>
sealed class Typing(TimeProvider clock)
{
    const int MostNames = 3; // more than that is "several people"
    static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);

    readonly List<(string Name, Feed? Feed)> _authors = []; // not told yet; without a feed: at another server
    long? _toldAt;

    /// <summary>The newest; null: nobody has typed yet. An object for each, so that who sends it knows whether it has.</summary>
    public Telling? Latest { get; private set; }

    /// <summary>Somebody types, here or at another server. True: there is a new telling to be sent. Under the room's lock.</summary>
    public bool Add(string name, Feed? author)
    {
        if (_authors.Count <= MostNames && !_authors.Contains((name, author)))
            _authors.Add((name, author));
        return Refresh();
    }

    /// <summary>Once a second: who typed when the last telling was too fresh is told now. Under the room's lock.</summary>
    public bool Refresh()
    {
        long now = clock.GetTimestamp();
        if (_authors.Count == 0 || (_toldAt is { } toldAt && clock.GetElapsedTime(toldAt, now) < s_every))
            return false;
        _toldAt = now;
        Latest = _authors is [var author]
            ? new(Frame.Of(ServerMessage.Typing(author.Name)), author.Feed)
            : new(Frame.Of(ServerMessage.Typing([.. _authors.Take(MostNames).Select(each => each.Name)])), null);
        _authors.Clear();
        return true;
    }

    /// <summary>A frame to be sent to everyone but its one author, if it has one.</summary>
    public sealed class Telling(byte[] frame, Feed? author)
    {
        public byte[] Frame => frame;
        public Feed? Author => author;
    }
}
