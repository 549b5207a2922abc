using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The writer is the only one that writes to the file, on one thread at a time: the loop's. What was submitted since it was last there is
/// its next batch, one transaction (group commit). When that is committed it tells whoever follows the room, in order, and then whoever
/// submitted it.
/// </summary>
/// <remarks>
/// Nothing that fails here costs more than its batch: it is rolled back and refused, and the next one gets another connection. Between two
/// batches, and only then, it does what it was asked (follow a log), so that nothing is committed meanwhile. What it owns is without
/// locks: the file, the transaction, the trouble. What others may look at has its own lock: the queue, the table of logs. Before it waits
/// for the disk it hands the loop over, so that others are received from meanwhile.
/// </remarks>
sealed class Writer : IDisposable
{
    const int LongestBatch = 8192;     // messages a transaction: what comes later does not wait longer than that
    const int LargestBatch = 4 << 20;  // bytes of them, for the same reason
    const int LargeProbe = 256 << 10;  // bytes: while something is wrong, there must be room for a long message

    static readonly TimeSpan s_slow = TimeSpan.FromMilliseconds(20); // a commit that waits for the disk, and not for the processor
    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(1);

    readonly TimeProvider _clock;
    readonly ILogger _log;
    readonly Readers _readers;
    readonly Action<string> _grown; // called with a room that something was committed to
    readonly Retention _retention;
    readonly FreeSpace _freeSpace;
    readonly RoomLogs _logs;
    readonly LiveFile _live;
    readonly bool _isDurable;
    readonly Loop _loop;
    readonly Action _work;
    readonly WriterQueue _queue;
    readonly ManualResetEventSlim _ended = new();
    int _isBusy; // 1 while a thread is at what follows, and in the file
    readonly Trouble _trouble;
    List<Submitted> _submitted = [];
    List<Action> _asked = [];
    bool _isSlow = true; // the next commit is: the first one into a WAL that begins waits for the disk, and so does one after a slow one

    /// <exception cref="ChatFileException">The file cannot be used, and why.</exception>
    public Writer(string path, ChatOptions options, TimeProvider clock, ILogger log, Loop loop, Readers readers, Action<string> grown)
    {
        (_clock, _log, _loop, _readers, _grown, _trouble) = (clock, log, loop, readers, grown, new(log));
        _work = Work;
        _queue = new WriterQueue(() => loop.Post(_work));
        _isDurable = options.IsDurable;
        _retention = new Retention(options);
        _freeSpace = new FreeSpace(path, options.MinFreeBytes, clock);
        _logs = new RoomLogs(_retention, log);
        _live = new LiveFile(path, options.IsDurable, readers, _logs.BeginAnew, log);
        try
        {
            _live.Open();
        }
        catch (ChatFileException error) when (error.MayPass && readers.CanRead)
        {
            _trouble.Why = error.Message;
        }
        catch
        {
            _live.Dispose();
            throw;
        }
    }

    public string NewEpoch => _logs.NewEpoch;

    public LogHead Clip(LogHead head) => _retention.Clip(head);

    public LogHead? HeadOf(string room) => _logs.HeadOf(room);

    /// <summary>Without a room it only asks whether a transaction goes through.</summary>
    public Task<Submission[]> SubmitAsync(string? room, IReadOnlyList<Draft> drafts)
    {
        var submitted = new Submitted(room, drafts);
        _queue.Add(submitted);
        return submitted.Task;
    }

    public Task<IDisposable> FollowAsync(string room, Action<LogPage> tell)
    {
        var follows = new TaskCompletionSource<IDisposable>(TaskCreationOptions.RunContinuationsAsynchronously);
        _queue.Add(() => Follow(room, tell, follows));
        return follows.Task;
    }

    /// <summary>Commits what was submitted before, if the disk lets it; then closes the file.</summary>
    public void Dispose()
    {
        if (!_queue.TryStop())
            return;
        bool isDone = !_loop.IsRunning || _ended.Wait(s_stopTimeout);
        _readers.Dispose(); // before the writer's, which takes the WAL with it when it is the last
        if (isDone) // else the disk hangs: the process ends, and the next start finds the WAL
            Task.Run(_live.Dispose).Wait(s_stopTimeout); // a checkpoint may wait for the disk as well
    }

    // ---- From here on, on the loop; or on the thread that led it until the disk was to be waited for

    // Whenever something was added to an empty queue.
    void Work()
    {
        if (Interlocked.CompareExchange(ref _isBusy, 1, 0) != 0)
            return; // whoever is at it looks again
        try
        {
            if (_queue.Take(ref _submitted, ref _asked))
                CommitAll();
            else
                _ended.Set();
        }
        finally
        {
            _asked.Clear();
            _submitted.Clear();
            Interlocked.Exchange(ref _isBusy, 0);
            if (_queue.IsWaiting && !_ended.IsSet) // whoever came while this was busy has gone again
                _loop.Post(_work);
        }
    }

