using System.Runtime.CompilerServices;

namespace ChatMinimal;

/// <summary>
/// A store that forgets everything when the process ends. Its epoch is new with every start, so that no client takes
/// the new logs for the old ones.
/// </summary>
sealed class MemoryStore(ChatOptions options, TimeProvider clock) : IMessageStore
{
    const int MinKeysKept = 100_000; // a room: said again even after a long time offline, a message is in the log once

    // One lock for all rooms: what is done under it takes nanoseconds.
    readonly Lock _lock = new();
    readonly Dictionary<string, Log> _logs = [];
    readonly string _epoch = Guid.NewGuid().ToString("N");

    public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel)
    {
        lock (_lock)
            return new(_logs.TryGetValue(room, out Log? log) ? new LogHead(_epoch, log.First, log.Next) : new LogHead(_epoch, 1, 1));
    }

    public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel)
    {
        var submissions = new Submission[drafts.Count];
        TaskCompletionSource grown;
        lock (_lock)
        {
            Log log = LogOf(room);
            DateTime now = Now;
            for (int i = 0; i < drafts.Count; i++)
                submissions[i] = log.TryFind(drafts[i].Key, out long known)
                    ? new Submission(known, WasKnown: true)
                    : new Submission(log.Append(drafts[i], now), WasKnown: false);
            (grown, log.Grown) = (log.Grown, NewSignal());
        }
        grown.SetResult(); // outside the lock: who waits for it must not run under it
        return new(submissions);
    }

    public async IAsyncEnumerable<LogPage> TailAsync(string room, long from, [EnumeratorCancellation] CancellationToken cancel)
    {
        Log log;
        lock (_lock)
        {
            log = LogOf(room);
            log.Tails++;
        }
        try
        {
            while (true)
            {
                LogPage page;
                Task grown;
                lock (_lock)
                    (page, grown) = (Page(log, from, long.MaxValue), log.Grown.Task);
                if (page.Next > from)
                {
                    yield return page;
                    from = page.Next;
                }
                else
                {
                    await grown.WaitAsync(cancel);
                }
            }
        }
        finally
        {
            // A room where people only looked in leaves nothing behind.
            lock (_lock)
                if (--log.Tails == 0 && log.Next == 1)
                    _logs.Remove(room);
        }
    }

    public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel)
    {
        lock (_lock)
            return new(_logs.TryGetValue(room, out Log? log) ? Page(log, from, to) : new LogPage(new LogHead(_epoch, 1, 1), from, []));
    }

    public ValueTask CheckAsync(CancellationToken cancel) => default;

    // Whole milliseconds, as any store keeps it: a message reads the same from wherever it comes.
    DateTime Now
    {
        get
        {
            DateTime now = clock.GetUtcNow().UtcDateTime;
            return now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMillisecond));
        }
    }

    LogPage Page(Log log, long from, long to)
    {
        List<Message> messages = log.Read(from, to);
        long next = messages is [.., Message last] ? last.Seq + 1 : Math.Max(from, Math.Min(to, log.First));
        return new LogPage(new LogHead(_epoch, log.First, log.Next), next, messages);
    }

    Log LogOf(string room)
    {
        if (_logs.TryGetValue(room, out Log? log))
            return log;
        if (_logs.Count >= options.MaxRooms)
            throw new StoreUnavailableException($"there are {options.MaxRooms} rooms already");
        return _logs[room] = new Log(options.KeepMessages);
    }

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    sealed class Log(int keepMessages)
    {
        readonly List<Message> _messages = [];
        int _trimmed; // messages at the head of the list that are not kept any more, only not yet removed
        readonly Dictionary<string, long> _seqs = [];
        readonly Queue<string> _keys = new();

        public int Tails;
        public TaskCompletionSource Grown = NewSignal();
        public long Next { get; private set; } = 1;
        public long First => Next - (_messages.Count - _trimmed);

        public bool TryFind(string? key, out long seq)
        {
            seq = 0;
            return key is not null && _seqs.TryGetValue(key, out seq);
        }

        public long Append(Draft draft, DateTime at)
        {
            long seq = Next++;
            _messages.Add(new Message(seq, at, draft.Name, draft.Text, draft.Key));
            if (keepMessages > 0 && _messages.Count - _trimmed > keepMessages)
                ForgetOldest();
            if (draft.Key is not null)
                Remember(draft.Key, seq);
            return seq;
        }

        // No more than a page.
        public List<Message> Read(long from, long to)
        {
            var read = new List<Message>();
            int bytes = 0;
            for (long seq = Math.Max(from, First); seq < Math.Min(to, Next) && read.Count < IMessageStore.PageMessages; seq++)
            {
                Message message = _messages[_messages.Count - (int)(Next - seq)];
                bytes += message.Text.Length;
                if (read.Count > 0 && bytes > IMessageStore.PageBytes)
                    break;
                read.Add(message);
            }
            return read;
        }

        void ForgetOldest()
        {
            _messages[_trimmed++] = null!;
            if (_trimmed <= keepMessages)
                return;
            _messages.RemoveRange(0, _trimmed); // one move of the rest for as many messages as there are in the rest
            _trimmed = 0;
        }

        void Remember(string key, long seq)
        {
            _seqs.Add(key, seq);
            _keys.Enqueue(key);
            if (_keys.Count > Math.Max(MinKeysKept, keepMessages))
                _seqs.Remove(_keys.Dequeue());
        }
    }
}
