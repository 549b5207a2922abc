namespace ChatMinimal.Sqlite;

/// <summary>
/// The logs that the writer knows, and who follows them. A follower is told, by the writer, where the log is, and then everything
/// that is committed, in order: it joins between two batches, so nothing falls between.
/// </summary>
sealed class RoomLogs(Retention retention, ILogger log)
{
    const int MostIdle = 1024; // rooms that nobody follows: to know them saves little

    // Guards the table, each log's followers and its head, which are for everyone; never held while a transaction runs, nor while a
    // follower is told.
    readonly Lock _lock = new();
    readonly Dictionary<string, RoomLog> _logs = [];

    // The writer's.
    readonly List<RoomLog> _touched = []; // by the transaction of the moment
    long _transaction; // the number of that one
    long _changed;     // the number of the first one that found the file as it is, but for what was written here
    (ChatFile? File, long Version) _seen;

    /// <summary>The epoch of rooms that begin in this file while this process runs.</summary>
    public string NewEpoch { get; private set; } = Guid.NewGuid().ToString("N");

    public IReadOnlyList<RoomLog> Touched => _touched;

    /// <summary>
    /// Where a log is that is known here: it may be ahead of what the file shows, for rows can be deleted. Null: ask the file.
    /// </summary>
    public LogHead? HeadOf(string room)
    {
        lock (_lock)
            return _logs.TryGetValue(room, out RoomLog? log) ? log.Head : null;
    }

    /// <summary>It has begun in this file.</summary>
    public void BeginTransaction(ChatFile file)
    {
        _touched.Clear();
        _transaction++;
        (ChatFile?, long) found = (file, file.DataVersion.Scalar()!.Value);
        if (found != _seen) // another program has written to it, or it was opened anew
            (_seen, _changed) = (found, _transaction);
    }

    /// <summary>
    /// The log as this transaction finds it. The file knows best, should another program have written to it; except that a seq that was
    /// told is never given again, whatever has become of its row.
    /// </summary>
    public RoomLog Touch(ChatFile file, string room)
    {
        RoomLog? log;
        lock (_lock)
            _logs.TryGetValue(room, out log);
        if (log is null || log.Transaction < _changed)
            log = Read(file, room, log);
        else if (log.Transaction == _transaction)
            return log;
        else
            log.Begin();
        log.Transaction = _transaction;
        _touched.Add(log);
        return log;
    }

    RoomLog Read(ChatFile file, string room, RoomLog? log)
    {
        (long id, LogHead head) = Rows.ReadHead(file, room, log?.Head.Epoch ?? NewEpoch);
        if (id == 0)
        {
            if (log is { Head.Next: > 1 }) // somebody has deleted the room: this is another log
                head = head with { Epoch = Guid.NewGuid().ToString("N") };
            (id, head) = Rows.AddRoom(file, room, head.Epoch);
        }
        log ??= new RoomLog(room, retention.Clip(head));
        log.Begin(id, head);
        lock (_lock)
            _logs[room] = log; // its last follower may have taken it away meanwhile, while it had no row
        return log;
    }

    /// <summary>It was rolled back.</summary>
    public void TakeBack() => _touched.ForEach(log => log.TakeBack());

    /// <summary>It is committed: everyone may know.</summary>
    public void Publish()
    {
        var told = new List<(Follower[] Followers, LogPage Page)>();
        lock (_lock)
        {
            foreach (RoomLog log in _touched)
            {
                LogHead head = retention.Clip(new LogHead(log.Epoch, log.First, log.Next));
                if (head.Epoch != log.Head.Epoch)
                    told.Add(([.. log.Followers], new LogPage(head with { Next = log.From }, log.From, [])));
                log.Head = head;
                if (log.TakeWritten() is { Count: > 0 } written && log.Followers.Count > 0)
                    told.Add(([.. log.Followers], new LogPage(head, head.Next, written)));
            }
            if (_logs.Count > MostIdle)
                foreach (RoomLog idle in _logs.Values.Where(log => log.Followers.Count == 0).ToArray())
                    _logs.Remove(idle.Room);
        }
        Tell(told);
    }

    /// <summary>Between two batches, so that this head is where the log is.</summary>
    public Follower Follow(string room, Action<LogPage> tell, LogHead head)
    {
        var follower = new Follower(room, tell, Leave);
        lock (_lock)
        {
            if (!_logs.TryGetValue(room, out RoomLog? log))
                _logs.Add(room, log = new RoomLog(room, head));
            log.Followers.Add(follower);
        }
        Tell(follower, new LogPage(head, head.Next, []));
        return follower;
    }

    /// <summary>What is in the file now are other logs: new epochs, and everyone who follows is told.</summary>
    public void BeginAnew(ChatFile file)
    {
        NewEpoch = Guid.NewGuid().ToString("N");
        var told = new List<(Follower[] Followers, LogPage Page)>();
        lock (_lock)
            foreach (RoomLog log in _logs.Values.ToArray())
                if (log.Followers.Count == 0)
                {
                    _logs.Remove(log.Room);
                }
                else
                {
                    log.Reset(retention.Clip(Rows.ReadHead(file, log.Room, NewEpoch).Head));
                    told.Add(([.. log.Followers], new LogPage(log.Head, log.Head.Next, [])));
                }
        Tell(told);
    }

    // On any thread.
    void Leave(Follower follower)
    {
        lock (_lock)
            if (_logs.TryGetValue(follower.Room, out RoomLog? log) && log.Followers.Remove(follower)
                && log is { Followers.Count: 0, Id: 0 })
                _logs.Remove(follower.Room); // people only looked in
    }

    void Tell(List<(Follower[] Followers, LogPage Page)> told)
    {
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
            log.FollowerFailed(error, follower.Room);
        }
    }
}
