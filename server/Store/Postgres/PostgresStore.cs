using System.Runtime.CompilerServices;

namespace ChatMinimal.Postgres;

/// <summary>
/// A store in a PostgreSQL database that several servers share. Each room has one order, which is that of the commits: who adds
/// messages holds the room's row until then. Every server follows by reading on from what it has told; news from the others
/// say when, and a look once a second finds what they did not.
/// </summary>
/// <remarks>Committed means what it means to PostgreSQL: see <c>synchronous_commit</c>. A log that loses its tail is told as another
/// log.</remarks>
sealed class PostgresStore : IMessageStore, IElsewhere, IDisposable
{
    const int LargestQueue = 64 << 20; // bytes that wait, of everyone together; beyond it messages are refused
    const int MostTold = 1000;         // damaged pages that the operator is told of, each once

    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(0.5);

    readonly CancellationTokenSource _stop = new();
    readonly Task _polling = Task.CompletedTask;
    // What failed without an answer. Whoever submits the same list again submits the same messages, with the same keys.
    readonly ConditionalWeakTable<IReadOnlyList<Draft>, string[]> _unanswered = [];
    readonly Lock _lock = new(); // guards what follows
    readonly HashSet<(string, long)> _damaged = [];
    long _waitingBytes, _ownKeys;

    /// <summary>A database that cannot be reached now, but may be later, is no reason not to start.</summary>
    /// <exception cref="SchemaException">It cannot be used, and why.</exception>
    public PostgresStore(string connectionString, ChatOptions options, TimeProvider clock, ILogger<PostgresStore> log)
    {
        (Clock, Log) = (clock, log);
        Database = new Database(connectionString);
        Retention = new Retention(Database, options, Stopping);
        Rooms = new OpenRooms(this);
        Readiness = new Readiness(this);
        News = new News(this);
        Neighbours = new Neighbours(this);
        try
        {
            Readiness.SignAsync().GetAwaiter().GetResult(); // nobody is served yet who would wait for this thread
        }
        catch (StoreUnavailableException error) when (error.InnerException is SchemaException unusable)
        {
            Dispose();
            throw unusable;
        }
        catch (StoreUnavailableException) { } // it has been told
        News.Begin();
        _polling = new Poll(this).RunAsync();
        Retention.Begin(clock);
    }

    /// <summary>This server's name among the others: another one with each start.</summary>
    public string Id { get; } = Convert.ToHexStringLower(Guid.NewGuid().ToByteArray().AsSpan(0, 6));

    /// <summary>Where messages are stored, for the operator.</summary>
    public string Place => $"PostgreSQL: {Database.Name}";

    // Its parts, for one another.
    public Database Database { get; }
    public Retention Retention { get; }
    public OpenRooms Rooms { get; }
    public Readiness Readiness { get; }
    public News News { get; }
    public Neighbours Neighbours { get; }
    public TimeProvider Clock { get; }
    public ILogger Log { get; }
    public CancellationToken Stopping => _stop.Token;

