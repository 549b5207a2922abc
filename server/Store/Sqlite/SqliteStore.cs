using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// A store in a SQLite file: one <see cref="Writer"/>, whose group commits go to everyone, and a few <see cref="Readers"/>.
/// </summary>
/// <remarks>Committed means: survives the death of the process. For power loss see <c>Chat:Durability</c>.</remarks>
sealed class SqliteStore : IMessageStore, IDisposable
{
    const int MostTold = 1000; // damaged rows that the operator is told of, each once

    static readonly TimeSpan s_checkTimeout = TimeSpan.FromSeconds(2);

    readonly TimeProvider _clock;
    readonly ILogger _log;
    readonly Loop _loop;
    readonly Readers _readers;
    readonly Writer _writer;
    readonly SearchIndex _search;
    readonly bool _isSwept;
    readonly Lock _lock = new(); // guards what follows
    readonly HashSet<long> _damaged = [];
    Task _check = Task.CompletedTask;
    ITimer? _sweep;

    /// <summary>A file that cannot be written to now, but may be later, is no reason not to start: what it holds can be read.</summary>
    /// <exception cref="ChatFileException">The file cannot be used, and why.</exception>
    public SqliteStore(ChatOptions options, TimeProvider clock, ILogger<SqliteStore> log, Loop loop)
    {
        string path = Path.GetFullPath(options.Database);
        (_clock, _log, _loop) = (clock, log, loop);
        _readers = new Readers(path);
        _search = new SearchIndex(path, _readers, log);
        _writer = new Writer(path, options, clock, log, loop, _readers, _search.Grown);
        _isSwept = options.KeepDays > 0;
    }

    /// <summary>Starts its threads. The file is open since the constructor, which could say why it cannot be used.</summary>
    public Task StartAsync(CancellationToken cancel)
    {
        _loop.Start();
        _search.Start();
        if (_isSwept)
            _sweep = _clock.CreateTimer(_ => _ = SweepAsync(), null, TimeSpan.Zero, Retention.Every);
        return Task.CompletedTask;
    }

    /// <summary>Commits what was submitted before, and closes the file: after the last connection.</summary>
    public Task StopAsync(CancellationToken cancel)
    {
        Dispose();
        return Task.CompletedTask;
    }

    public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => ReadAsync(file => HeadOf(file, room).Head, cancel);

    public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel) =>
        new(_writer.SubmitAsync(room, drafts));

    public ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell) => new(_writer.FollowAsync(room, tell));

    public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel) => ReadAsync(file =>
    {
        (long id, LogHead head) = HeadOf(file, room);
        return Read(file, room, id, head, from, Math.Min(to, head.Next));
    }, cancel);

    public async ValueTask<LogPage?> SearchAsync(string room, SearchWords words, long before, int most, CancellationToken cancel)
    {
        (long id, LogHead head) = await ReadAsync(file => HeadOf(file, room), cancel);
        if (id == 0)
            return new LogPage(head, head.Next, []);
        List<long> seqs = await Task.Run(() => _search.Find(id, head, words, Math.Min(before, head.Next), most), cancel);
        var messages = new List<Message>();
        foreach (long seq in Enumerable.Reverse(seqs))
            messages.AddRange((await ReadAsync(file => Read(file, room, id, head, seq, seq + 1), cancel)).Messages);
        return new LogPage(head, head.Next, messages);
    }

    /// <summary>
    /// Whether a transaction goes through. One is asked for at a time, so that a disk that hangs does not gather questions.
    /// </summary>
    public async ValueTask CheckAsync(CancellationToken cancel)
    {
        Task check;
        lock (_lock)
            check = _check = _check.IsCompleted ? _writer.SubmitAsync(room: null, []) : _check;
        try
        {
            await check.WaitAsync(s_checkTimeout, _clock, cancel);
        }
        catch (TimeoutException)
        {
            throw new StoreUnavailableException($"the disk does not answer: nothing was committed for {s_checkTimeout.TotalSeconds} s");
        }
    }

    public void Dispose()
    {
        _sweep?.Dispose();
        _search.Dispose();
        _writer.Dispose();
        _loop.Dispose(); // nothing goes through it any more
    }

    // Messages grow old in rooms that nobody writes to, too: each is visited, as if nothing had been submitted to it.
    async Task SweepAsync()
    {
        try
        {
            for (long last = 0; await ReadAsync(file => Rows.RoomsAfter(file, last), default) is
            {
                Names: { Count: > 0 } names,
                Last: var next
            }; last = next)
                foreach (string room in names)
                    await _writer.SubmitAsync(room, []);
        }
        catch (StoreUnavailableException) { } // in an hour, then
    }

    async ValueTask<T> ReadAsync<T>(Func<ChatFile, T> read, CancellationToken cancel)
    {
        for (int tries = 0; ; tries++)
        {
            try
            {
                return await _readers.ReadAsync(read, cancel);
            }
            catch (SqliteException error) when (tries > 0)
            {
                throw new StoreUnavailableException(error.Message, error);
            }
            catch (SqliteException) { }
            // The writer mends what can be mended
            await ((Task)CheckAsync(cancel).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // What the writer knows was true before this snapshot of the file, so all of it is in there, unless it was deleted.
    (long Id, LogHead Head) HeadOf(ChatFile file, string room)
    {
        LogHead? told = _writer.HeadOf(room);
        (long id, LogHead head) = Rows.ReadHead(file, room, _writer.NewEpoch);
        return (id, told ?? _writer.Clip(head));
    }

    LogPage Read(ChatFile file, string room, long id, LogHead head, long from, long to)
    {
        long next = Math.Max(from, head.First);
        IEnumerable<Page> pages = next < to ? Rows.PagesFrom(file, id, next).Select(Told) : [];
        return Page.Cut(head, pages, from, to, Limit.Reader, areAll: true);

        Page Told(Page page)
        {
            if (page.IsDamaged)
                TellDamaged(room, Rows.IdOf(id, page.Last));
            return page;
        }
    }

    void TellDamaged(string room, long id)
    {
        lock (_lock)
            if (_damaged.Count == MostTold || !_damaged.Add(id))
                return;
        _log.RowDamaged(room, id);
    }
}
