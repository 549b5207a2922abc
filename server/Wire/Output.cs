using System.IO.Pipelines;

namespace ChatMinimal;

/// <summary>
/// An output is what one connection writes its frames to, one writer at a time: the pump, with frames of the log, or the
/// connection, with what is for it alone. Whoever holds the write lock has a <see cref="Writer"/>, and writes whole frames.
/// It knows nobody who writes to it: it calls back when the pump came by while the lock was held.
/// </summary>
/// <param name="pipe">Where the bytes go.</param>
/// <param name="direct">The same, when it is the socket itself; it knows what the peer has taken.</param>
/// <param name="clock">Tells since when a write has been waiting.</param>
sealed class Output(PipeWriter pipe, DirectOutput? direct, TimeProvider clock)
{
    readonly Lock _lock = new(); // guards the write lock, and is held for a few instructions
    bool _isLocked = true;       // until it is opened: nothing comes before hello
    bool _isClosed;              // the close frame is out; RFC 6455 section 5.5.1: nothing may follow it
    bool _isAwaited;             // the pump came by while the write lock was held
    Queue<TaskCompletionSource>? _waiting;
    Action<object>? _wake;
    object? _waker;
    bool _wrote;
    long _waitingSince; // timestamp; 0: no write is waiting for the peer
    long _written;      // bytes, where there is no direct output

    /// <summary>Whether a data frame, which a browser shows to its page, was written since this was last asked.</summary>
    public bool TakeWrote() => Interlocked.Exchange(ref _wrote, false);

    /// <summary>Whether a write waits for the peer to read.</summary>
    public bool IsWaiting => Volatile.Read(ref _waitingSince) != 0;

    /// <summary>Bytes that the peer has taken so far: its progress.</summary>
    public long Taken => direct?.Acknowledged ?? Volatile.Read(ref _written);

    /// <summary>
    /// Bytes that are on their way: handed to the socket, and not yet acknowledged by the peer's machine. 0 where nobody knows.
    /// </summary>
    public long Unacknowledged => direct?.Unacknowledged ?? 0;

    /// <summary>The one time from which on others may write. Before, only whoever opens it does.</summary>
    /// <param name="wake">Called when the pump should come by again; on any thread, outside every lock.</param>
    /// <param name="waker">What it is called with.</param>
    public void Open(Action<object> wake, object waker)
    {
        (_wake, _waker) = (wake, waker);
        _isAwaited = true;
        Unlock();
    }

    /// <summary>Writes before it is open: the greeting.</summary>
    public ValueTask GreetAsync(ReadOnlyMemory<byte> frames) => WriteAsync(frames);

    /// <summary>Takes the write lock if nobody holds it. The pump never waits for one: it is called back.</summary>
    public bool TryLock(out Writer writer)
    {
        writer = new Writer(this);
        lock (_lock)
        {
            if (_isClosed)
                return false;
            _isAwaited |= _isLocked;
            if (_isLocked)
                return false;
            return _isLocked = true;
        }
    }

    /// <summary>Waits for the write lock, writes frames, unlocks. After a close frame nothing is written.</summary>
    /// <exception cref="IOException">The peer is gone.</exception>
    public async ValueTask WriteAloneAsync(ReadOnlyMemory<byte> frames)
    {
        await LockAsync();
        try
        {
            if (_isClosed)
                return;
            _isClosed = Frame.Opcode(frames.Span) == Frame.Close;
            await WriteAsync(frames);
        }
        finally
        {
            Unlock();
        }
    }

    /// <summary>Takes the write lock for good: when this completes, nobody writes any more.</summary>
    public Task RetireAsync()
    {
        _isClosed = true;
        return LockAsync();
    }

    Task LockAsync()
    {
        lock (_lock)
        {
            if (!_isLocked)
            {
                _isLocked = true;
                return Task.CompletedTask;
            }
            var locked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            (_waiting ??= new()).Enqueue(locked);
            return locked.Task;
        }
    }

    void Unlock()
    {
        TaskCompletionSource? next = null;
        bool isAwaited;
        lock (_lock)
        {
            _isLocked = _waiting?.TryDequeue(out next) ?? false;
            isAwaited = _isAwaited && !_isLocked;
            _isAwaited &= _isLocked;
        }
        next?.SetResult();
        if (isAwaited)
            _wake!(_waker!);
    }

    // Only for whoever holds the write lock. Completes at once unless the peer has much to read already.
    ValueTask WriteAsync(ReadOnlyMemory<byte> frames)
    {
        _wrote |= Frame.Opcode(frames.Span) < Frame.FirstControl;
        Metrics.Sent(frames.Length);
        ValueTask<FlushResult> write = pipe.WriteAsync(frames);
        if (!write.IsCompletedSuccessfully)
            return FinishAsync(write, frames.Length);
        _written += frames.Length;
        return write.Result.IsCompleted ? ValueTask.FromException(Gone()) : default;
    }

    async ValueTask FinishAsync(ValueTask<FlushResult> write, int length)
    {
        Volatile.Write(ref _waitingSince, clock.GetTimestamp());
        try
        {
            if ((await write).IsCompleted)
                throw Gone();
            Volatile.Write(ref _written, _written + length);
        }
        finally
        {
            Volatile.Write(ref _waitingSince, 0);
        }
    }

    static IOException Gone() => new("the peer is gone");

    /// <summary>
    /// The write lock of an output, held. Passed on with the work that needs it; whoever has it last unlocks, exactly once.
    /// </summary>
    public readonly struct Writer(Output output)
    {
        /// <summary>Writes frames. Completes at once unless the peer has much to read already.</summary>
        /// <exception cref="IOException">The peer is gone.</exception>
        public ValueTask WriteAsync(ReadOnlyMemory<byte> frames) => output.WriteAsync(frames);

        public void Unlock() => output.Unlock();
    }
}
