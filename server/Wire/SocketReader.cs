using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace ChatMinimal;

/// <summary>
/// A socket reader is the PipeReader of a socket that an epoll watches. What a peer sends stays in the kernel until somebody reads, so that
/// one that is not read holds no memory here, and TCP pushes back on it.
/// </summary>
/// <remarks>
/// Under HTTP, whoever waits for bytes goes on on a thread of the pool. A WebSocket goes on at once, on the loop's thread, and parses in
/// place: what is received there is in a buffer that all share. What is not consumed of it is copied into one of the reader's own, which
/// is given back when that has been read. On the loop nobody is read on and on: the others have their turn first.
/// </remarks>
/// <param name="socket">It does not block.</param>
/// <param name="loop">Its epoll watches the socket.</param>
/// <param name="ended">
/// Called once, on a thread of the pool, when the peer has ended its side, or is gone, and nobody reads that; at the latest at the end.
/// </param>
/// <param name="owner">What it is called with.</param>
sealed class SocketReader(Socket socket, Loop loop, Action<object?> ended, object owner) : PipeReader, IValueTaskSource<ReadResult>
{
    const int SharedLength = 64 << 10, LeastOwn = 4 << 10; // bytes

    [ThreadStatic] static byte[]? t_shared; // the loop's

    readonly Lock _lock = new(); // guards all that follows
    ManualResetValueTaskSourceCore<ReadResult> _reading;
    CancellationTokenRegistration _canceling;
    byte[] _own = []; // rented; [_start, _end) is not consumed
    int _start, _end;
    ReadOnlySequence<byte> _lent; // handed out, until AdvanceTo
    volatile bool _isSharedLent;
    bool _isReadable;   // the kernel may have more
    bool _isOver;       // the peer sends no more: behind what it sent there is an end
    bool _isUnexamined; // whoever read has not looked at all of it
    bool _isWaiting;    // somebody waits for bytes
    bool _isCanceled;
    bool _isHolding;    // whoever read has once waited with the shared buffer: from then on it gets one of its own, a small one
    bool _hasEnded, _isEndTold;

    /// <summary>Of the socket.</summary>
    public int Descriptor { get; } = (int)socket.Handle;

    /// <summary>Tells it from other sockets that have had this descriptor. Set by the epoll.</summary>
    public uint Number { get; set; }

    /// <summary>Whether whoever waits for bytes goes on on the loop's thread.</summary>
    public bool IsInline { get; set; }

