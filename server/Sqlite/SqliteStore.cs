using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
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
    const int LongestBatch = 8192; // messages a transaction: what comes later is not kept waiting longer than that
    const int LongestPage = 256;   // messages a row: to read one of them is to read them all
    const int LargestPage = 65536; // bytes of text a row, likewise
    const int KeysKept = 100_000;  // a room: said again even after a long time offline, a message is in the log once
    const int PageBytes = 4096;    // SQLite's: the least that a row costs
    const int LongLog = 4 << 20;  // bytes written, more or less, before the log is copied back
    const int TrimAtOnce = 256;    // pages a transaction and room: a millisecond or two

    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(1);

    readonly string _path;
    readonly bool _isDurable;
    readonly int _keepMessages, _maxRooms;
    readonly TimeProvider _clock;
    readonly ILogger _log;
    readonly string _newEpoch = Guid.NewGuid().ToString("N"); // of rooms that begin while this process runs

    readonly Lock _lock = new(); // guards what follows; not held while a transaction runs
    readonly Dictionary<string, RoomLog> _logs = [];
    List<Unit> _queue = [];
    bool _isStopped;
    volatile string? _trouble; // why nothing can be kept; null: as far as we know, it can

    readonly AutoResetEvent _work = new(false);
    readonly Thread _writer;
    ChatFile? _file; // the writer's, as is what follows; null until it can be had
    long _logged;    // bytes, more or less, since the log was last copied back
    Task? _copying;

    readonly SemaphoreSlim _turn = new(1); // one reader at a time
    ChatFile? _reading;                    // whose turn it is

    /// <summary>A file that cannot be written to now, but may be later, is no reason not to start: what it holds can be read.</summary>
    /// <exception cref="ChatFileException">The file cannot be used, and why.</exception>
    public SqliteStore(ChatOptions options, TimeProvider clock, ILogger<SqliteStore> log)
    {
        _path = Path.GetFullPath(options.Database);
        _isDurable = options.IsDurable;
        (_keepMessages, _maxRooms) = (options.KeepMessages, options.MaxRooms);
        (_clock, _log) = (clock, log);
        try
        {
            _file = ChatFile.OpenForWriting(_path, _isDurable);
        }
        catch (ChatFileException error) when (error.MayPass)
        {
            _reading = ChatFile.OpenForReading(_path);
            SetTrouble(error.Message);
        }
        _writer = new Thread(Write) { IsBackground = true, Name = "sqlite writer" };
        _writer.Start();
    }

    /// <summary>Throws while the last transaction has failed, and asks for another one, so that it notices when the cause is gone.</summary>
    public ValueTask CheckAsync(CancellationToken cancel) => _trouble is null ? default : new(ProbeAsync().WaitAsync(cancel));

    Task<Submission[]> ProbeAsync()
    {
        var probe = new Unit(room: null, []);
        Enqueue(probe);
        return probe.Task;
    }

    public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => ReadAsync(file =>
    {
        RoomLog log = LogOf(room, file);
        lock (_lock)
            return new LogHead(log.Epoch, FirstOf(log), log.Next);
    }, cancel);

    public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel)
    {
        var unit = new Unit(room, drafts);
        Enqueue(unit);
        return new(unit.Task);
    }

    void Enqueue(Unit unit)
    {
        lock (_lock)
        {
            if (_isStopped)
                throw new StoreUnavailableException("the server is shutting down");
            _queue.Add(unit);
            if (_queue.Count == 1)
                _work.Set();
        }
    }

    public async IAsyncEnumerable<LogPage> TailAsync(string room, long from, [EnumeratorCancellation] CancellationToken cancel)
    {
        RoomLog log = await ReadAsync(file => LogOf(room, file), cancel);
        // Whoever follows does so on the writer's thread, right after the commit: one thread less to wake.
        var live = Channel.CreateUnbounded<LogPage>(new() { SingleReader = true, AllowSynchronousContinuations = true });
        long next;
        lock (_lock)
        {
            log = _logs.TryAdd(room, log) ? log : _logs[room];
            log.Tails.Add(live.Writer);
            next = log.Next;
        }
        try
        {
            while (from < next) // what was committed before; from there on it comes by itself
            {
                LogPage page = await ReadAsync(room, from, next, cancel);
                if (page.Next == from)
                    break;
                from = page.Next;
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
                if (log is { Tails.Count: 0, IsSpokenIn: false })
                    _logs.Remove(room); // people only looked in
            }
        }
    }

    public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel) => ReadAsync(file =>
    {
        RoomLog log = LogOf(room, file);
        LogHead head;
        lock (_lock)
            head = new LogHead(log.Epoch, FirstOf(log), log.Next);
        var messages = new List<Message>();
        int bytes = 0;
        foreach (Message message in PagesFrom(file, room, Math.Max(from, head.First)).SelectMany(page => page.Messages).Where(message => message.Seq >= Math.Max(from, head.First)))
        {
            bytes += message.Text.Length;
            if (message.Seq >= to || messages.Count == IMessageStore.PageMessages || (messages.Count > 0 && bytes > IMessageStore.PageBytes))
                break;
            messages.Add(message);
        }
        return new LogPage(head, messages is [.., Message last] ? last.Seq + 1 : Math.Max(from, Math.Min(to, head.First)), messages);
    }, cancel);

    public void Dispose()
    {
        lock (_lock)
            _isStopped = true;
        _work.Set();
        bool isDone = _writer.Join(s_stopTimeout);
        EndReading(); // before the writer's, which takes the log with it when it is the last
        if (!isDone)
            return;
        _copying?.Wait();
        _file?.CloseCleanly();
    }

    // ---- Writing: on the writer's thread

    void Write()
    {
        List<Unit> batch = [];
        while (true)
        {
            batch.Clear();
            Thread.Yield(); // who is ready to run on this core may bring more, and a commit costs the same
            lock (_lock)
            {
                if (_queue.Count > 0)
                    (batch, _queue) = (_queue, batch);
                else if (_isStopped)
                    return;
            }
            if (batch.Count == 0)
                _work.WaitOne();
            for (int from = 0; from < batch.Count;)
            {
                int to = from, messages = 0;
                while (to < batch.Count && messages < LongestBatch)
                    messages += batch[to++].Drafts.Count;
                Keep(CollectionsMarshal.AsSpan(batch)[from..to]);
                from = to;
            }
        }
    }

    // One transaction, and then the word of it; or neither.
    void Keep(ReadOnlySpan<Unit> batch)
    {
        var touched = new List<RoomLog>();
        try
        {
            ChatFile file = Writing();
            file.Begin.Run();
            DateTime now = Now; // a batch is of one moment
            foreach (Unit unit in batch)
                if (unit.Room is { } room)
                    Add(file, unit, room, now, touched);
                else
                    file.Probe();
            foreach (RoomLog log in touched)
            {
                WritePages(file, log);
                Trim(file, log);
            }
            file.Commit.Run();
            if (!file.HasLog())
                Reopen();
            SetTrouble(null);
        }
        catch (Exception error) when (error is SqliteException or ChatFileException)
        {
            GiveUp(batch, touched, error);
            return;
        }

        var grown = new List<(ChannelWriter<LogPage>[] Tails, LogPage Page)>();
        lock (_lock)
        {
            foreach (RoomLog log in touched)
            {
                (log.Next, log.First) = (log.NextWritten, log.FirstWritten);
                var page = new LogPage(new LogHead(log.Epoch, FirstOf(log), log.Next), log.Next, log.TakeWritten());
                if (page.Messages.Count > 0 && log.Tails.Count > 0)
                    grown.Add(([.. log.Tails], page));
            }
            if (_logs.Count > _maxRooms)
                foreach (RoomLog idle in _logs.Values.Where(log => log.Tails.Count == 0).ToArray())
                    _logs.Remove(idle.Room);
        }
        // Outside the lock: who follows runs in here.
        foreach ((ChannelWriter<LogPage>[] tails, LogPage page) in grown)
            foreach (ChannelWriter<LogPage> tail in tails)
                tail.TryWrite(page);
        foreach (Unit unit in batch)
            unit.SetResult(unit.Submissions);
        CopyBack(touched); // last, for nobody is to wait for it
    }

    void Add(ChatFile file, Unit unit, string room, DateTime now, List<RoomLog> touched)
    {
        RoomLog log = LogOf(room, file);
        if (!touched.Contains(log))
        {
            touched.Add(log);
            lock (_lock)
                log.IsSpokenIn = true;
            // The file knows best, should another program have written to it.
            (log.NextWritten, log.FirstWritten) = ((file.LastSeq.Bind(1, room).Scalar() ?? 0) + 1, log.First);
            log.WrittenFrom = log.NextWritten;
            if (log.NextWritten == 1)
                file.AddRoom.Bind(1, room).Bind(2, log.Epoch).Run();
        }
        for (int i = 0; i < unit.Drafts.Count; i++)
        {
            Draft draft = unit.Drafts[i];
            if (draft.Key is not null && FindOrAddKey(file, log, draft.Key) is { } known)
            {
                unit.Submissions[i] = new Submission(known, WasKnown: true);
                continue;
            }
            long seq = log.NextWritten++;
            log.Written.Add(new Message(seq, now, draft.Name, draft.Text, draft.Key));
            unit.Submissions[i] = new Submission(seq, WasKnown: false);
        }
    }

    static void WritePages(ChatFile file, RoomLog log)
    {
        ReadOnlySpan<Message> written = CollectionsMarshal.AsSpan(log.Written);
        log.BytesWritten = 0;
        for (int from = 0; from < written.Length;)
        {
            int to = from, bytes = 0;
            while (to < written.Length && to - from < LongestPage && bytes < LargestPage)
                bytes += written[to++].Text.Length;
            file.AddPage.Bind(1, log.Room).Bind(2, written[to - 1].Seq).Bind(3, FormatTime(written[from].At)).Bind(4, PageText.Write(written[from..to])).Run();
            from = to;
            log.BytesWritten += PageBytes + bytes;
        }
    }

    // The seq that has this key; null when none had it, and the next one does now.
    static long? FindOrAddKey(ChatFile file, RoomLog log, string key)
    {
        long hash = HashOf(log.Room, key);
        if (file.AddKey.Bind(1, hash).Bind(2, log.NextWritten).Run() == 1)
            return null;
        // A hash says perhaps, the message says for sure.
        long seq = file.FindKey.Bind(1, hash).Scalar()!.Value;
        string? its = seq >= log.WrittenFrom && seq < log.NextWritten
            ? log.Written[(int)(seq - log.WrittenFrom)].Key
            : PagesFrom(file, log.Room, seq).FirstOrDefault().Messages?.Find(message => message.Seq == seq)?.Key;
        if (its == key)
            return seq;
        file.MoveKey.Bind(1, hash).Bind(2, log.NextWritten).Run();
        return null;
    }

    static long HashOf(string room, string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.ASCII.GetBytes($"{room}/{key}"), hash);
        return BinaryPrimitives.ReadInt64BigEndian(hash);
    }

    // A little each time, so that nobody waits for it. A key outlives its message, for it may be said again.
    void Trim(ChatFile file, RoomLog log)
    {
        if (_keepMessages == 0 || log.NextWritten < log.TrimAt)
            return;
        long first = log.NextWritten - _keepMessages, firstKey = log.NextWritten - KeysKept;
        List<OldPage> forgotten = PagesBefore(file, log.Room, from: 0, Math.Min(first, firstKey));
        foreach (OldPage page in forgotten)
        {
            for (int i = 0; i < page.Keys.Length; i++)
                if (page.Keys[i] is { } key)
                    file.ForgetKey.Bind(1, HashOf(log.Room, key)).Bind(2, page.Last + 1 - page.Keys.Length + i).Run();
            file.ForgetPage.Bind(1, log.Room).Bind(2, page.Last).Run();
            log.FirstWritten = Math.Max(log.FirstWritten, page.Last + 1);
        }
        List<OldPage> stripped = first > firstKey ? PagesBefore(file, log.Room, log.FirstWritten, first) : [];
        foreach (OldPage page in stripped)
        {
            if (page.Keys is [])
                file.ForgetPage.Bind(1, log.Room).Bind(2, page.Last).Run();
            else
                file.SetSaid.Bind(1, log.Room).Bind(2, page.Last).Bind(3, PageText.WriteKeys(page.Keys)).Run();
            log.FirstWritten = page.Last + 1;
        }
        if (log.FirstWritten > log.First)
            file.SetFirst.Bind(1, log.Room).Bind(2, log.FirstWritten).Run();
        bool isAll = forgotten.Count < TrimAtOnce && stripped.Count < TrimAtOnce;
        log.TrimAt = log.NextWritten + (isAll ? Math.Min(_keepMessages, LongestPage) : 1); // worth the look again
    }

    static List<OldPage> PagesBefore(ChatFile file, string room, long from, long before)
    {
        List<OldPage> old = [];
        Statement pages = file.ReadPages.Bind(1, room).Bind(2, from);
        while (old.Count < TrimAtOnce && pages.Step() && pages.Int64(0) < before)
            old.Add(new OldPage(pages.Int64(0), PageText.ReadKeys(pages.Bytes(2))));
        pages.Reset();
        return old;
    }

    void GiveUp(ReadOnlySpan<Unit> batch, List<RoomLog> touched, Exception error)
    {
        SetTrouble(error.Message);
        try
        {
            _file?.Rollback.Run();
        }
        catch (SqliteException) { } // SQLite has rolled back already
        foreach (RoomLog log in touched)
            log.TakeWritten();
        if (_file is not null && error is not SqliteException { SqliteErrorCode: SQLitePCL.raw.SQLITE_BUSY or SQLitePCL.raw.SQLITE_FULL })
            _file.IsWhole = false;
        foreach (Unit unit in batch)
            unit.SetException(new StoreUnavailableException(error.Message, error));
    }

    // By another thread, for it takes a while; then what came meanwhile, which is little, so that the log can begin anew.
    void CopyBack(List<RoomLog> touched)
    {
        foreach (RoomLog log in touched)
            _logged += log.BytesWritten;
        if (_copying is { IsCompleted: true })
        {
            _copying = null;
            try
            {
                _file!.CopyBack();
            }
            catch (SqliteException error)
            {
                SetTrouble(error.Message); // the log has everything, and gets longer
            }
        }
        else if (_copying is null && _logged > LongLog)
        {
            _logged = 0;
            _copying = Task.Run(() => ChatFile.CopyBack(_path));
        }
    }

    ChatFile Writing() => _file is { IsWhole: true } ? _file : Reopen();

    // After a failure that may lie in the connection, or when somebody has deleted the log under us: ours, still open, is copied back.
    ChatFile Reopen()
    {
        EndReading(); // its idea of the log is the old one
        _copying?.Wait();
        _file?.CloseCleanly();
        _file = null;
        return _file = ChatFile.OpenForWriting(_path, _isDurable);
    }

    void SetTrouble(string? trouble)
    {
        if (trouble == _trouble)
            return;
        _trouble = trouble;
        if (trouble is null)
            _log.StoreRecovered();
        else
            _log.StoreFailed(trouble);
    }

    // ---- Reading

    async ValueTask<T> ReadAsync<T>(Func<ChatFile, T> read, CancellationToken cancel)
    {
        for (int tries = 0; ; tries++)
        {
            await _turn.WaitAsync(cancel);
            try
            {
                // Off this thread, which may be the writer's.
                return await Task.Run(() => read(_reading ??= ChatFile.OpenForReading(_path)), cancel);
            }
            catch (SqliteException error)
            {
                _reading?.Dispose();
                _reading = null;
                if (tries > 0)
                    throw new StoreUnavailableException(error.Message, error);
            }
            finally
            {
                _turn.Release();
            }
            await ((Task)ProbeAsync()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // the writer mends what can be mended
        }
    }

    void EndReading()
    {
        _turn.Wait();
        _reading?.Dispose();
        _reading = null;
        _turn.Release();
    }

    static IEnumerable<Page> PagesFrom(ChatFile file, string room, long seq)
    {
        Statement pages = file.ReadPages.Bind(1, room).Bind(2, seq);
        try
        {
            while (pages.Step())
            {
                (long last, DateTime at) = (pages.Int64(0), ParseTime(pages.Text(1)!));
                List<PageText.Entry> said = PageText.Read(pages.Bytes(2));
                long next = last + 1 - said.Count;
                yield return new Page(last, said.ConvertAll(entry => new Message(next++, at, entry.Name, entry.Text ?? [], entry.Key)));
            }
        }
        finally
        {
            pages.Reset();
        }
    }

    // ---- Both

    RoomLog LogOf(string room, ChatFile file)
    {
        lock (_lock)
            if (_logs.TryGetValue(room, out RoomLog? known))
                return known;
        var log = new RoomLog(room, _newEpoch);
        Statement find = file.FindRoom.Bind(1, room);
        if (find.Step())
            (log.Epoch, log.First) = (find.Text(0)!, find.Int64(1));
        find.Reset();
        log.Next = (file.LastSeq.Bind(1, room).Scalar() ?? 0) + 1;
        lock (_lock)
            return _logs.TryAdd(room, log) ? log : _logs[room];
    }

    long FirstOf(RoomLog log) => _keepMessages == 0 ? log.First : Math.Max(log.First, log.Next - _keepMessages);

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

    readonly record struct Page(long Last, List<Message> Messages);

    readonly record struct OldPage(long Last, string?[] Keys);

    sealed class RoomLog(string room, string epoch)
    {
        public readonly string Room = room;
        public string Epoch = epoch;
        public long First = 1, Next = 1; // committed
        public readonly List<ChannelWriter<LogPage>> Tails = [];
        public bool IsSpokenIn;

        // The writer's: what the transaction of the moment makes of it.
        public long FirstWritten, WrittenFrom, NextWritten;
        public long TrimAt; // the seq at which it is worth looking for what is no longer kept
        public List<Message> Written = [];
        public long BytesWritten;

        public List<Message> TakeWritten()
        {
            List<Message> written = Written;
            Written = [];
            return written;
        }
    }

    /// <summary>What was submitted at once. Without a room it only asks whether a transaction goes through.</summary>
    sealed class Unit(string? room, IReadOnlyList<Draft> drafts) : TaskCompletionSource<Submission[]>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public readonly string? Room = room;
        public readonly IReadOnlyList<Draft> Drafts = drafts;
        public readonly Submission[] Submissions = new Submission[drafts.Count];
    }
}
