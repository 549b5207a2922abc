using System.Diagnostics;

namespace ChatMinimal;

/// <summary>
/// A slice is the part of a room that one pump serves: up to 256 feeds. A small room has one, and one wake-up; a large one is walked by
/// several pumps at once. A feed stays in its slice, so it has one pump for good. A small room is also served by
/// whoever appends to it on the loop; where the two meet at a feed, its write lock decides.
/// </summary>
/// <param name="room">Whose feeds they are.</param>
/// <param name="pump">Who serves them.</param>
sealed class Slice(Room room, Pump pump)
{
    /// <summary>Feeds: a walk of about a millisecond, which is worth waking another thread for.</summary>
    public const int Most = 256;

    volatile Feed[] _feeds = []; // never changed, but replaced, under the room's lock; read without
    int _queued; // 1 while the pump has this slice on its list
    Typing.Telling? _typing = room.LatestTyping; // told last; the pump's

    public Pump Pump => pump;

    public int Count => _feeds.Length;

    /// <summary>Under the room's lock.</summary>
    public void Add(Feed feed) => _feeds = [.. _feeds, feed];

    /// <summary>Under the room's lock.</summary>
    public void Remove(Feed feed)
    {
        Feed[] feeds = _feeds;
        int at = Array.IndexOf(feeds, feed);
        _feeds = [.. feeds.AsSpan(0, at), .. feeds.AsSpan(at + 1)];
    }

    /// <summary>There is something to be sent: the pump is told once, until it comes by.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _queued, 1) == 0)
            pump.Grown(this);
    }

    /// <summary>The pump comes by.</summary>
    public void Visit()
    {
        // A full fence, before looking: what comes later, and is not seen here, finds the flag down and queues the slice again.
        Interlocked.Exchange(ref _queued, 0);
        Serve();
        if (room.LatestTyping is { } typing && typing != _typing)
            Tell(_feeds, _typing = typing);
    }

    /// <summary>
    /// Sends everyone what they have not been sent yet. On the pump's thread, or on the one that has just appended to a small room.
    /// </summary>
    public void Serve()
    {
        Feed[] feeds = _feeds;
        long start = room.IsTraced ? Stopwatch.GetTimestamp() : 0;
        int skipped = 0;
        foreach (Feed feed in feeds)
            if (!feed.Serve())
                skipped++;
        if (start != 0)
            room.Trace(new ThreadStep("sent", room.Window.Head.Next - 1, Clients: feeds.Length, Skipped: skipped,
                Took: Stopwatch.GetElapsedTime(start)));
    }

    /// <summary>What follows from time alone. On the pump's thread, once a second.</summary>
    public void Sweep(long now)
    {
        foreach (Feed feed in _feeds)
            feed.Sweep(now);
    }

    static void Tell(Feed[] feeds, Typing.Telling typing)
    {
        foreach (Feed feed in feeds)
            if (feed != typing.Author && feed.Dialect == Dialect.Chat)
                feed.Offer(typing.Frame);
    }
}
