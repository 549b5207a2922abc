using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The writer is one thread, the only one that writes to the file. What was submitted while it was busy is its next batch, one
/// transaction (group commit). When that is committed it tells whoever follows the room, in order, and then whoever submitted it.
/// </summary>
/// <remarks>
/// Nothing that fails here costs more than its batch: it is rolled back and refused, and the next one gets another connection. Between two
/// batches, and only then, the thread does what it was asked (follow a log), so that nothing is committed meanwhile. What it owns is
/// without locks: the file, the transaction, the trouble. What others may look at has its own lock: the queue, the table of logs.
/// </remarks>
sealed class Writer : IDisposable
{
    const int LongestBatch = 8192;     // messages a transaction: what comes later does not wait longer than that
    const int LargestBatch = 4 << 20;  // bytes of them, for the same reason
    const int LargeProbe = 256 << 10;  // bytes: while something is wrong, there must be room for a long message

    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(1);

    readonly TimeProvider _clock;
    readonly ILogger _log;
    readonly Readers _readers;
    readonly Action<string> _grown; // called with a room that something was committed to
    readonly Retention _retention;
    readonly FreeSpace _freeSpace;
    readonly RoomLogs _logs;
    readonly LiveFile _live;
    readonly WriterQueue _queue = new();
    readonly Trouble _trouble; // the thread's
    Thread? _thread;

    /// <exception cref="ChatFileException">The file cannot be used, and why.</exception>
    public Writer(string path, ChatOptions options, TimeProvider clock, ILogger log, Readers readers, Action<string> grown)
    {
        (_clock, _log, _readers, _grown, _trouble) = (clock, log, readers, grown, new(log));
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

    public void Start()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "sqlite writer" };
        _thread.Start();
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
        bool isDone = _thread?.Join(s_stopTimeout) ?? true;
        _readers.Dispose(); // before the writer's, which takes the WAL with it when it is the last
        if (!isDone)
            return; // the disk hangs: the process ends, and the next start finds the WAL
        _live.Dispose();
        _queue.Dispose();
    }

    // ---- From here on, on the thread

    void Run()
    {
        List<Submitted> submitted = [];
        List<Action> asked = [];
        while (_queue.Take(ref submitted, ref asked))
        {
            foreach (Action action in asked)
                action();
            asked.Clear();
            for (int from = 0; from < submitted.Count;)
            {
                int to = from, messages = 0, bytes = 0;
                while (to < submitted.Count && messages < LongestBatch && bytes < LargestBatch)
                    (messages, bytes) = (messages + submitted[to].Drafts.Count, bytes + submitted[to++].Bytes);
                CommitAndPublish(CollectionsMarshal.AsSpan(submitted)[from..to], messages);
                from = to;
                _queue.Done(bytes);
            }
            submitted.Clear();
        }
    }

    // Commits the batch, then publishes it; on failure, neither. Whatever happens, everyone gets an answer, and the thread goes on.
    void CommitAndPublish(ReadOnlySpan<Submitted> batch, int messages)
    {
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
        try
        {
            _trouble.Why = null;
            _logs.Publish();
            foreach (RoomLog log in _logs.Touched)
                _grown(log.Room);
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
        _logs.BeginTransaction();
        _freeSpace.Check();
        ChatFile file = _live.ForBatch();
        file.Begin.Run();
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