    public async ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel)
    {
        RoomLog? log = Rooms.Find(room);
        Mark mark = log?.Mark ?? Mark.None;
        Queries.Found found = await FindAsync(room, mark.Next, cancel);
        log?.Look(mark, found);
        ThrowIfRolledBack(mark, found);
        return Retention.Clip(found.Head);
    }

    public async ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel)
    {
        RoomLog? log = Rooms.Find(room);
        Mark mark = log?.Mark ?? Mark.None;
        (Queries.Found found, List<Page> pages) = await ReadAsync(room, from, mark.Next, Limit.Reader, cancel);
        log?.Look(mark, found);
        ThrowIfRolledBack(mark, found);
        return Page.Cut(Retention.Clip(found.Head), pages, from, to, Limit.Reader, areAll: false);
    }

    public async ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel)
    {
        if (_stop.IsCancellationRequested)
            throw new StoreUnavailableException("the server is shutting down");
        string[] keys = _unanswered.TryGetValue(drafts, out string[]? tried) ? tried
            : [.. drafts.Select(draft => draft.Key ?? Submitted.OwnKey(Id, Interlocked.Increment(ref _ownKeys)))];
        var submitted = new Submitted(drafts, keys);
        lock (_lock)
        {
            if (_waitingBytes > 0 && _waitingBytes + submitted.Bytes > LargestQueue)
                throw new StoreUnavailableException($"{_waitingBytes} bytes of messages wait for the database already");
            _waitingBytes += submitted.Bytes;
        }
        RoomLog log = Rooms.Enter(room);
        try
        {
            return await log.Writer.SubmitAsync(submitted);
        }
        finally
        {
            lock (_lock)
                _waitingBytes -= submitted.Bytes;
            Rooms.Leave(log);
        }
    }

    public async ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell)
    {
        RoomLog log = Rooms.Enter(room);
        try
        {
            await log.FollowAsync(tell, Stopping);
            return new Following(Rooms, log, tell);
        }
        catch
        {
            Rooms.Leave(log);
            throw;
        }
    }

    public ValueTask CheckAsync(CancellationToken cancel) => Readiness.CheckAsync(cancel);

    public void Dispose()
    {
        if (_stop.IsCancellationRequested)
            return;
        _stop.Cancel();
        Retention.Dispose();
        Task.WhenAll([_polling, News.DisposeAsync().AsTask(), Neighbours.LeaveAsync()]).Wait(s_stopTimeout);
        Database.DisposeAsync().AsTask().Wait(s_stopTimeout);
    }

    // ---- The other servers

    public void Begin(Func<IReadOnlyDictionary<string, Attendance>> here, Action<string, Attendance> there, Action<string, string> types)
    {
        News.Typing = types;
        Neighbours.Begin(here, there);
    }

    public async Task CatchUpAsync(string room)
    {
        try
        {
            await (Rooms.Find(room)?.ReadOnAsync() ?? Task.CompletedTask);
        }
        catch (OperationCanceledException)
        {
            throw new StoreUnavailableException("the server is shutting down");
        }
    }

    public void Type(string room, string name) => News.Tell(News.Types, room, name);

    // ---- For its parts

    public static string NewEpoch() => Guid.NewGuid().ToString("N");

    /// <summary>Where a log is, and when the message before the mark was committed (0: the last message).</summary>
    public async Task<Queries.Found> FindAsync(string room, long mark, CancellationToken cancel) =>
        (await Database.UseAsync((connection, cancel) => Queries.FindAsync(connection, [room], [mark], cancel), cancel))[0];

    /// <summary>Pages of a log from a seq on. Of one that is damaged the operator is told, once.</summary>
    public async Task<(Queries.Found, List<Page>)> ReadAsync(string room, long from, long mark, Limit limit, CancellationToken cancel)
    {
        (Queries.Found found, List<Page> pages) = await Database.UseAsync(
            (connection, cancel) => Queries.ReadAsync(connection, room, from, mark, Retention.Keep, limit, cancel), cancel);
        foreach (Page page in pages)
        {
            lock (_lock)
                if (!page.IsDamaged || _damaged.Count == MostTold || !_damaged.Add((room, page.Last)))
                    continue;
            Log.PageDamaged(room, page.Last);
        }
        return (found, pages);
    }

    public Task RenewAsync(string room, Mark mark, CancellationToken cancel) => Database.UseAsync(async (connection, cancel) =>
    {
        await Queries.RenewAsync(connection, room, mark, NewEpoch(), cancel);
        return true;
    }, cancel);

    public void Remember(Submitted submitted) => _unanswered.AddOrUpdate(submitted.Drafts, submitted.Keys);

    // What was read may be of two logs: one that was told, and what others have filled it with since. It is about to be told as another
    // one.
    void ThrowIfRolledBack(Mark mark, Queries.Found found)
    {
        if (mark.IsRolledBack(found.Head, found.MarkAt))
            throw new StoreUnavailableException($"{Database.Name} was rolled back");
    }

    sealed class Following(OpenRooms rooms, RoomLog log, Action<LogPage> tell) : IDisposable
    {
        bool _isOver;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isOver, true))
                return;
            log.Leave(tell);
            rooms.Leave(log);
        }
    }
}
