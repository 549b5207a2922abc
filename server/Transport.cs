using System.IO.Pipelines;

namespace ChatMinimal;

/// <summary>
/// A transport is what one connection's bytes go through, with one writer at a time: the pump, with what the room says, or
/// the connection, with what is for it alone. Whoever has the turn writes whole frames.
/// </summary>
sealed class Transport(PipeReader input, PipeWriter output, Action abort, TimeProvider clock)
{
    readonly Lock _lock = new(); // guards the turn
    bool _taken = true;          // until the owner has greeted: nothing comes before hello
    bool _closed;                // the close frame is out; RFC 6455 section 5.5.1: nothing may follow it
    bool _awaited;               // the pump came by while the turn was taken
    Queue<TaskCompletionSource>? _waiting;
    Connection? _owner;
    bool _heard, _said;
    long _stuckSince;        // timestamp; 0: no write is waiting

    /// <summary>Whether bytes came from the peer since this was last asked.</summary>
    public bool TakeHeard() => Interlocked.Exchange(ref _heard, false);

    /// <summary>Whether anything was said that a browser shows to its page, since this was last asked.</summary>
    public bool TakeSaid() => Interlocked.Exchange(ref _said, false);

    /// <summary>Since when the peer has been holding up a write; null when it is not.</summary>
    public long? StuckSince => Volatile.Read(ref _stuckSince) is not 0 and long since ? since : null;

    /// <summary>The one time from which on others may write.</summary>
    public void Open(Connection owner)
    {
        _owner = owner;
        _awaited = true;
        Release();
    }

    /// <summary>Ends it at once: the peer gets no more, not even a reason.</summary>
    public void Abort() => abort();

    /// <summary>Bytes from the peer. Those that are not consumed come again with those that follow.</summary>
    public ValueTask<ReadResult> ReadAsync() => input.ReadAsync();

    public void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        _heard = true;
        input.AdvanceTo(consumed, examined);
    }

    /// <summary>Takes the turn if nobody has it. The pump never waits for one: it is called back.</summary>
    public bool TryTake()
    {
        lock (_lock)
        {
            if (_closed)
                return false;
            _awaited |= _taken;
            if (_taken)
                return false;
            return _taken = true;
        }
    }

    Task TakeAsync()
    {
        lock (_lock)
        {
            if (!_taken)
            {
                _taken = true;
                return Task.CompletedTask;
            }
            var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            (_waiting ??= new()).Enqueue(turn);
            return turn.Task;
        }
    }

    public void Release()
    {
        TaskCompletionSource? next = null;
        bool isAwaited;
        lock (_lock)
        {
            _taken = _waiting?.TryDequeue(out next) ?? false;
            isAwaited = _awaited && !_taken;
            _awaited &= _taken;
        }
        next?.SetResult();
        if (isAwaited)
            _owner!.WakePump();
    }

    /// <summary>Writes frames. Only for whoever has the turn. Completes at once unless the peer has much to read already.</summary>
    /// <exception cref="IOException">The peer is gone.</exception>
    public ValueTask WriteInTurnAsync(ReadOnlyMemory<byte> frames)
    {
        _said |= Frame.Opcode(frames.Span) < Frame.FirstControl;
        ValueTask<FlushResult> write = output.WriteAsync(frames);
        if (!write.IsCompletedSuccessfully)
            return FinishAsync(write);
        return write.Result.IsCompleted ? ValueTask.FromException(Gone()) : default;
    }

    static IOException Gone() => new("the peer is gone");

    async ValueTask FinishAsync(ValueTask<FlushResult> write)
    {
        Volatile.Write(ref _stuckSince, clock.GetTimestamp());
        try
        {
            if ((await write).IsCompleted)
                throw Gone();
        }
        finally
        {
            Volatile.Write(ref _stuckSince, 0);
        }
    }

    /// <summary>Waits for the turn, writes frames, gives the turn back. After a close frame nothing is written.</summary>
    public async ValueTask WriteFramesAsync(ReadOnlyMemory<byte> frames)
    {
        await TakeAsync();
        try
        {
            if (_closed)
                return;
            _closed = Frame.Opcode(frames.Span) == Frame.Close;
            await WriteInTurnAsync(frames);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Takes the turn for good: when this completes, nobody writes any more.</summary>
    public Task RetireAsync()
    {
        _closed = true;
        return TakeAsync();
    }
}
