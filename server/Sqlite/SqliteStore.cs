using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// A store in a SQLite file. One thread writes: what has gathered while it was busy is one transaction, and only what is
/// committed goes on, in order, to who follows the room and to who submitted it. Readers hold nobody up (WAL).
/// </summary>
/// <remarks>Kept means: survives the death of the process. For power loss see <c>Chat:Durability</c>.</remarks>
sealed class SqliteStore : IMessageStore, IDisposable
{
    const int LongestBatch = 4096; // messages a transaction, and a page of the tail
    const int KeysKept = 100_000;  // a room: said again even after a long time offline, a message is in the log once
    const int TrimAtOnce = 256;    // messages a transaction and room, beyond as many as came in: nobody notices

    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(1);

    readonly string _path;
    readonly bool _isDurable;
    readonly int _keepMessages;
    readonly TimeProvider _clock;
    readonly string _newEpoch = Guid.NewGuid().ToString("N"); // of rooms that begin while this process runs

    readonly Lock _lock = new(); // guards what follows; not held while a transaction runs
    readonly Dictionary<string, Log> _logs = [];
    List<Pending> _queue = [];
    bool _isStopped;
    volatile string? _trouble; // why the last transaction failed; null: it did not

    readonly AutoResetEvent _work = new(false);
    readonly Thread _writer;
    ChatFile _file; // the writer's

    readonly Lock _readLock = new(); // one reader at a time
    ChatFile? _reading;

    /// <exception cref="ChatFileException">The file cannot be used, and why.</exception>
    public SqliteStore(ChatOptions options, TimeProvider clock)
    {
        _path = Path.GetFullPath(options.Database);
        _isDurable = options.IsDurable;
        _keepMessages = options.KeepMessages;
        _clock = clock;
        _file = ChatFile.OpenForWriting(_path, _isDurable);
        _writer = new Thread(Write) { IsBackground = true, Name = "sqlite writer" };
        _writer.Start();
    }

    /// <summary>Throws while the last transaction has failed, and asks for another one, so that it notices when the cause is gone.</summary>
    public ValueTask CheckAsync(CancellationToken cancel)
    {
        if (_trouble is null)
            return default;
        var probe = new Pending(room: null, default);
        Enqueue(probe);
        return new(probe.Task);
    }

    public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => RunAsync(() =>
    {
        Log log = LogOf(room);
        lock (_lock)
            return new LogHead(log.Epoch, FirstOf(log), log.Next);
    }, cancel);

    public ValueTask<Submission> SubmitAsync(string room, Draft draft, CancellationToken cancel)
    {
        var pending = new Pending(room, draft);
        Enqueue(pending);
        return new(pending.Task);
    }

    void Enqueue(Pending pending)
    {
        lock (_lock)
        {
            if (_isStopped)
                throw new StoreUnavailableException("the server is shutting down");
            _queue.Add(pending);
            if (_queue.Count == 1)
                _work.Set();
        }
    }

    public async IAsyncEnumerable<LogPage> TailAsync(string room, long from, [EnumeratorCancellation] CancellationToken cancel)
    {
        Log log = await RunAsync(() => LogOf(room), cancel);
        var live = Channel.CreateUnbounded<LogPage>(new() { SingleReader = true });
        long next;
        lock (_lock)
        {
            log.Tails.Add(live.Writer);
            next = log.Next;
        }
        try
        {
            while (from < next) // what was committed before
            {
                LogPage page = await ReadAsync(room, from, LongestBatch, cancel);
                if (page.Messages is not [.., Message last])
                    break;
                from = last.Seq + 1;
                yield return page;
            }
            await foreach (LogPage page in live.Reader.ReadAllAsync(cancel))
                yield return page;
        }
        finally
        {
            lock (_lock)
            {
                log.Tails.Remove(live.Writer);
                if (log.Tails.Count == 0 && log.Next == 1)
                    _logs.Remove(room); // people only looked in
            }
        }
    }