    /// <summary>
    /// Whether an end that is known is told of before it is read. HTTP reads it, and ends by itself; told of it, it would abort what it is
    /// about to answer.
    /// </summary>
    public bool TellsEndAhead { get; set; }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            if (TryReadNow(out ReadResult result))
                return new(result);
            _isWaiting = true;
            _reading.Reset();
            if (cancellationToken.CanBeCanceled)
                _canceling = cancellationToken.UnsafeRegister(static (reader, token) => ((SocketReader)reader!).Cancel(token), this);
            if (_isReadable)
                loop.Post(ReadOn); // when the others have had their turn
            return new(this, _reading.Version);
        }
    }

    public override bool TryRead(out ReadResult result)
    {
        lock (_lock)
            return TryReadNow(out result);
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        lock (_lock)
        {
            _isUnexamined = !_lent.Slice(examined).IsEmpty;
            ReadOnlySequence<byte> rest = _lent.Slice(consumed);
            if (_isSharedLent && !rest.IsEmpty)
            {
                _own = ArrayPool<byte>.Shared.Rent(Math.Max((int)rest.Length, LeastOwn));
                rest.CopyTo(_own);
                _end = (int)rest.Length;
            }
            _start = _end - (int)rest.Length;
            if (_start == _end)
                ReturnOwn();
            _lent = default;
            _isSharedLent = false;
        }
    }

    public override void CancelPendingRead()
    {
        ReadResult result;
        lock (_lock)
        {
            _isCanceled = !_isWaiting; // else it is told now
            if (_isCanceled)
                return;
            result = Lend(isCanceled: true);
        }
        GoOn(result, here: false);
    }

    public override void Complete(Exception? exception = null) { } // a buffer that was not read to its end is garbage

    void ReadOn() => OnReadable(isOver: false);

    /// <summary>There is something to be read. On the loop's thread.</summary>
    /// <param name="isOver">The peer sends no more, or is gone.</param>
    public void OnReadable(bool isOver)
    {
        byte[] shared = t_shared ??= GC.AllocateUninitializedArray<byte>(SharedLength);
        ReadResult result;
        lock (_lock)
        {
            _isReadable = true;
            _isOver |= isOver;
            if (!_isWaiting)
            {
                TellEnd();
                return;
            }
            if (!TryReceive(IsInline && !_isHolding && _start == _end ? shared : null, out result))
                return;
        }
        GoOn(result, here: IsInline);
        if (!_isSharedLent)
            return;
        t_shared = null; // whoever read is still at it, and waits for something else
        _isHolding = true;
    }

    /// <summary>The socket is closed: nobody waits for it any more.</summary>
    public void End()
    {
        ReadResult result;
        lock (_lock)
        {
            _hasEnded = true;
            TellEnd();
            if (!_isWaiting)
                return;
            result = Lend(isCanceled: false);
        }
        GoOn(result, here: false);
    }

    void Cancel(CancellationToken token)
    {
        lock (_lock)
        {
            if (!_isWaiting)
                return;
            _isWaiting = false;
        }
        _reading.RunContinuationsAsynchronously = true;
        _reading.SetException(new OperationCanceledException(token));
    }

    void GoOn(in ReadResult result, bool here)
    {
        _reading.RunContinuationsAsynchronously = !here;
        _reading.SetResult(result);
    }

    // ---- Under the lock

    // Without waiting. On the loop the kernel is asked only when it is this reader's turn.
    bool TryReadNow(out ReadResult result)
    {
        if (!_isCanceled && !_isUnexamined && !_hasEnded)
        {
            result = default;
            return _isReadable && !Loop.IsHere && TryReceive(shared: null, out result);
        }
        result = Lend(_isCanceled);
        _isCanceled = false;
        return true;
    }

    bool TryReceive(byte[]? shared, out ReadResult result)
    {
        result = default;
        if (shared is null)
            MakeRoom();
        Span<byte> to = shared ?? _own.AsSpan(_end);
        int count = Receive(to, out SocketError error);
        if (error == SocketError.WouldBlock)
        {
            _isReadable = false;
            if (_start == _end)
                ReturnOwn();
            return false;
        }
        _hasEnded = count == 0;
        _isReadable = _isOver || count == to.Length; // less than there is room for was all
        if (TellsEndAhead)
            TellEnd();
        if (shared is null)
            _end += count;
        result = Lend(isCanceled: false, shared, count);
        return true;
    }

    int Receive(Span<byte> to, out SocketError error)
    {
        try
        {
            return socket.Receive(to, SocketFlags.None, out error);
        }
        catch (ObjectDisposedException) // aborted
        {
            error = SocketError.Shutdown;
            return 0;
        }
    }

    ReadResult Lend(bool isCanceled, byte[]? shared = null, int count = 0)
    {
        _isWaiting = false;
        _isSharedLent = shared is not null;
        _lent = shared is null ? new(_own, _start, _end - _start) : new(shared, 0, count);
        return new(_lent, isCanceled, _hasEnded);
    }

    // The end of a peer is told when all it sent is received, though nobody reads at the moment.
    void TellEnd()
    {
        if (_isEndTold || (!_hasEnded && !(_isOver && Available() == 0)))
            return;
        _isEndTold = true;
        ThreadPool.UnsafeQueueUserWorkItem(ended, owner, preferLocal: false);
    }

    int Available()
    {
        try
        {
            return socket.Available;
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            return 0;
        }
    }

    void MakeRoom()
    {
        if (_own.Length - _end >= LeastOwn / 2)
            return;
        int rest = _end - _start;
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(2 * rest, LeastOwn));
        _own.AsSpan(_start, rest).CopyTo(larger);
        ReturnOwn();
        (_own, _end) = (larger, rest);
    }

    void ReturnOwn()
    {
        if (_own.Length > 0)
            ArrayPool<byte>.Shared.Return(_own);
        (_own, _start, _end) = ([], 0, 0);
    }

    // ---- The one who waits

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        _canceling.Unregister();
        return _reading.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _reading.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(Action<object?> go, object? on, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _reading.OnCompleted(go, on, token, flags);
}
