namespace ChatMinimal;

/// <summary>
/// A store that forgets everything when the process ends. Its epoch is new with every start, so that no client takes
/// the new logs for the old ones.
/// </summary>
sealed class MemoryStore(ChatOptions options, TimeProvider clock) : IMessageStore
{
    const int MinKeysRetained = 100_000; // a room: sent again even after a long time offline, a message is in the log once

    // One lock for all rooms. Followers are told under it, and so in order: an append and its encoding take microseconds.
    readonly Lock _lock = new();
    readonly Dictionary<string, Log> _logs = [];
    readonly string _epoch = Guid.NewGuid().ToString("N");

    public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel)
    {
        lock (_lock)
            return new(Find(room)?.Head ?? Nothing);
    }

    public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel)
    {
        var submissions = new Submission[drafts.Count];
        lock (_lock)
        {
            Log log = LogOf(room);
            long from = log.Head.Next;
            var now = MessageTime.Now(clock);
            for (int i = 0; i < drafts.Count; i++)
                submissions[i] = log.Find(drafts[i]) ?? new Submission(log.Append(drafts[i], now), WasKnown: false);
            log.TellFrom(from);
        }
        return new(submissions);
    }

    public ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell)
    {
        lock (_lock)
        {
            Log log = LogOf(room);
            tell(new LogPage(log.Head, log.Head.Next, []));
            log.Followers.Add(tell);
            return new(new Following(this, room, tell));
        }
    }

    public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel)
    {
        lock (_lock)
            return new(Find(room)?.Read(from, to) ?? new LogPage(Nothing, from, []));
    }

    public ValueTask CheckAsync(CancellationToken cancel) => default;

    LogHead Nothing => new(_epoch, 1, 1);

    // As it is now: messages grow old in rooms that nobody writes to, too.
    Log? Find(string room)
    {
        if (_logs.TryGetValue(room, out Log? log))
            log.Trim(MessageTime.Now(clock));
        return log;
    }

    Log LogOf(string room)
    {
        if (Find(room) is { } log)
            return log;
        if (_logs.Count >= options.MaxRooms)
            throw new StoreUnavailableException($"there are {options.MaxRooms} rooms already");
        return _logs[room] = new Log(_epoch, options.KeepMessages, TimeSpan.FromDays(options.KeepDays));
    }

    // A room where people only looked in leaves nothing behind.
    void Leave(string room, Action<LogPage> tell)
    {
        lock (_lock)
            if (_logs.TryGetValue(room, out Log? log) && log.Followers.Remove(tell) && log.Followers.Count == 0 && log.Head.Next == 1)
                _logs.Remove(room);
    }

    sealed class Following(MemoryStore store, string room, Action<LogPage> tell) : IDisposable
    {
        public void Dispose() => store.Leave(room, tell);
    }

    sealed class Log(string epoch, int keepMessages, TimeSpan keepFor)
    {
        readonly List<Message> _messages = [];
        int _trimmed; // messages at the head of the list that are not retained any more, only not yet removed
        readonly Dictionary<string, long> _seqs = [];
        readonly Queue<string> _keys = new();
        long _next = 1;

        public readonly List<Action<LogPage>> Followers = [];

        public LogHead Head => new(epoch, _next - (_messages.Count - _trimmed), _next);

        /// <summary>What is known of a draft's key; null: nothing.</summary>
        public Submission? Find(Draft draft)
        {
            if (draft.Key is null || !_seqs.TryGetValue(draft.Key, out long seq))
                return null;
            bool isTaken = seq >= Head.First && !this[seq].Text.AsSpan().SequenceEqual(draft.Text);
            return new Submission(seq, WasKnown: true, isTaken);
        }

        public long Append(Draft draft, DateTime at)
        {
            long seq = _next++;
            _messages.Add(new Message(seq, at, draft.Name, draft.Text, draft.Key));
            Trim(at);
            if (draft.Key is not null)
                Remember(draft.Key, seq);
            return seq;
        }

        /// <summary>Deletes what is no longer retained.</summary>
        public void Trim(DateTime now)
        {
            while (_messages.Count > _trimmed
                && ((keepMessages > 0 && _messages.Count - _trimmed > keepMessages)
                    || (keepFor > TimeSpan.Zero && _messages[_trimmed].At < now - keepFor)))
                ForgetOldest();
        }

        public void TellFrom(long seq)
        {
            if (Followers.Count == 0 || seq == _next)
                return;
            List<Message> messages = _messages[^(int)Math.Min(_next - seq, _messages.Count - _trimmed)..];
            foreach (Action<LogPage> tell in Followers)
                tell(new LogPage(Head, _next, messages));
        }

        public LogPage Read(long from, long to)
        {
            LogHead head = Head;
            to = Math.Min(to, head.Next);
            var messages = new List<Message>();
            long next = Math.Max(from, head.First);
            for (int bytes = 0; next < to && messages.Count < IMessageStore.PageMessages; next++)
            {
                Message message = this[next];
                bytes += message.Text.Length;
                if (messages.Count > 0 && bytes > IMessageStore.PageBytes)
                    break;
                messages.Add(message);
            }
            return new LogPage(head, messages.Count > 0 ? next : Math.Max(from, Math.Min(to, head.First)), messages);
        }

        Message this[long seq] => _messages[_messages.Count - (int)(_next - seq)];

        void ForgetOldest()
        {
            _messages[_trimmed++] = null!;
            if (_trimmed <= _messages.Count / 2)
                return;
            _messages.RemoveRange(0, _trimmed); // one move of the rest for as many messages as there are in the rest
            _trimmed = 0;
        }

        void Remember(string key, long seq)
        {
            _seqs.Add(key, seq);
            _keys.Enqueue(key);
            if (_keys.Count > Math.Max(MinKeysRetained, keepMessages))
                _seqs.Remove(_keys.Dequeue());
        }
    }
}
