namespace ChatMinimal;

/// <summary>How a connection speaks: the course's plain text, or the JSON of chat.v1.</summary>
enum Dialect { Plain, Chat }

/// <summary>Where a chat.v1 client wants to begin: after the last seq it saw of this epoch, else with that much history.</summary>
readonly record struct Resume(long? After, string? Epoch, int Last)
{
    public const int DefaultLast = 50; // messages: what fills a tall screen

    /// <summary>The seq to read first. An <c>after</c> of another log, or one that this log has not reached, is void.</summary>
    public long From(string epoch, long first, long next) =>
        After < next && Epoch == epoch ? After.Value + 1 : Math.Max(first, next - Last);
}

/// <summary>
/// A room is an append-only log of messages as memory sees it: the window of encoded frames, one for each dialect that
/// somebody here speaks, and the connections, each a cursor in it. Its one lock is short, and guards everything but the
/// reading of frames.
/// </summary>
sealed class Room(string name, ChatOptions options, TimeProvider clock, Broadcaster broadcaster)
{
    const int MostNames = 100; // in a presence: more than a page can show; the number counts everyone
    static readonly TimeSpan s_presenceEvery = TimeSpan.FromSeconds(1);

    readonly Lock _lock = new();
    readonly List<Connection> _connections = [];
    Connection[]? _everyone; // the list above, to hand out; null when it changed
    readonly List<(Connection Author, byte[] Frame)> _typing = [];
    FrameLog? _plain, _chat;
    TaskCompletionSource? _grown; // event streams wait for it: they read from the store, in their own time
    string _epoch = "";
    long _first, _next;
    bool _presenceIsOld;
    long _presenceAt;
    int _queued; // 1 while the pump has this room on its list

    public string Name => name;

    /// <summary>The newest presence as a frame: everyone whose last one was another is sent this one.</summary>
    public byte[]? Presence { get; private set; }

    /// <summary>Which log this is, the oldest seq kept, and the seq the next append gets.</summary>
    public LogHead Head
    {
        get
        {
            lock (_lock)
                return new LogHead(_epoch, _first, _next);
        }
    }

    /// <summary>The seq the next append gets.</summary>
    public long Next
    {
        get
        {
            lock (_lock)
                return _next;
        }
    }

    /// <summary>The connections, as they are now.</summary>
    public Connection[] Everyone
    {
        get
        {
            lock (_lock)
                return _everyone ??= [.. _connections];
        }
    }

    public void Open(LogHead head)
    {
        lock (_lock)
            (_epoch, _first, _next) = (head.Epoch, head.First, head.Next);
    }

    /// <summary>
    /// Adds a connection and sets its cursor: what is appended from now on, it will be sent.
    /// The hello returned goes with that cursor, both are one snapshot.
    /// </summary>
    public byte[] Join(Connection connection, Resume resume)
    {
        lock (_lock)
        {
            ref FrameLog? window = ref WindowOf(connection.Dialect);
            window ??= new FrameLog(_next, options.WindowBytes);
            long from = connection.Dialect == Dialect.Plain ? _next : resume.From(_epoch, _first, _next);
            window.TrySeek(from, out connection.Cursor);
            _connections.Add(connection);
            connection.PresenceSeen = Presence; // the next one is about to come
            PresenceChanged();
            return Words.Hello(name, _epoch, _first, _next, _connections.Count, options.MaxMessageBytes);
        }
    }

    public void Leave(Connection connection)
    {
        lock (_lock)
        {
            if (!_connections.Remove(connection))
                return;
            if (!_connections.Exists(other => other.Dialect == connection.Dialect))
                WindowOf(connection.Dialect) = null; // nobody left to encode for
            PresenceChanged();
        }
    }

    public void Rename(Connection connection, string? newName)
    {
        lock (_lock)
        {
            if (connection.Name == newName)
                return;
            connection.Name = newName;
            PresenceChanged();
        }
    }

    /// <summary>Appends what the store has put in order: encoded once for each dialect in use, then everyone's to read.</summary>
    public void Append(LogPage page)
    {
        lock (_lock)
        {
            _first = page.Head.First;
            foreach (Message message in page.Messages)
            {
                if (message.Seq != _next) // the store has trimmed what the tail had not read yet
                {
                    _plain?.SkipTo(message.Seq);
                    _chat?.SkipTo(message.Seq);
                }
                _plain?.Append(Words.Plain(message));
                _chat?.Append(Words.Chat(message));
                _next = message.Seq + 1;
            }
            _plain?.Publish();
            _chat?.Publish();
            _grown?.SetResult();
            _grown = null;
        }
        WakePump();
    }

    /// <summary>Completes when the room has this seq.</summary>
    public Task GrownToAsync(long seq, CancellationToken cancel)
    {
        lock (_lock)
            return seq < _next ? Task.CompletedTask : (_grown ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task.WaitAsync(cancel);
    }

    /// <summary>A cursor in the window for a connection that reads from the store, once it has come near enough.</summary>
    public bool TrySeek(Connection connection)
    {
        lock (_lock)
            return WindowOf(connection.Dialect) is { } window && window.TrySeek(connection.Cursor.Seq, out connection.Cursor);
    }

    /// <summary>Someone types. Said to the others when the pump comes by, and to nobody who is busy then.</summary>
    public void Typing(Connection author)
    {
        lock (_lock)
            _typing.Add((author, Words.Typing(author.Name ?? "")));
        WakePump();
    }

    public (Connection Author, byte[] Frame)[] TakeTyping()
    {
        lock (_lock)
        {
            if (_typing.Count == 0)
                return [];
            (Connection, byte[])[] taken = [.. _typing];
            _typing.Clear();
            return taken;
        }
    }

    /// <summary>Once a second: what changed since the last presence is told now.</summary>
    public void RefreshPresence()
    {
        lock (_lock)
            if (_presenceIsOld)
                PresenceChanged();
    }

    /// <summary>Whether the pump must be told of this room; it is told once, until it comes by.</summary>
    public bool TryQueue() => Interlocked.Exchange(ref _queued, 1) == 0;

    /// <summary>The pump is here: what happens from now on needs another visit.</summary>
    public void Unqueue() => Volatile.Write(ref _queued, 0);

    public void WakePump(Connection connection) => broadcaster.Ready(connection);

    void WakePump() => broadcaster.Grown(this);

    ref FrameLog? WindowOf(Dialect dialect) => ref dialect == Dialect.Plain ? ref _plain : ref _chat;

    // Under the lock. A presence is a state, not an event: however much changes, one a second tells it all.
    void PresenceChanged()
    {
        _everyone = null;
        long now = clock.GetTimestamp();
        _presenceIsOld = Presence is not null && clock.GetElapsedTime(_presenceAt, now) < s_presenceEvery;
        if (_presenceIsOld)
            return;
        _presenceAt = now;
        Presence = Words.Presence(_connections.Count, _connections.Select(c => c.Name).OfType<string>().Distinct().Take(MostNames));
        WakePump();
    }
}
