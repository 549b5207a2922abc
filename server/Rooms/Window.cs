namespace ChatMinimal;

/// <summary>The dialect of a connection: the course's plain text, or the JSON of chat.v1.</summary>
enum Dialect { Plain, Chat }

/// <summary>
/// A window is a room's log as memory sees it: which log it is, how far it goes, and its newest frames, encoded once for each
/// dialect that somebody reads. Its one lock is short, and guards everything but the reading of frames.
/// </summary>
sealed class Window(string room, ChatOptions options, WindowBudget budget)
{
    const int PlainFrame = 64, ChatFrame = 192; // bytes around a text, about: with a name, and with a key

    readonly Lock _lock = new();
    readonly FrameLog?[] _frames = new FrameLog?[2]; // by dialect; null: nobody reads it
    readonly int[] _readers = new int[2];            // the same
    TaskCompletionSource? _grown; // event streams wait for it: they read from the store, in their own time
    LogHead _head = new("", 1, 1);
    volatile string _epoch = ""; // of the head, for those who look without the lock
    bool _isIdle; // nothing was appended since the last sweep

    /// <summary>
    /// Which log this is. A log that is replaced has another one: one object for each log, so that comparing references will do.
    /// </summary>
    public string Epoch => _epoch;

    /// <summary>How many are in the room at other servers.</summary>
    public int Elsewhere { get; set; }

    /// <summary>Which log this is, the oldest seq retained, and the seq the next append gets.</summary>
    public LogHead Head
    {
        get
        {
            lock (_lock)
                return _head;
        }
    }

    /// <summary>
    /// Adds a reader. What is appended from now on is after its cursor or at it; the hello returned goes with that cursor:
    /// both are one snapshot.
    /// </summary>
    public byte[] Join(Dialect dialect, Resume resume, out FrameLog.Cursor cursor, out string epoch)
    {
        lock (_lock)
        {
            _readers[(int)dialect]++;
            _frames[(int)dialect] ??= new FrameLog(_head.Next, options.WindowBytes, budget);
            return Begin(dialect, resume, out cursor, out epoch);
        }
    }

    /// <summary>The log has become another one: where a reader of it begins, and the hello that goes with it.</summary>
    public byte[] StartOver(Dialect dialect, out FrameLog.Cursor cursor, out string epoch)
    {
        lock (_lock)
            return Begin(dialect, Resume.FromTheEnd, out cursor, out epoch);
    }

    public void Leave(Dialect dialect)
    {
        lock (_lock)
        {
            if (--_readers[(int)dialect] > 0)
                return;
            _frames[(int)dialect]!.Discard();
            _frames[(int)dialect] = null; // nobody left to encode for
        }
    }

    /// <summary>Appends what the store has put in order: encoded once for each dialect in use, then everyone's to read.</summary>
    public void Append(LogPage page)
    {
        lock (_lock)
        {
            if (page.Head.Epoch != _epoch)
                Replace(page);
            int texts = page.Messages.Sum(message => message.Text.Length);
            _frames[(int)Dialect.Plain]?.MakeRoom(texts + PlainFrame * page.Messages.Count);
            _frames[(int)Dialect.Chat]?.MakeRoom(texts + ChatFrame * page.Messages.Count);
            foreach (Message message in page.Messages)
            {
                SkipTo(message.Seq);
                _frames[(int)Dialect.Plain]?.Append(ServerMessage.Plain(message));
                _frames[(int)Dialect.Chat]?.Append(ServerMessage.Chat(message));
                _head = _head with { Next = message.Seq + 1 };
            }
            SkipTo(page.Next);
            _head = _head with { First = page.Head.First };
            foreach (FrameLog? frames in _frames)
                frames?.Publish();
            _isIdle = false;
            _grown?.SetResult();
            _grown = null;
        }
    }

    /// <summary>Completes when this log has that seq, or has become another one.</summary>
    public Task GrownToAsync(string epoch, long seq)
    {
        lock (_lock)
            return seq < _head.Next || epoch != _epoch
                ? Task.CompletedTask
                : (_grown ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
    }

    /// <summary>Moves a cursor that has left the window back into it, once it has come near enough.</summary>
    public bool TrySeek(Dialect dialect, ref FrameLog.Cursor cursor)
    {
        lock (_lock)
            return _frames[(int)dialect] is { } frames && frames.TrySeek(cursor.Seq, out cursor);
    }

    /// <summary>Once a second. When all windows together hold too much, one that is idle lets go of what it holds.</summary>
    public void Sweep()
    {
        lock (_lock)
        {
            if (_isIdle && budget.IsSpent)
                foreach (FrameLog? frames in _frames)
                    frames?.Shed();
            _isIdle = true;
        }
    }

    // What follows is under the lock.

    byte[] Begin(Dialect dialect, Resume resume, out FrameLog.Cursor cursor, out string epoch)
    {
        bool isResumed = resume.Holds(_head);
        long from = dialect == Dialect.Plain ? _head.Next : isResumed ? resume.After!.Value + 1
            : Math.Max(_head.First, _head.Next - resume.Last);
        _frames[(int)dialect]!.TrySeek(Math.Max(from, _head.First), out cursor);
        epoch = _epoch;
        int online = _readers[0] + _readers[1] + Elsewhere;
        byte[] hello = Frame.Of(ServerMessage.Hello(room, _head, isResumed, online, options.MaxMessageBytes));
        if (from >= _head.First)
            return hello;
        Metrics.Gap(); // what is no longer retained is not shown, though the window may still have it
        return [.. hello, .. Frame.Of(ServerMessage.Gap(from, _head.First - 1))];
    }

    // A hole: the store has retained or read less than was appended.
    void SkipTo(long seq)
    {
        if (seq == _head.Next)
            return;
        _head = _head with { Next = seq };
        foreach (FrameLog? frames in _frames)
            frames?.SkipTo(seq);
    }

    // The first page, or another log: there is nothing of it yet, and another window for everyone who reads.
    void Replace(LogPage page)
    {
        _head = page.Head with { Next = page.Next };
        _epoch = _head.Epoch;
        for (int dialect = 0; dialect < _frames.Length; dialect++)
        {
            if (_frames[dialect] is not { } old)
                continue;
            old.Discard();
            _frames[dialect] = new FrameLog(_head.Next, options.WindowBytes, budget);
        }
    }
}
