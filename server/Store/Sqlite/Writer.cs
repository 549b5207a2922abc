using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The writer is one thread, the only one that writes to the file. What was submitted while it was busy is its next batch, one
/// transaction; what is committed it tells, in order, to who follows the room, and then to who submitted it (group commit).
/// </summary>
/// <remarks>Nothing that fails here costs more than its batch: it is rolled back and refused, and the next one gets another connection.</remarks>
sealed class Writer : IDisposable
{
    const int LongestBatch = 8192;     // messages a transaction: what comes later does not wait longer than that
    const int LargestBatch = 4 << 20;  // bytes of them, likewise
    const int LargestQueue = 64 << 20; // bytes that wait, of everyone together: about a second's worth; beyond it messages are refused
    const int LongWal = 4 << 20;       // bytes written, more or less, between two checkpoints
    const long LargeWal = 64 << 20;    // bytes on the disk that the operator is told of, and then of each doubling
    const int LargeProbe = 256 << 10;  // bytes: while something is wrong, there must be room for a long message
    const int MostIdleLogs = 1024;     // rooms that nobody follows: to know them saves little

    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(1);

    readonly string _path;
    readonly bool _isDurable;
    readonly long _minFreeBytes;
    readonly Retention _retention;
    readonly TimeProvider _clock;
    readonly ILogger _log;
    readonly Readers _readers;
    readonly LockFile _lockFile;
    readonly Thread _thread;
    readonly AutoResetEvent _work = new(false);

    readonly Lock _lock = new(); // guards what follows; not held while a transaction runs, nor while somebody is told
    readonly Dictionary<string, RoomLog> _logs = [];
    List<Submitted> _queue = [];
    List<Action> _asked = []; // what is to be done between two transactions
    long _waitingBytes;
    bool _isStopped;

    // The thread's.
    ChatFile? _file; // null until it can be had
    FilePlace _place;
    long? _freeSeenAt;
    long _toldWal = LargeWal / 2;
    readonly List<RoomLog> _touched = []; // by the transaction of the moment
    readonly Dictionary<long, long> _ends = []; // next by room id, of rooms that have grown since their rows were told
    long _writtenBytes; // more or less, since the last checkpoint began
    Task? _checkpoint;
    volatile string? _trouble;

    /// <exception cref="ChatFileException">The file cannot be used, and why.</exception>
    public Writer(string path, ChatOptions options, TimeProvider clock, ILogger log, Readers readers)
    {
        (_path, _isDurable, _minFreeBytes, _clock, _log, _readers) = (path, options.IsDurable, options.MinFreeBytes, clock, log, readers);
        (_retention, _lockFile, _place) = (new Retention(options), new LockFile(path), new FilePlace(path));
        try
        {
            _lockFile.Take();
            _file = Open();
        }
        catch (ChatFileException error) when (error.MayPass)
        {
            CheckThatItCanBeRead(error);
            SetTrouble(error.Message);
        }
        catch
        {
            _lockFile.Dispose();
            throw;
        }
        _thread = new Thread(Run) { IsBackground = true, Name = "sqlite writer" };
        _thread.Start();
    }

    /// <summary>The epoch of rooms that begin in this file while this process runs.</summary>
    public string NewEpoch { get; private set; } = Guid.NewGuid().ToString("N");

    public LogHead Clip(LogHead head) => _retention.Clip(head);

    /// <summary>Where a log is that is known here: it may be ahead of what the file shows, for rows can be deleted. Null: ask the file.</summary>
    public LogHead? HeadOf(string room)
    {
        lock (_lock)
            return _logs.TryGetValue(room, out RoomLog? log) ? log.Head : null;
    }

