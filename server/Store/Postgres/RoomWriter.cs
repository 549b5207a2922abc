using Npgsql;

namespace ChatMinimal.Postgres;

/// <summary>
/// A room writer is a room's messages on their way to the database. One batch is on its way; what comes meanwhile is the next
/// (group commit), so that nothing overtakes. A batch is tried again, with the same keys, until the database has answered or
/// nobody would wait any longer; then it is refused.
/// </summary>
sealed class RoomWriter(RoomLog log, PostgresStore store)
{
    const int LongestBatch = 4096;    // messages a transaction: what comes later does not wait longer than that
    const int LargestBatch = 4 << 20; // bytes of them, likewise
    const int TrimEvery = 256;        // messages between two looks at what is no longer retained
    const int TrimKeysEvery = 16_384; // the same for keys, of which a hundred thousand are kept: it reads all of the room's

    static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(20), s_longestPause = TimeSpan.FromMilliseconds(500);

    readonly Lock _lock = new(); // guards what follows
    List<Submitted> _queue = [];
    bool _isRunning;

    public Task<Submission[]> SubmitAsync(Submitted submitted)
    {
        lock (_lock)
        {
            _queue.Add(submitted);
            if (_isRunning)
                return submitted.Task;
            _isRunning = true;
        }
        _ = Task.Run(RunAsync); // whoever submits may be the loop, which has others to receive from
        return submitted.Task;
    }

    async Task RunAsync()
    {
        while (Take() is { } batch)
        {
            try
            {
                await SubmitAsync(new Batch(batch));
            }
            catch (Exception error)
            {
                GiveUp(batch, error);
                continue;
            }
            foreach (Submitted submitted in batch)
                submitted.SetResult(submitted.Submissions);
        }
    }

    List<Submitted>? Take()
    {
        lock (_lock)
        {
            int count = 0, messages = 0, bytes = 0;
            while (count < _queue.Count && messages < LongestBatch && bytes < LargestBatch)
                (messages, bytes) = (messages + _queue[count].Drafts.Count, bytes + _queue[count++].Bytes);
            _isRunning = count > 0;
            if (!_isRunning)
                return null;
            List<Submitted> taken = _queue[..count];
            _queue = _queue[count..];
            return taken;
        }
    }

    async Task SubmitAsync(Batch batch)
    {
        while (true)
        {
            Queries.Added answer = await TryAsync(batch);
            if (answer.Known is [])
            {
                List<Message> added = batch.SetAdded(answer.Head, answer.At);
                await TellAsync(answer.Head, added);
                await TrimAsync(answer.Head.Next, added.Count);
                return;
            }
            for (int i = 0; i < answer.Known.Length; i++)
                batch.SetKnown(answer.Known[i], answer.Seqs[i], await TextAsync(answer.Head, answer.Known[i], answer.Seqs[i]));
        }
    }

    async Task<Queries.Added> TryAsync(Batch batch)
    {
        (string[] keys, int[] counts, string[] said) = batch.ToRows();
        TimeSpan patience = store.Readiness.HasTrouble ? TimeSpan.Zero : store.Database.Timeout;
        long since = store.Clock.GetTimestamp();
        for (TimeSpan pause = s_firstPause; ; pause = pause < s_longestPause ? 2 * pause : pause)
        {
            try
            {
                Queries.Added added = await store.Database.UseAsync((connection, cancel) => Queries.AddAsync(
                    connection, log.Room, log.Mark, PostgresStore.NewEpoch(), keys, counts, said, Retention.KeysKept,
                        store.Database.Timeout / 2, cancel), store.Stopping);
                store.Readiness.SetTrouble(null);
                return added;
            }
            catch (StoreUnavailableException error)
            {
                bool isLocked = error.InnerException is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable };
                bool isOver = store.Clock.GetElapsedTime(since) >= patience;
                if (isLocked && isOver)
                    store.Log.RoomLocked(log.Room); // by somebody else's transaction: a trouble of this room
                else if (!isLocked && isOver)
                    store.Readiness.SetTrouble(error.Message);
                if (isOver)
                    throw;
            }
            await Task.Delay(pause, store.Clock, store.Stopping);
        }
    }

    // To everyone who follows, here and at the other servers. When it cannot be read what is before it, a look in a second will.
    async Task TellAsync(LogHead head, List<Message> added)
    {
        LogHead clipped = store.Retention.Clip(head);
        var page = new LogPage(clipped, head.Next, added);
        long from = head.Next - added.Count;
        if (added.Count > 0)
            store.News.Grown(log.Room, page, from);
        if (added.Count > 0 && log.Offer(page, from))
            return;
        if (log.Mark is { Epoch: not "" } mark && (mark.Epoch != head.Epoch || mark.Next < head.Next))
            try
            {
                await log.ReadOnAsync();
            }
            catch (StoreUnavailableException) { }
    }

    // What the log has under a client's key, to compare; null: no longer there, or of no interest.
    async Task<byte[]?> TextAsync(LogHead head, string key, long seq)
    {
        if (key.StartsWith(' ') || seq < store.Retention.Clip(head).First)
            return null;
        (_, List<Page> pages) = await store.ReadAsync(log.Room, seq, mark: 1, new Limit(1, 1), store.Stopping);
        return pages is [{ } page, ..] ? page.Find(seq)?.Text : null;
    }

    async Task TrimAsync(long next, int added)
    {
        bool crosses(int every) => next / every != (next - added) / every;
        if (added > 0 && crosses(TrimEvery))
            await store.Retention.TrimAsync(log.Room, withKeys: crosses(TrimKeysEvery));
    }

    void GiveUp(List<Submitted> batch, Exception error)
    {
        if (error is not (StoreUnavailableException or OperationCanceledException))
            store.Log.BatchFailed(error); // unexpected: with its stack
        foreach (Submitted submitted in batch)
        {
            store.Remember(submitted);
            submitted.SetException(error as StoreUnavailableException ?? new StoreUnavailableException(error.Message, error));
        }
    }
}
