namespace ChatMinimal;

/// <summary>
/// A submitter is one client's messages on their way to the store. One batch is being committed, another gathers meanwhile and goes
/// next, so that nothing overtakes; with both full, whoever adds waits, the peer is not read, and TCP pushes back on it.
/// </summary>
/// <param name="store">Where to.</param>
/// <param name="room">Of this log.</param>
/// <param name="answer">Tells a chat.v1 client what became of a message, where its broadcast does not; null in the plain dialect.</param>
/// <param name="fail">Called once when nothing more is submitted, and why.</param>
/// <param name="clock">Measures a plain client's patience.</param>
sealed class Submitter(IMessageStore store, string room, Func<byte[], ValueTask>? answer, Action<Exception> fail, TimeProvider clock)
{
    const int MostMessages = 256;   // a batch
    const int MostBytes = 256 << 10; // of text; the last message may go beyond it

    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10); // how long a plain client's message waits for the store
    static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(250);

    readonly Lock _lock = new(); // guards all that follows
    List<Draft>? _batch; // gathers
    int _bytes;
    bool _isSubmitting, _isOver;
    TaskCompletionSource? _taken; // whoever adds waits for the batch to be taken
    TaskCompletionSource? _idle;  // somebody waits until all is submitted
    volatile bool _isHurried;

    /// <summary>The seq after the last one that a message of this client got.</summary>
    public long Next { get; private set; }

    /// <summary>Adds a message to the batch. Completes when there is room for another.</summary>
    public ValueTask AddAsync(Draft draft)
    {
        lock (_lock)
        {
            if (_isOver)
                return default; // it is told by the close frame
            (_batch ??= []).Add(draft);
            _bytes += draft.Text.Length;
            if (_batch.Count < MostMessages && _bytes < MostBytes)
                return default;
            if (_isSubmitting)
                return new((_taken = new(TaskCreationOptions.RunContinuationsAsynchronously)).Task);
        }
        Flush();
        return default;
    }

    /// <summary>Submits what has gathered: now, or when what went before it is committed.</summary>
    public void Flush()
    {
        List<Draft>? batch;
        lock (_lock)
        {
            if (_isSubmitting)
                return;
            batch = Take();
        }
        if (batch is not null)
            _ = SubmitAsync(batch);
    }

    /// <summary>Completes when all that was added is submitted, and answered.</summary>
    public Task IdleAsync()
    {
        Flush();
        lock (_lock)
            return _isSubmitting ? (_idle ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task : Task.CompletedTask;
    }

    /// <summary>A plain client's messages wait no longer for a store that is down.</summary>
    public void Hurry() => _isHurried = true;

    async Task SubmitAsync(List<Draft> first)
    {
        try
        {
            for (List<Draft>? batch = first; batch is not null; batch = TakeNext())
                await (answer is null ? SubmitPlainAsync(batch) : SubmitChatAsync(batch, answer));
        }
        catch (Exception error)
        {
            lock (_lock)
                _isOver = true;
            TakeNext(); // nobody waits for it
            fail(error);
        }
    }

    List<Draft>? TakeNext()
    {
        lock (_lock)
        {
            List<Draft>? batch = Take();
            if (batch is null)
            {
                _idle?.SetResult();
                _idle = null;
            }
            return batch;
        }
    }

    // Under the lock.
    List<Draft>? Take()
    {
        List<Draft>? batch = _isOver ? null : _batch;
        (_batch, _bytes) = (null, 0);
        _isSubmitting = batch is not null;
        _taken?.SetResult();
        _taken = null;
        return batch;
    }

    async ValueTask SubmitChatAsync(List<Draft> batch, Func<byte[], ValueTask> answer)
    {
        Submission[]? submissions = null;
        try
        {
            submissions = await store.SubmitAsync(room, batch, default);
        }
        catch (StoreUnavailableException) { } // each of them is told
        for (int i = 0; i < batch.Count; i++)
            if (submissions is null || submissions[i].IsTaken)
            {
                Refusal refusal = submissions is null ? Refusal.StoreUnavailable(batch[i].Key!) : Refusal.KeyTaken(batch[i].Key!);
                Metrics.Refused(refusal.Reason);
                await answer(Frame.Of(ServerMessage.Refused(refusal)));
            }
            else if (submissions[i].WasKnown)
                await answer(Frame.Of(ServerMessage.Logged(batch[i].Key!, submissions[i].Seq)));
            else
                Next = submissions[i].Seq + 1; // its broadcast is the acknowledgement
    }

    // There is no way to refuse in the plain dialect: the messages wait, and those behind them, so that there is no hole between two.
    async ValueTask SubmitPlainAsync(List<Draft> batch)
    {
        long since = clock.GetTimestamp();
        while (true)
        {
            try
            {
                Next = (await store.SubmitAsync(room, batch, default))[^1].Seq + 1;
                return;
            }
            catch (StoreUnavailableException) when (!_isHurried && clock.GetElapsedTime(since) < s_patience) { }
            await Task.Delay(s_retry, clock);
        }
    }
}