    /// <summary>Without a room it only asks whether a transaction goes through.</summary>
    public Task<Submission[]> SubmitAsync(string? room, IReadOnlyList<Draft> drafts)
    {
        var submitted = new Submitted(room, drafts);
        lock (_lock)
        {
            ThrowIfStopped();
            if (_waitingBytes > 0 && _waitingBytes + submitted.Bytes > LargestQueue)
                throw new StoreUnavailableException($"{_waitingBytes} bytes of messages wait for the disk already");
            _waitingBytes += submitted.Bytes;
            _queue.Add(submitted);
            if (_queue.Count == 1)
                _work.Set();
        }
        return submitted.Task;
    }

    public Task<IDisposable> FollowAsync(string room, Action<LogPage> tell)
    {
        var follows = new TaskCompletionSource<IDisposable>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            ThrowIfStopped();
            _asked.Add(() => Follow(room, tell, follows));
            _work.Set();
        }
        return follows.Task;
    }

    /// <summary>Commits what was submitted before, if the disk lets it.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isStopped)
                return;
            _isStopped = true;
        }
        _work.Set();
        bool isDone = _thread.Join(s_stopTimeout);
        _readers.Dispose(); // before the writer's, which takes the WAL with it when it is the last
        if (!isDone)
            return;
        _checkpoint?.Wait();
        CloseFile();
        _lockFile.Dispose();
        _work.Dispose();
    }

    void CheckThatItCanBeRead(ChatFileException why)
    {
        try
        {
            _readers.Read(file => file.ReadHead("", ""));
        }
        catch (SqliteException)
        {
            throw why;
        }
    }

    void ThrowIfStopped()
    {
        if (_isStopped)
            throw new StoreUnavailableException("the server is shutting down");
    }

    // ---- From here on, on the thread

    void Run()
    {
        List<Submitted> queue = [];
        List<Action> asked = [];
        while (true)
        {
            queue.Clear();
            asked.Clear();
            Thread.Yield(); // who is ready to run on this core may bring more, and a commit costs the same
            lock (_lock)
            {
                (queue, _queue, asked, _asked) = (_queue, queue, _asked, asked);
                if (queue.Count + asked.Count == 0 && _isStopped)
                    return;
            }
            if (queue.Count + asked.Count == 0)
                _work.WaitOne();
            foreach (Action action in asked)
                action();
            for (int from = 0; from < queue.Count;)
            {
                int to = from, messages = 0, bytes = 0;
                while (to < queue.Count && messages < LongestBatch && bytes < LargestBatch)
                    (messages, bytes) = (messages + queue[to].Drafts.Count, bytes + queue[to++].Bytes);
                Keep(CollectionsMarshal.AsSpan(queue)[from..to]);
                from = to;
                lock (_lock)
                    _waitingBytes -= bytes;
            }
        }
    }

    // One transaction, and then the news of it; or neither. Whatever happens, everyone gets an answer, and the thread goes on.
    void Keep(ReadOnlySpan<Submitted> batch)
    {
        try
        {
            Commit(batch);
        }
        catch (Exception error)
        {
            GiveUp(batch, error);
            return;
        }
        try
        {
            SetTrouble(null);
            Publish();
        }
        catch (Exception error) // a bug; what is committed is committed
        {
            _log.WriterFailed(error);
        }
        foreach (Submitted submitted in batch)
            submitted.SetResult(submitted.Submissions);
        Checkpoint(); // last, for nobody is to wait for it
    }

    void Commit(ReadOnlySpan<Submitted> batch)
    {
        _touched.Clear();
        CheckFreeBytes();
        if (_file is not { IsWhole: true } || _file.HasMoved)
            Reopen();
        ChatFile file = _file!;
        file.Begin.Run();
        DateTime now = Now; // a batch is of one moment
        foreach (Submitted submitted in batch)
            if (submitted.Room is { } room)
                Add(file, LogOf(file, room), submitted, now);
            else
                file.Probe(_trouble is null ? 1 : LargeProbe);
        Known known = Write(file, now);
        file.Commit.Run();
        _lockFile.Remember(known);
        Settle();
    }

    // What was added, and what follows from it. Returns what is known of the file when that is committed.
    Known Write(ChatFile file, DateTime now)
    {
        Known known = _lockFile.Known!.Value;
        bool isTrimmed = false;
        foreach (RoomLog log in _touched)
        {
            _writtenBytes += Batch.Write(file, log);
            _ends[log.Id] = log.Next;
            isTrimmed |= _retention.Trim(file, log, now);
        }
        if (isTrimmed) // perhaps of the newest page
            _lockFile.Remember(known = known with { Page = 0, At = Known.NoTime });
        if (_touched.FindLast(log => log.Written.Count > 0) is { } newest)
            known = known with { Page = Page.IdOf(newest.Id, newest.Next - 1), At = Page.FormatTime(now) };
        if (_checkpoint is null && _writtenBytes > LongWal && known.Old == known.Mark)
        {
            _lockFile.Remember(_lockFile.Known!.Value with { Old = known.Mark, Mark = ChatFile.NewMark() });
            known = known with { Old = known.Mark, Mark = _lockFile.Known!.Value.Mark };
            file.SetMark.Bind(1, known.Mark).Run();
            KeepEnds(file);
        }
        return known;
    }

    // It is committed: also where the next start will look for it? Where our handles have everything it is put there.
    void Settle()
    {
        Place place = _place.Look(_file!, _lockFile.Known!.Value, isCheckpointing: _checkpoint is not null);
        if (place == Place.Same)
            return;
        _log.FileMoved(_path, place);
        if (place is Place.Gone or Place.NoWal)
            Reopen();
        else
            _file!.IsWhole = false; // the next batch opens what is there now
        if (_file is not { IsWhole: true, IsAnother: false })
            throw new StoreUnavailableException($"{_path} was replaced");
    }

    // For messages, not for what is read. Asked once a second, for it asks the disk.
    void CheckFreeBytes()
    {
        if (_minFreeBytes == 0 || (_freeSeenAt is { } at && _clock.GetElapsedTime(at) < TimeSpan.FromSeconds(1)))
            return;
        if (new DriveInfo(Path.GetDirectoryName(_path)!).AvailableFreeSpace < _minFreeBytes)
            throw new StoreUnavailableException($"less than {_minFreeBytes} bytes are free on the disk of {_path} (Chat:MinFreeBytes)");
        _freeSeenAt = _clock.GetTimestamp();
    }

    // Now and then, so that rows that somebody deletes at the end of a log later on are known to be missing.
    void KeepEnds(ChatFile file)
    {
        foreach ((long id, long next) in _ends)
            file.SetNext.Bind(1, id).Bind(2, next).Run();
    }

    static void Add(ChatFile file, RoomLog log, Submitted submitted, DateTime now)
    {
        for (int i = 0; i < submitted.Drafts.Count; i++)
            submitted.Submissions[i] = Batch.Add(file, log, submitted.Drafts[i], now);
    }

    // The log as this transaction finds it. The file knows best, should another program have written to it; except that a seq that
    // was told is never given again, whatever has become of its row.
    RoomLog LogOf(ChatFile file, string room)
    {
        RoomLog? log;
        lock (_lock)
            _logs.TryGetValue(room, out log);
        if (log is not null && _touched.Contains(log))
            return log;
        (long id, LogHead head) = file.ReadHead(room, log?.Head.Epoch ?? NewEpoch);
        if (id == 0)
        {
            if (log is { Head.Next: > 1 }) // somebody has deleted the room: this is another log
                head = head with { Epoch = Guid.NewGuid().ToString("N") };
            file.AddRoom.Bind(1, room).Bind(2, head.Epoch).Run();
            (id, head) = file.ReadHead(room, head.Epoch);
        }
        if (log is null)
        {
            log = new RoomLog(room, _retention.Clip(head));
            lock (_lock)
                _logs.Add(room, log);
        }
        log.Begin(id, head);
        _touched.Add(log);
        return log;
    }

    void Publish()
    {
        var told = new List<(Follower[] Followers, LogPage Page)>();
        lock (_lock)
        {
            foreach (RoomLog log in _touched)
            {
                LogHead head = _retention.Clip(new LogHead(log.Epoch, log.First, log.Next));
                if (head.Epoch != log.Head.Epoch)
                    told.Add(([.. log.Followers], new LogPage(head with { Next = log.From }, log.From, [])));
                log.Head = head;
                if (log.TakeWritten() is { Count: > 0 } written && log.Followers.Count > 0)
                    told.Add(([.. log.Followers], new LogPage(head, head.Next, written)));
            }
            if (_logs.Count > MostIdleLogs)
                foreach (RoomLog idle in _logs.Values.Where(log => log.Followers.Count == 0).ToArray())
                    _logs.Remove(idle.Room);
        }
        foreach ((Follower[] followers, LogPage page) in told)
            foreach (Follower follower in followers)
                Tell(follower, page);
    }

    void Tell(Follower follower, LogPage page)
    {
        try
        {
            follower.Tell(page);
        }
        catch (Exception error) // a bug of the follower's: it is told the next page all the same, and the others this one
        {
            _log.FollowerFailed(error, follower.Room);
        }
    }

    void Follow(string room, Action<LogPage> tell, TaskCompletionSource<IDisposable> follows)
    {
        try
        {
            var follower = new Follower(room, tell, Leave);
            // Nothing is committed meanwhile, so this is where the log is. A reader can be had even when the file cannot be written to.
            LogHead head = HeadOf(room)
                ?? _retention.Clip((_file is { IsWhole: true } file ? file.ReadHead(room, NewEpoch) : _readers.Read(file => file.ReadHead(room, NewEpoch))).Head);
            lock (_lock)
            {
                if (!_logs.TryGetValue(room, out RoomLog? log))
                    _logs.Add(room, log = new RoomLog(room, head));
                log.Followers.Add(follower);
            }
            Tell(follower, new LogPage(head, head.Next, []));
            follows.SetResult(follower);
        }
        catch (Exception error)
        {
            follows.SetException(new StoreUnavailableException(error.Message, error));
        }
    }

    // On any thread.
    void Leave(Follower follower)
    {
        lock (_lock)
            if (_logs.TryGetValue(follower.Room, out RoomLog? log) && log.Followers.Remove(follower) && log is { Followers.Count: 0, Id: 0 })
                _logs.Remove(follower.Room); // people only looked in
    }

    void GiveUp(ReadOnlySpan<Submitted> batch, Exception error)
    {
        if (error is not (SqliteException or ChatFileException or StoreUnavailableException))
            _log.WriterFailed(error); // unexpected: with its stack
        SetTrouble(error.Message);
        try
        {
            _file?.Rollback.Run();
        }
        catch (Exception second) when (second is SqliteException or ObjectDisposedException) { } // it is rolled back already
        foreach (RoomLog log in _touched)
            log.TakeWritten();
        if (_file is not null && error is not StoreUnavailableException and not SqliteException { SqliteErrorCode: SQLitePCL.raw.SQLITE_BUSY or SQLitePCL.raw.SQLITE_FULL })
            _file.IsWhole = false;
        foreach (Submitted submitted in batch)
            submitted.SetException(new StoreUnavailableException(error.Message, error));
    }

    // By another thread, for it takes a while; then what came meanwhile, which is little, so that the WAL can begin anew.
    void Checkpoint()
    {
        if (_checkpoint is { IsCompleted: true })
        {
            _checkpoint = null;
            try
            {
                _file!.Checkpoint();
                ChatFile.ForgetOldMark(_path, _lockFile);
            }
            catch (SqliteException error)
            {
                SetTrouble(error.Message); // the WAL has everything, and gets longer
            }
            if (_place.WalLength >= 2 * _toldWal)
                _log.LargeWal(ChatFile.WalOf(_path), (_toldWal = _place.WalLength) >> 20);
        }
        else if (_checkpoint is null && _writtenBytes > LongWal)
        {
            _writtenBytes = 0;
            _ends.Clear();
            _checkpoint = Task.Run(() => ChatFile.Checkpoint(_path));
        }
    }

    // After a failure that may lie in the connection, or when the file is not where it was.
    void Reopen()
    {
        _lockFile.Take(); // it may have been deleted with the file, and another server have come
        _readers.Without(() =>
        {
            _checkpoint?.Wait();
            _checkpoint = null;
            if (_file is { HasMoved: true } && !File.Exists(_path))
                PutBack(_file);
            CloseFile();
            _file = Open();
            if (_file.IsAnother)
                BeginAnew();
        });
    }

    // Somebody has deleted or renamed the file: our connection still has it, and all that was committed.
    void PutBack(ChatFile file)
    {
        string copy = _path + "-new";
        File.Delete(copy);
        file.CopyTo(copy);
        File.Delete(ChatFile.WalOf(_path)); // ours, without its file
        File.Delete(_path + "-shm");
        File.Move(copy, _path);
    }

    ChatFile Open()
    {
        var file = ChatFile.OpenForWriting(_path, _isDurable, _lockFile);
        _place = new FilePlace(_path);
        if (file.HadStaleWal)
            _log.StaleWal(ChatFile.WalOf(_path));
        if (file.IsAnother)
            _log.AnotherLog(_path);
        return file;
    }

    // What is in the file now are other logs: new epochs, and everyone who follows is told.
    void BeginAnew()
    {
        NewEpoch = Guid.NewGuid().ToString("N");
        _ends.Clear();
        var told = new List<(Follower[] Followers, LogPage Page)>();
        lock (_lock)
            foreach (RoomLog log in _logs.Values.ToArray())
                if (log.Followers.Count == 0)
                {
                    _logs.Remove(log.Room);
                }
                else
                {
                    log.Reset(_retention.Clip(_file!.ReadHead(log.Room, NewEpoch).Head));
                    told.Add(([.. log.Followers], new LogPage(log.Head, log.Head.Next, [])));
                }
        foreach ((Follower[] followers, LogPage page) in told)
            foreach (Follower follower in followers)
                Tell(follower, page);
    }

    void CloseFile()
    {
        if (_file is { HasMoved: false } file && _place.Look(file, _lockFile.Known ?? default, isCheckpointing: false) == Place.Overwritten)
        {
            file.CloseAsItIs();
            _file = null;
            return;
        }
        try
        {
            if (_file is not null)
                KeepEnds(_file);
        }
        catch (SqliteException) { } // they are as they were
        _file?.CloseCleanly();
        _file = null;
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

    // Whole milliseconds, as they are kept: a message reads the same from wherever it comes.
    DateTime Now
    {
        get
        {
            DateTime now = _clock.GetUtcNow().UtcDateTime;
            return now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMillisecond));
        }
    }

    /// <summary>What one client submitted at once. Without a room it only asks whether a transaction goes through.</summary>
    sealed class Submitted : TaskCompletionSource<Submission[]>
    {
        const int Overhead = 128; // bytes a draft, beside its text

        public readonly string? Room;
        public readonly IReadOnlyList<Draft> Drafts;
        public readonly Submission[] Submissions;
        public readonly int Bytes;

        public Submitted(string? room, IReadOnlyList<Draft> drafts) : base(TaskCreationOptions.RunContinuationsAsynchronously)
        {
            (Room, Drafts, Submissions) = (room, drafts, new Submission[drafts.Count]);
            for (int i = 0; i < drafts.Count; i++)
                Bytes += drafts[i].Text.Length + Overhead;
        }
    }
}
