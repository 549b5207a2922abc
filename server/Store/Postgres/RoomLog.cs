namespace ChatMinimal.Postgres;

/// <summary>
/// A room log is what this server knows of a room that is followed here, or written to: how far it has told it, and to whom. What
/// there is to tell comes from three sides, our own commits, other servers' news and what is read; each says where it begins, so
/// that everything is told once, in order, whoever was faster.
/// </summary>
sealed class RoomLog(string room, PostgresStore store)
{
    static readonly TimeSpan s_leastPause = TimeSpan.FromMilliseconds(20), s_mostPause = TimeSpan.FromSeconds(1);

    readonly Lock _lock = new(); // guards what follows; followers are told under it, and so in order
    readonly List<Action<LogPage>> _followers = [];
    Task _reading = Task.CompletedTask;
    LogHead? _told; // null: nobody has been told anything
    DateTime? _toldAt; // when the message before told.Next was committed
    TimeSpan _pause = s_leastPause;
    long _lookedAt;
    Task? _next; // the read that was asked for and has not begun

    public string Room => room;

    /// <summary>Those who follow it, or are submitting: of the open rooms, under their lock.</summary>
    public int Users { get; set; }

    /// <summary>Its messages on their way to the database.</summary>
    public RoomWriter Writer => field ??= new RoomWriter(this, store);

    /// <summary>How far it has been told here.</summary>
    public Mark Mark
    {
        get
        {
            lock (_lock)
                return _told is { } told ? new Mark(told.Epoch, told.Next, _toldAt) : Mark.None;
        }
    }

    public async Task FollowAsync(Action<LogPage> tell, CancellationToken cancel)
    {
        bool isKnown;
        lock (_lock)
            isKnown = _told is not null;
        Queries.Found found = isKnown ? default : await store.FindAsync(room, 0, cancel);
        lock (_lock)
        {
            if (_told is null)
                (_told, _toldAt) = (store.Retention.Clip(found.Head), found.MarkAt);
            _followers.Add(tell);
            tell(new LogPage(_told.Value, _told.Value.Next, []));
        }
    }

    public void Leave(Action<LogPage> tell)
    {
        lock (_lock)
            _followers.Remove(tell);
    }

    /// <summary>
    /// Tells what is new of [from, page.Next). False: what is before it has not been told, or it belongs to another log; it is to be read.
    /// </summary>
    public bool Offer(LogPage page, long from)
    {
        lock (_lock)
        {
            if (_told is not { } told)
                return true; // to nobody
            if (page.Head.Epoch != told.Epoch || from > told.Next)
                return false;
            if (page.Next <= told.Next)
                return true;
            IReadOnlyList<Message> messages = from == told.Next
                ? page.Messages
                : [.. page.Messages.Where(message => message.Seq >= told.Next)];
            _told = told with { First = Math.Max(told.First, page.Head.First), Next = page.Next };
            _toldAt = messages is [.., { } last] && last.Seq == page.Next - 1 ? last.At : null;
            _pause = s_leastPause;
            Tell(new LogPage(_told.Value, page.Next, messages));
            return true;
        }
    }

    /// <summary>Looks whether the log is as it was told, and reads on where it is not.</summary>
    public void Look(Mark mark, Queries.Found found)
    {
        bool isNews = found.Head.Epoch != mark.Epoch || found.Head.Next > mark.Next || mark.IsRolledBack(found.Head, found.MarkAt);
        lock (_lock)
            _pause = isNews ? s_leastPause : TimeSpan.FromTicks(Math.Min(2 * _pause.Ticks, s_mostPause.Ticks));
        if (isNews)
            Wake();
    }

    /// <summary>
    /// Whether it is time for another look, where nobody would tell: soon in a room that talks, later in one that does not.
    /// </summary>
    public bool IsDue(long now, TimeProvider clock)
    {
        lock (_lock)
        {
            if (_followers.Count == 0 || clock.GetElapsedTime(_lookedAt, now) < _pause)
                return false;
            _lookedAt = now;
            return true;
        }
    }

    /// <summary>There may be something new.</summary>
    public void Wake()
    {
        lock (_lock)
            if (_next is not null)
                return;
        _ = ReadWokenAsync();
    }

    /// <summary>
    /// Reads and tells what was committed up to now, whoever has written it. Those who ask while one read is on its way share the next.
    /// </summary>
    /// <exception cref="StoreUnavailableException">It could not be read; a look in a second finds it.</exception>
    public Task ReadOnAsync()
    {
        lock (_lock)
            return _next ??= _reading = ReadAfterAsync(_reading, store.Stopping);
    }

    async Task ReadAfterAsync(Task before, CancellationToken cancel)
    {
        // Not under the caller's lock
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        lock (_lock)
            _next = null; // what is committed from now on may be too late for this read
        while (Mark is { Epoch: not "" } mark && await ReadOnceAsync(mark, cancel)) { }
    }

    // True: there is more.
    async Task<bool> ReadOnceAsync(Mark mark, CancellationToken cancel)
    {
        (Queries.Found found, List<Page> pages) = await store.ReadAsync(room, mark.Next, mark.Next, Limit.Follower, cancel);
        bool isRolledBack = mark.IsRolledBack(found.Head, found.MarkAt);
        if (isRolledBack)
            await store.RenewAsync(room, mark, cancel);
        if (isRolledBack || found.Head.Epoch != mark.Epoch)
        {
            BeginAnew(await store.FindAsync(room, 0, cancel));
            return true;
        }
        LogPage page = Page.Cut(store.Retention.Clip(found.Head), pages, mark.Next, long.MaxValue, Limit.Follower, areAll: false);
        return !Offer(page, mark.Next) || page.Next < found.Head.Next;
    }

    async Task ReadWokenAsync()
    {
        try
        {
            await ReadOnAsync();
        }
        catch (Exception error) when (error is StoreUnavailableException or OperationCanceledException)
        {
            // The next look, or we are stopping
        }
        catch (Exception error) // a bug
        {
            store.Log.FollowerFailed(error, room);
        }
    }

    // It is another log now: what is in it is history.
    void BeginAnew(Queries.Found found)
    {
        lock (_lock)
        {
            if (found.Head.Epoch == _told?.Epoch)
                return;
            (_told, _toldAt) = (store.Retention.Clip(found.Head), found.MarkAt);
            Tell(new LogPage(_told.Value, _told.Value.Next, []));
        }
        store.Log.AnotherLog(room);
    }

    // Under the lock.
    void Tell(LogPage page)
    {
        foreach (Action<LogPage> tell in _followers)
            try
            {
                tell(page);
            }
            catch (Exception error) // a bug of the follower's: it is told the next page all the same, and the others this one
            {
                store.Log.FollowerFailed(error, room);
            }
    }
}