    public ValueTask<LogPage> ReadAsync(string room, long from, int count, CancellationToken cancel) => RunAsync(() =>
    {
        Log log = LogOf(room);
        long first;
        lock (_lock)
            first = FirstOf(log);
        var messages = new List<Message>();
        lock (_readLock)
        {
            Statement page = Reading.ReadPage.Bind(1, room).Bind(2, Math.Max(from, first)).Bind(3, count);
            while (page.Step())
                messages.Add(new Message(page.Int64(0), ParseTime(page.Text(1)!), page.Text(2), page.Bytes(3).ToArray(), page.Text(4)));
        }
        return new LogPage(first, messages);
    }, cancel);

    public void Dispose()
    {
        lock (_lock)
            _isStopped = true;
        _work.Set();
        bool isDone = _writer.Join(s_stopTimeout);
        lock (_readLock)
            _reading?.Dispose(); // before the writer's, which takes the log with it when it is the last
        if (isDone)
            _file.CloseCleanly();
    }

    // ---- Writing: on the writer's thread

    void Write()
    {
        List<Pending> batch = [];
        while (true)
        {
            batch.Clear();
            lock (_lock)
            {
                if (_queue.Count > 0)
                    (batch, _queue) = (_queue, batch);
                else if (_isStopped)
                    return;
            }
            if (batch.Count == 0)
                _work.WaitOne();
            for (int from = 0; from < batch.Count; from += LongestBatch)
                Keep(CollectionsMarshal.AsSpan(batch)[from..Math.Min(from + LongestBatch, batch.Count)]);
        }
    }

    // One transaction, and then the word of it; or neither.
    void Keep(ReadOnlySpan<Pending> batch)
    {
        var touched = new List<Log>();
        try
        {
            if (!_file.IsWhole)
                Reopen();
            _file.Begin.Run();
            foreach (Pending pending in batch)
            {
                if (pending.Room is { } room)
                    Add(pending, LogOf(room), touched);
                else
                    _file.Probe();
            }
            foreach (Log log in touched)
                Trim(log);
            _file.Commit.Run();
            _trouble = null;
        }
        catch (Exception error) when (error is SqliteException or ChatFileException or StoreUnavailableException)
        {
            GiveUp(batch, touched, error);
            return;
        }

        lock (_lock)
            foreach (Log log in touched)
            {
                (log.Next, log.First) = (log.NextWritten, log.FirstWritten);
                var page = new LogPage(FirstOf(log), log.TakeWritten());
                foreach (ChannelWriter<LogPage> tail in log.Tails)
                    tail.TryWrite(page);
            }
        foreach (Pending pending in batch)
            pending.SetResult(pending.Submission);
    }

    void Add(Pending pending, Log log, List<Log> touched)
    {
        if (log.Written.Count == 0 && !touched.Contains(log))
        {
            (log.NextWritten, log.FirstWritten) = (log.Next, log.First);
            touched.Add(log);
            if (log.Next == 1)
                _file.AddRoom.Bind(1, log.Room).Bind(2, log.Epoch).Run();
        }
        Draft draft = pending.Draft;
        var message = new Message(log.NextWritten, Now, draft.Name, draft.Text, draft.Key);
        int added = _file.Insert.Bind(1, log.Room).Bind(2, message.Seq).Bind(3, FormatTime(message.At))
            .Bind(4, message.Name).Bind(5, message.Text).Bind(6, message.Key).Run();
        if (added == 1)
        {
            log.NextWritten++;
            log.Written.Add(message);
            pending.Submission = new Submission(message.Seq, WasKnown: false);
            return;
        }
        long known = _file.FindKey.Bind(1, log.Room).Bind(2, message.Key).Scalar()
            ?? throw new StoreUnavailableException("another program writes to the chat file");
        pending.Submission = new Submission(known, WasKnown: true);
    }

