namespace ChatMinimal;

/// <summary>
/// The slices are a room's feeds by who serves them. Whoever comes gets the first free place, so that a small room has one slice; each
/// slice after it is the next pump's.
/// </summary>
/// <param name="room">Its name, which tells the first pump.</param>
/// <param name="broadcaster">The pumps.</param>
sealed class Slices(string room, Broadcaster broadcaster)
{
    volatile Slice[] _all = []; // never changed, but replaced, under the room's lock; read without

    public Slice[] All => _all;

    /// <summary>The pump of the first one, which also does what the room has to do once a second.</summary>
    public Pump Home { get; } = broadcaster.PumpOf(room, 0);

    /// <summary>The first one that has a place, else a new one. Under the room's lock.</summary>
    public Slice Place(Room of)
    {
        Slice[] all = _all;
        foreach (Slice slice in all)
            if (slice.Count < Slice.Most)
                return slice;
        var next = new Slice(of, broadcaster.PumpOf(room, all.Length));
        _all = [.. all, next];
        return next;
    }

    /// <summary>Frees the feed's place. Under the room's lock.</summary>
    public void Leave(Feed feed)
    {
        feed.Slice.Remove(feed);
        int used = _all.Length;
        while (used > 0 && _all[used - 1].Count == 0) // from the end alone: the place of a slice tells its pump
            used--;
        if (used < _all.Length)
            _all = _all[..used];
    }

    /// <summary>
    /// The log has grown. The loop serves a small room by itself: that takes less than to wake its pump. A large one, or many, would
    /// keep the loop from receiving, and what gathers in its sockets from becoming one batch.
    /// </summary>
    public void Grown()
    {
        if (_all is not [var only] || !Loop.TryServe(only))
            Wake();
    }

    /// <summary>
    /// There is something to be sent to everyone. Whoever joins an empty slice meanwhile comes to its pump by itself, when it begins.
    /// </summary>
    public void Wake()
    {
        foreach (Slice slice in _all)
            if (slice.Count > 0)
                slice.Wake();
    }
}
