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
    const int RoomsALook = 1000;       // rooms one statement looks at
    const int MostTold = 1000;         // damaged pages that the operator is told of, each once

    static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(1);
    static readonly TimeSpan s_pollEvery = TimeSpan.FromMilliseconds(20); // where no news arrive; each room in its own rhythm
    static readonly TimeSpan s_checkTimeout = TimeSpan.FromSeconds(2), s_stopTimeout = TimeSpan.FromSeconds(0.5);

    readonly Retention _retention;
    readonly Neighbours _neighbours;
    readonly CancellationTokenSource _stop = new();
    readonly Task _looking = Task.CompletedTask;
    readonly ITimer? _sweep;
    // What failed without an answer. Whoever submits the same list again submits the same messages, with the same keys.
    readonly ConditionalWeakTable<IReadOnlyList<Draft>, string[]> _unanswered = [];
    Action<string, string>? _types;
    readonly Lock _lock = new(); // guards what follows
    readonly Dictionary<string, RoomLog> _logs = [];
    readonly HashSet<(string, long)> _damaged = [];
    Task _check = Task.CompletedTask;
    long _waitingBytes, _ownKeys;
    volatile string? _trouble;

    /// <summary>A database that cannot be reached now, but may be later, is no reason not to start.</summary>
    /// <exception cref="SchemaException">It cannot be used, and why.</exception>
    public PostgresStore(string connectionString, ChatOptions options, TimeProvider clock, ILogger<PostgresStore> log)
    {
        (Clock, Log, _retention) = (clock, log, new Retention(options));
        Database = new Database(connectionString);
        News = new News(this);
        _neighbours = new Neighbours(this);
        try
        {
            SignAsync().GetAwaiter().GetResult(); // nobody is served yet who would wait for this thread
        }
        catch (StoreUnavailableException error) when (error.InnerException is SchemaException unusable)
        {
            Dispose();
            throw unusable;
        }
        catch (StoreUnavailableException) { } // it has been told
        News.Begin();
        _looking = LookAsync();
        if (options.KeepDays > 0)
            _sweep = clock.CreateTimer(_ => _ = SweepAsync(), null, TimeSpan.Zero, Retention.Every);
    }

    /// <summary>This server's name among the others: another one with each start.</summary>
    public string Id { get; } = Convert.ToHexStringLower(Guid.NewGuid().ToByteArray().AsSpan(0, 6));

    /// <summary>Where messages are stored, for the operator.</summary>
    public string Place => $"PostgreSQL: {Database.Name}";

    public Database Database { get; }
    public News News { get; }
    public TimeProvider Clock { get; }
    public ILogger Log { get; }
    public CancellationToken Stopping => _stop.Token;

    /// <summary>The database did not take what it was given last.</summary>
    public bool HasTrouble => _trouble is not null;

    public async ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel)
    {
        Mark mark = MarkOf(room, out RoomLog? log);
        Queries.Found found =
            (await Database.UseAsync((connection, cancel) => Queries.FindAsync(connection, [room], [mark.Next], cancel), cancel))[0];
        log?.Look(mark, found);
        ThrowIfRolledBack(mark, found);
        return Clip(found.Head);
    }

    public async ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel)
    {
        Mark mark = MarkOf(room, out RoomLog? log);
        (Queries.Found found, List<Page> pages) = await Database.UseAsync(
            (connection, cancel) => Queries.ReadAsync(connection, room, from, mark.Next, Keep, Limit.Reader, cancel), cancel);
        log?.Look(mark, found);
        ThrowIfRolledBack(mark, found);
        TellDamaged(room, pages);
        return Page.Cut(Clip(found.Head), pages, from, to, Limit.Reader);
    }

    public async ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel)
    {
        if (_stop.IsCancellationRequested)
            throw new StoreUnavailableException("the server is shutting down");
        string[] keys = _unanswered.TryGetValue(drafts, out string[]? tried) ? tried
            : [.. drafts.Select(draft => draft.Key ?? Submitted.OwnKey(Id, Interlocked.Increment(ref _ownKeys)))];
        var submitted = new Submitted(drafts, keys);
        RoomLog log;
        lock (_lock)
        {
            if (_waitingBytes > 0 && _waitingBytes + submitted.Bytes > LargestQueue)
                throw new StoreUnavailableException($"{_waitingBytes} bytes of messages wait for the database already");
            _waitingBytes += submitted.Bytes;
            log = Enter(room);
        }
        try
        {
            return await log.Writer.SubmitAsync(submitted);
        }
        finally
        {
            lock (_lock)
                _waitingBytes -= submitted.Bytes;
            Leave(log);
        }
    }

    public async ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell)
    {
        RoomLog log;
        lock (_lock)
            log = Enter(room);
        try
        {
            await log.FollowAsync(tell, _stop.Token);
            return new Following(this, log, tell);
        }
        catch
        {
            Leave(log);
            throw;
        }
    }

    /// <summary>
    /// Whether a transaction goes through. One is asked for at a time, so that a database that hangs does not gather questions.
    /// </summary>
    public async ValueTask CheckAsync(CancellationToken cancel)
    {
        Task check;
        lock (_lock)
            check = _check = _check.IsCompleted ? SignAsync() : _check;
        try
        {
            await check.WaitAsync(s_checkTimeout, Clock, cancel);
        }
        catch (TimeoutException)
        {
            throw new StoreUnavailableException($"{Database.Name} does not answer: nothing was committed for {s_checkTimeout.TotalSeconds} s");
        }
    }

    public void Dispose()
    {
        if (_stop.IsCancellationRequested)
            return;
        _stop.Cancel();
        _sweep?.Dispose();
        Task.WhenAll([_looking, News.DisposeAsync().AsTask(), _neighbours.LeaveAsync()]).Wait(s_stopTimeout);
        Database.DisposeAsync().AsTask().Wait(s_stopTimeout);
    }

    public void Begin(Func<IReadOnlyDictionary<string, Attendance>> here, Action<string, Attendance> there, Action<string, string> types)
    {
        _types = types;
        _neighbours.Begin(here, there);
    }

    public async Task CatchUpAsync(string room)
    {
        RoomLog? log;
        lock (_lock)
            _logs.TryGetValue(room, out log);
        try
        {
            await (log?.ReadOnAsync() ?? Task.CompletedTask);
        }
        catch (OperationCanceledException)
        {
            throw new StoreUnavailableException("the server is shutting down");
        }
    }

    public void Type(string room, string name) => News.Tell(News.Types, room, name);

    // ---- For its parts

    /// <summary>How many messages of a room are shown.</summary>
    public long Keep => _retention.Keep == 0 ? long.MaxValue : _retention.Keep;

    public LogHead Clip(LogHead head) => _retention.Clip(head);

    public static string NewEpoch() => Guid.NewGuid().ToString("N");

    /// <summary>Where a log is, and when its last message was committed.</summary>
    public async Task<Queries.Found> FindAsync(string room, CancellationToken cancel) =>
        (await Database.UseAsync((connection, cancel) => Queries.FindAsync(connection, [room], [0], cancel), cancel))[0];

    public Task RenewAsync(string room, Mark mark, CancellationToken cancel) => Database.UseAsync(async (connection, cancel) =>
    {
        await Queries.RenewAsync(connection, room, mark, NewEpoch(), cancel);
        return true;
    }, cancel);

    public async Task TrimAsync(string room, bool withKeys)
    {
        try
        {
            await Database.UseAsync(async (connection, cancel) =>
            {
                await Queries.TrimAsync(connection, room, _retention.Keep, _retention.Age, withKeys ? Retention.KeysKept : 0, cancel);
                return true;
            }, _stop.Token);
        }
        catch (StoreUnavailableException) { } // later, then
    }

    public void Remember(Submitted submitted) => _unanswered.AddOrUpdate(submitted.Drafts, submitted.Keys);

    public void SetTrouble(string? trouble)
    {
        lock (_lock)
        {
            if (trouble is null == _trouble is null)
                return;
            _trouble = trouble;
        }
        if (trouble is null)
            Log.StoreRecovered();
        else
            Log.StoreFailed(trouble);
    }

    public void TellDamaged(string room, List<Page> pages)
    {
        foreach (Page page in pages)
        {
            lock (_lock)
                if (!page.IsDamaged || _damaged.Count == MostTold || !_damaged.Add((room, page.Last)))
                    continue;
            Log.PageDamaged(room, page.Last);
        }
    }

    /// <summary>What another server tells.</summary>
    public void Hear(string what, string room, string more)
    {
        RoomLog? log;
        lock (_lock)
            _logs.TryGetValue(room, out log);
        if (log is null)
            return;
        switch (what)
        {
            case News.HasGrown:
                Hear(log, more);
                break;
            case News.IsPresent:
                _neighbours.Hear();
                break;
            case News.Types:
                _types?.Invoke(room, more);
                break;
        }
    }

    void Hear(RoomLog log, string more)
    {
        (LogPage? page, long from) = News.ReadGrown(more);
        if (page is null || !log.Offer(page.Value with { Head = Clip(page.Value.Head) }, from))
            log.Wake();
    }

    public void WakeAll()
    {
        foreach (RoomLog log in All)
            log.Wake();
    }

    RoomLog[] All
    {
        get
        {
            lock (_lock)
                return [.. _logs.Values];
        }
    }

    // Under the lock.
    RoomLog Enter(string room)
    {
        if (!_logs.TryGetValue(room, out RoomLog? log))
            _logs.Add(room, log = new RoomLog(room, this));
        log.Users++;
        return log;
    }

    void Leave(RoomLog log)
    {
        lock (_lock)
            if (--log.Users == 0)
                _logs.Remove(log.Room);
    }

    Mark MarkOf(string room, out RoomLog? log)
    {
        lock (_lock)
            return _logs.TryGetValue(room, out log) ? log.Mark : Mark.None;
    }

    // What was read may be of two logs: one that was told, and what others have filled it with since. It is about to be told as another
    // one.
    void ThrowIfRolledBack(Mark mark, Queries.Found found)
    {
        if (mark.IsRolledBack(found.Head, found.MarkAt))
            throw new StoreUnavailableException($"{Database.Name} was rolled back");
    }

    async Task SignAsync()
    {
        try
        {
            await Database.UseAsync(async (connection, cancel) =>
            {
                await Queries.SignAsync(connection, Id, cancel);
                return true;
            }, _stop.Token);
            SetTrouble(null);
        }
        catch (StoreUnavailableException error)
        {
            SetTrouble(error.Message);
            throw;
        }
    }

    // Rooms are looked at: once a second where news arrive, else as often as each of them talks.
    async Task LookAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(News.IsListening ? s_lookEvery : s_pollEvery, Clock, _stop.Token);
                long now = Clock.GetTimestamp();
                bool isListening = News.IsListening;
                foreach (RoomLog[] logs in All.Where(log => isListening || log.IsDue(now, Clock)).Chunk(RoomsALook))
                    await LookAsync(logs);
                if (HasTrouble)
                    await CheckAsync(_stop.Token);
            }
            catch (OperationCanceledException) { } // we are stopping
            catch (StoreUnavailableException error)
            {
                SetTrouble(error.Message);
                await Task.Delay(s_lookEvery, Clock, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception error) // a bug
            {
                Log.LoopFailed(error);
                await Task.Delay(s_lookEvery, Clock, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    async Task LookAsync(RoomLog[] logs)
    {
        Mark[] marks = [.. logs.Select(log => log.Mark)];
        string[] rooms = [.. logs.Select(log => log.Room)];
        long[] nexts = [.. marks.Select(mark => mark.Next)];
        Queries.Found[] found =
            await Database.UseAsync((connection, cancel) => Queries.FindAsync(connection, rooms, nexts, cancel), _stop.Token);
        for (int i = 0; i < logs.Length; i++)
            if (marks[i].Epoch != "")
                logs[i].Look(marks[i], found[i]);
    }

    // Messages grow old in rooms that nobody writes to, too.
    async Task SweepAsync()
    {
        try
        {
            for (string last = ""; ;)
            {
                string[] rooms = await Database.UseAsync((connection, cancel) => Queries.RoomsAfterAsync(connection, last, cancel),
                    _stop.Token);
                if (rooms is [])
                    return;
                foreach (string room in rooms)
                    await TrimAsync(room, withKeys: true);
                last = rooms[^1];
            }
        }
        catch (Exception error) when (error is StoreUnavailableException or OperationCanceledException) { } // in an hour, then
    }

    sealed class Following(PostgresStore store, RoomLog log, Action<LogPage> tell) : IDisposable
    {
        bool _isOver;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isOver, true))
                return;
            log.Leave(tell);
            store.Leave(log);
        }
    }
}