    void CommitAll()
    {
        foreach (Action action in _asked)
            action();
        for (int from = 0; from < _submitted.Count;)
        {
            int to = from, messages = 0, bytes = 0;
            while (to < _submitted.Count && messages < LongestBatch && bytes < LargestBatch)
                (messages, bytes) = (messages + _submitted[to].Drafts.Count, bytes + _submitted[to++].Bytes);
            CommitAndPublish(CollectionsMarshal.AsSpan(_submitted)[from..to], messages);
            from = to;
            _queue.Done(bytes);
        }
    }

    // Commits the batch, then publishes it; on failure, neither. Whatever happens, everyone gets an answer, and the thread goes on.
    void CommitAndPublish(ReadOnlySpan<Submitted> batch, int messages)
    {
        if (_isDurable || _isSlow)
            _loop.HandOver();
        long begun = Stopwatch.GetTimestamp();
        try
        {
            Commit(batch);
            if (messages > 0)
                Metrics.Committed(messages, Stopwatch.GetElapsedTime(begun), _live.WalLength);
        }
        catch (Exception error)
        {
            GiveUp(batch, error);
            return;
        }
        finally
        {
            _isSlow = Stopwatch.GetElapsedTime(begun) >= s_slow;
        }
        try
        {
            _trouble.Why = null;
            _logs.Publish();
            foreach (RoomLog log in _logs.Touched)
                _grown(log.Room);
            Loop.ServeGrown(); // before anything else waits for the disk
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
        _freeSpace.Check();
        ChatFile file = _live.ForBatch();
        file.Begin.Run();
        _logs.BeginTransaction(file);
        var now = MessageTime.Now(_clock); // a batch is of one moment
        foreach (Submitted submitted in batch)
            if (submitted.Room is { } room)
                Add(file, _logs.Touch(file, room), submitted, now);
            else
                Rows.Probe(file, _trouble.Why is null ? 1 : LargeProbe);
        Known known = Write(file, now);
        file.Commit.Run();
        _live.Settle(known);
    }

    // What was added, and what follows from it. Returns what is known of the file when that is committed.
    Known Write(ChatFile file, DateTime now)
    {
        Known known = _live.Known;
        bool isTrimmed = false;
        foreach (RoomLog log in _logs.Touched)
        {
            _live.Checkpoints.Note(log.Id, log.Next, Batch.Write(file, log));
            isTrimmed |= _retention.Trim(file, log, now);
        }
        if (isTrimmed) // perhaps of the newest page
            _live.Remember(known = known with { Page = 0, At = Known.NoTime });
        if (_logs.Touched.LastOrDefault(log => log.Written.Count > 0) is { } newest)
            known = known with { Page = Rows.IdOf(newest.Id, newest.Next - 1), At = Rows.FormatTime(now) };
        return _live.Checkpoints.Mark(file, known);
    }

    static void Add(ChatFile file, RoomLog log, Submitted submitted, DateTime now)
    {
        for (int i = 0; i < submitted.Drafts.Count; i++)
            submitted.Submissions[i] = Batch.Add(file, log, submitted.Drafts[i], now);
    }

    void Follow(string room, Action<LogPage> tell, TaskCompletionSource<IDisposable> follows)
    {
        try
        {
            // Nothing is committed meanwhile, so this is where the log is. A reader can be had even when the file cannot be written to.
            LogHead head = HeadOf(room)
                ?? Clip((_live.Current is { } file ? Rows.ReadHead(file, room,
                    NewEpoch) : _readers.Read(file => Rows.ReadHead(file, room, NewEpoch))).Head);
            follows.SetResult(_logs.Follow(room, tell, head));
        }
        catch (Exception error)
        {
            follows.SetException(new StoreUnavailableException(error.Message, error));
        }
    }

    void GiveUp(ReadOnlySpan<Submitted> batch, Exception error)
    {
        Metrics.CommitFailed();
        if (error is not (SqliteException or ChatFileException or StoreUnavailableException))
            _log.WriterFailed(error); // unexpected: with its stack
        _trouble.Why = error.Message;
        _live.Rollback(mayBeBroken: error is not (StoreUnavailableException
            or SqliteException { SqliteErrorCode: SQLITE_BUSY or SQLITE_FULL }));
        _logs.TakeBack();
        foreach (Submitted submitted in batch)
            submitted.SetException(new StoreUnavailableException(error.Message, error));
    }

    void Checkpoint()
    {
        try
        {
            if (_live.Checkpoints.IsEnding)
            {
                _isSlow = true;
                _loop.HandOver();
            }
            _live.Checkpoint();
        }
        catch (SqliteException error)
        {
            _trouble.Why = error.Message; // the WAL has everything, and gets longer
        }
        catch (Exception error) // unexpected, and no reason to end: everything is committed
        {
            _log.WriterFailed(error);
        }
    }
}
