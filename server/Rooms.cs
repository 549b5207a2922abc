namespace ChatMinimal;

/// <summary>
/// The rooms that somebody is in, by name. A room begins with its first connection, follows its log in the store while
/// there are any, and ends with the last; the log stays in the store.
/// </summary>
sealed class Rooms : IDisposable
{
    static readonly TimeSpan s_retryAfter = TimeSpan.FromSeconds(1); // a tail that failed: the store is down

    readonly IMessageStore _store;
    readonly ChatOptions _options;
    readonly TimeProvider _clock;
    readonly ILogger _log;
    readonly Broadcaster _broadcaster;
    readonly WindowBudget _budget;
    readonly Lock _lock = new();
    readonly Dictionary<string, Entry> _open = [];
    long _appended;

    public Rooms(IMessageStore store, ChatOptions options, TimeProvider clock, ILogger<Rooms> log)
    {
        (_store, _options, _clock, _log) = (store, options, clock, log);
        _budget = new WindowBudget(options.WindowBytesTotal);
        _broadcaster = new Broadcaster(() => All, clock, log);
    }

    public Room[] All
    {
        get
        {
            lock (_lock)
                return [.. _open.Values.Select(entry => entry.Room)];
        }
    }

    /// <summary>How many messages were appended to rooms here, since the start.</summary>
    public long Appended => Volatile.Read(ref _appended);

    /// <summary>The room of this name, opened if it was not; null when there are too many. To be given back with <see cref="Leave"/>.</summary>
    /// <exception cref="StoreUnavailableException">The store cannot say what the room holds.</exception>
    public async ValueTask<Room?> EnterAsync(string name, CancellationToken cancel)
    {
        Entry? entry;
        lock (_lock)
        {
            if (!_open.TryGetValue(name, out entry))
            {
                if (_open.Count >= _options.MaxRooms)
                    return null;
                entry = new Entry(new Room(name, _options, _budget, _clock, _broadcaster.Grown));
                entry.Opened = OpenAsync(entry);
                _open.Add(name, entry);
            }
            entry.Users++;
        }
        try
        {
            await entry.Opened.WaitAsync(cancel);
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
        entry.Dispose(); // outside the lock: who followed the log ends in here
    }

    /// <summary>Has the pump come by this feed.</summary>
    public void WakePump(Feed feed) => _broadcaster.Ready(feed);

    public void Dispose() => _broadcaster.Dispose();

    async Task OpenAsync(Entry entry)
    {
        await Task.Yield(); // not under the lock of the caller
        LogHead head = await _store.OpenAsync(entry.Room.Name, entry.Closed.Token);
        entry.Room.Window.Open(head);
        _ = FollowAsync(entry, head.Next);
    }

    // The only writer of this room.
    async Task FollowAsync(Entry entry, long next)
    {
        CancellationToken closed = entry.Closed.Token;
        while (!closed.IsCancellationRequested)
        {
            try
            {
                await foreach (LogPage page in _store.TailAsync(entry.Room.Name, next, closed))
                {
                    entry.Room.Append(page);
                    Interlocked.Add(ref _appended, page.Messages.Count);
                    next = entry.Room.Window.Head.Next;
                }
            }
            catch (OperationCanceledException) { } // the last one has left
            catch (Exception error) // whatever it is, a room must not fall silent
            {
                _log.TailFailed(error is StoreUnavailableException ? null : error, entry.Room.Name, error.Message);
                await Task.Delay(s_retryAfter, _clock, closed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    sealed class Entry(Room room) : IDisposable
    {
        public readonly Room Room = room;
        public readonly CancellationTokenSource Closed = new();
        public Task Opened = Task.CompletedTask;
        public int Users; // joined or joining

        public void Dispose()
        {
            Closed.Cancel();
            Closed.Dispose();
        }
    }
}
