namespace ChatMinimal;

/// <summary>
/// The rooms that somebody is in, by name. A room is opened for its first connection, follows its log in the store while
/// there are any, and is let go with the last; the log stays in the store.
/// </summary>
sealed class Rooms : IDisposable
{
    static readonly TimeSpan s_sweepEvery = TimeSpan.FromSeconds(1);

    readonly IMessageStore _store;
    readonly ChatOptions _options;
    readonly TimeProvider _clock;
    readonly Broadcaster _broadcaster;
    readonly WindowBudget _budget;
    readonly ITimer _sweeps;
    readonly Lock _lock = new();
    readonly Dictionary<string, Entry> _open = [];
    long _appended;

    public Rooms(IMessageStore store, ChatOptions options, TimeProvider clock, Broadcaster broadcaster)
    {
        (_store, _options, _clock, _broadcaster) = (store, options, clock, broadcaster);
        _budget = new WindowBudget(options.WindowBytesTotal);
        (store as IElsewhere)?.Begin(
            here: () => All.ToDictionary(room => room.Name, room => room.Here),
            there: (name, who) => Find(name)?.SetElsewhere(who),
            types: (name, author) => Find(name)?.Typing(author, null));
        _sweeps = clock.CreateTimer(_ => broadcaster.Sweep(All), null, s_sweepEvery, s_sweepEvery);
    }

    public Room[] All
    {
        get
        {
            lock (_lock)
                return [.. _open.Values.Select(entry => entry.Room)];
        }
    }

    Room? Find(string name)
    {
        lock (_lock)
            return _open.GetValueOrDefault(name)?.Room;
    }

    /// <summary>How many messages were appended to rooms here, since the start.</summary>
    public long Appended => Volatile.Read(ref _appended);

    /// <summary>
    /// The room of this name, opened if it was not; null when there are too many. To be given back with <see cref="Leave"/>.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The store cannot be read now.</exception>
    public async ValueTask<Room?> EnterAsync(string name, CancellationToken cancel)
    {
        Entry? entry;
        lock (_lock)
        {
            if (!_open.TryGetValue(name, out entry))
            {
                if (_open.Count >= _options.MaxRooms)
                    return null;
                var room = new Room(name, _store, new Window(name, _options, _budget), _clock, _broadcaster);
                _open.Add(name, entry = new Entry(room, FollowAsync(room)));
            }
            entry.Users++;
        }
        try
        {
            await entry.Following.WaitAsync(cancel);
            return entry.Room;
        }
        catch
        {
            Leave(entry.Room);
            throw;
        }
    }

    public void Leave(Room room)
    {
        Entry entry;
        lock (_lock)
        {
            entry = _open[room.Name];
            if (--entry.Users > 0)
                return;
            _open.Remove(room.Name);
        }
        _ = EndAsync(entry.Following);
    }

    public void Dispose() => _sweeps.Dispose();

    // The store is the only writer of this room; its first page is where the log is now.
    async Task<IDisposable> FollowAsync(Room room)
    {
        await Task.Yield(); // not under the lock of the caller
        return await _store.FollowAsync(room.Name, page =>
        {
            room.Append(page);
            Interlocked.Add(ref _appended, page.Messages.Count);
        });
    }

    // It may still be on its way.
    static async Task EndAsync(Task<IDisposable> following)
    {
        try
        {
            (await following).Dispose();
        }
        catch (StoreUnavailableException) { } // then there is nothing to end
    }

    sealed class Entry(Room room, Task<IDisposable> following)
    {
        public readonly Room Room = room;
        public readonly Task<IDisposable> Following = following; // completes when the room is open
        public int Users; // joined or joining
    }
}