    // A little each time, so that nobody waits for it. A key outlives its message, for it may be said again.
    void Trim(Log log)
    {
        long first = Math.Min(_keepMessages == 0 ? 1 : log.NextWritten - _keepMessages, log.FirstWritten + log.Written.Count + TrimAtOnce);
        if (first <= log.FirstWritten)
            return;
        long firstKey = log.NextWritten - KeysKept;
        if (firstKey < first)
        {
            _file.ForgetUnkeyed.Bind(1, log.Room).Bind(2, log.FirstWritten).Bind(3, first).Run();
            _file.ForgetText.Bind(1, log.Room).Bind(2, log.FirstWritten).Bind(3, first).Run();
        }
        _file.ForgetOldest.Bind(1, log.Room).Bind(2, Math.Min(first, firstKey)).Bind(3, log.Written.Count + TrimAtOnce).Run();
        _file.SetFirst.Bind(1, log.Room).Bind(2, first).Run();
        log.FirstWritten = first;
    }

    void GiveUp(ReadOnlySpan<Pending> batch, List<Log> touched, Exception error)
    {
        _trouble = error.Message;
        try
        {
            _file.Rollback.Run();
        }
        catch (SqliteException) { } // SQLite has rolled back already
        foreach (Log log in touched)
            log.TakeWritten();
        if (error is StoreUnavailableException) // somebody else wrote: what we thought of the rooms is not so
            lock (_lock)
                foreach (Log log in touched)
                    Load(log);
        if (error is not SqliteException { SqliteErrorCode: SQLitePCL.raw.SQLITE_BUSY or SQLitePCL.raw.SQLITE_FULL })
            _file.IsWhole = false;
        foreach (Pending pending in batch)
            pending.SetException(new StoreUnavailableException(error.Message, error));
    }

    // After a failure that may lie in the connection, or a log file that somebody has deleted under us.
    void Reopen()
    {
        _file.CloseCleanly();
        _file = ChatFile.OpenForWriting(_path, _isDurable);
    }

    // ---- Both

    Log LogOf(string room)
    {
        lock (_lock)
            if (_logs.TryGetValue(room, out Log? known))
                return known;
        var log = new Log(room, _newEpoch);
        Load(log);
        lock (_lock)
            return _logs.TryAdd(room, log) ? log : _logs[room];
    }

    void Load(Log log)
    {
        lock (_readLock)
        {
            Statement find = Reading.FindRoom.Bind(1, log.Room);
            if (find.Step())
            {
                (log.Epoch, log.First) = (find.Text(0)!, find.Int64(1));
                find.Reset();
            }
            log.Next = (Reading.LastSeq.Bind(1, log.Room).Scalar() ?? 0) + 1;
        }
    }

    long FirstOf(Log log) => _keepMessages == 0 ? log.First : Math.Max(log.First, log.Next - _keepMessages);

    // Under the read lock.
    ChatFile Reading => _reading ??= ChatFile.OpenForReading(_path);

    ValueTask<T> RunAsync<T>(Func<T> read, CancellationToken cancel) => new(Task.Run(() =>
    {
        try
        {
            return read();
        }
        catch (SqliteException error)
        {
            lock (_readLock)
            {
                _reading?.Dispose();
                _reading = null;
            }
            throw new StoreUnavailableException(error.Message, error);
        }
    }, cancel));

    // Whole milliseconds, as they are kept: a message reads the same from wherever it comes.
    DateTime Now
    {
        get
        {
            DateTime now = _clock.GetUtcNow().UtcDateTime;
            return now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMillisecond));
        }
    }

    const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";

    static string FormatTime(DateTime at) => at.ToString(TimeFormat, CultureInfo.InvariantCulture);

    static DateTime ParseTime(string at) =>
        DateTime.ParseExact(at, TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal);

    sealed class Log(string room, string epoch)
    {
        public readonly string Room = room;
        public string Epoch = epoch;
        public long First = 1, Next = 1; // committed
        public readonly List<ChannelWriter<LogPage>> Tails = [];

        // The writer's: what the transaction of the moment makes of it.
        public long FirstWritten, NextWritten;
        public List<Message> Written = [];

        public List<Message> TakeWritten()
        {
            List<Message> written = Written;
            Written = [];
            return written;
        }
    }

    sealed class Pending(string? room, Draft draft) : TaskCompletionSource<Submission>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public readonly string? Room = room; // null: only asks whether a transaction goes through
        public readonly Draft Draft = draft;
        public Submission Submission;
    }
}
