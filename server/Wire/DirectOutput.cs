using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace ChatMinimal;

/// <summary>
/// Direct output is a connection's PipeWriter that hands each flush to the socket at once, on the thread that flushes, and
/// waits only for what the socket would not take. Kestrel's own would copy it and wake another thread to send it.
/// </summary>
/// <remarks>One writer at a time, as for any PipeWriter. A peer that is gone is told as <see cref="FlushResult.IsCompleted"/>.</remarks>
sealed class DirectOutput : PipeWriter
{
    // Linux's tcp(7), TCP_INFO: among many others, how many bytes the peer's machine has acknowledged.
    const int Tcp = 6, TcpInfo = 11, BytesAcknowledged = 120, LeastInfo = BytesAcknowledged + sizeof(long);

    readonly Socket _socket;
    byte[] _buffer = []; // of what Kestrel writes: heads of answers, files
    int _length;
    bool _isGone;
    long _taken; // bytes that the socket took
    Task _rest = Task.CompletedTask;

    public DirectOutput(Socket socket)
    {
        _socket = socket;
        _socket.Blocking = false; // a full socket answers instead of waiting; asynchronous calls are not affected
    }

    public override bool CanGetUnflushedBytes => true;
    public override long UnflushedBytes => _length;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_buffer.Length - _length < Math.Max(sizeHint, 1))
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(_length + Math.Max(sizeHint, 4096));
            _buffer.AsSpan(0, _length).CopyTo(larger);
            ReturnBuffer();
            _buffer = larger;
        }
        return _buffer.AsMemory(_length);
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes) => _length += bytes;

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        int sent = Send(_buffer.AsSpan(0, _length));
        if (sent < _length && !_isGone)
            return WaitAsync(_buffer.AsMemory(sent, _length - sent), isOurs: true);
        EmptyBuffer();
        return Sent;
    }

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        if (_length > 0) // goes first
        {
            this.Write(source.Span);
            return FlushAsync(cancellationToken);
        }
        int sent = Send(source.Span);
        return sent < source.Length && !_isGone ? WaitAsync(source[sent..], isOurs: false) : Sent;
    }

    public override void Complete(Exception? exception = null) => _isGone |= exception is not null;

    public override void CancelPendingFlush() { } // whoever cancels also aborts, and that ends it

    /// <summary>Completes when the socket has taken everything, or is gone.</summary>
    public Task DrainAsync() => _rest;

    /// <summary>Whether the socket does not take what is written.</summary>
    public bool IsWaiting => !_rest.IsCompleted;

    /// <summary>
    /// Bytes that the peer's machine has acknowledged. Bytes that the socket took, where the system does not tell: there a buffer of
    /// the kernel hides a slow reader's progress.
    /// </summary>
    public long Acknowledged
    {
        get
        {
            long taken = Volatile.Read(ref _taken);
            if (!OperatingSystem.IsLinux() || _socket.ProtocolType != ProtocolType.Tcp)
                return taken;
            Span<byte> info = stackalloc byte[LeastInfo];
            try
            {
                return _socket.GetRawSocketOption(Tcp, TcpInfo, info) < LeastInfo
                    ? taken
                    : MemoryMarshal.Read<long>(info[BytesAcknowledged..]);
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException) // it has ended
            {
                return taken;
            }
        }
    }

    /// <summary>Bytes that the socket took and the peer's machine has not acknowledged.</summary>
    public long Unacknowledged => Volatile.Read(ref _taken) - Acknowledged;

    ValueTask<FlushResult> Sent => new(new FlushResult(isCanceled: false, isCompleted: _isGone));

    int Send(ReadOnlySpan<byte> bytes)
    {
        int sent = 0;
        try
        {
            while (sent < bytes.Length && !_isGone)
            {
                int taken = _socket.Send(bytes[sent..], SocketFlags.None, out SocketError error);
                if (error == SocketError.WouldBlock)
                    break;
                _isGone = error != SocketError.Success;
                sent += taken;
            }
            _taken += sent;
        }
        catch (ObjectDisposedException) // aborted
        {
            _isGone = true;
        }
        return sent;
    }

    ValueTask<FlushResult> WaitAsync(ReadOnlyMemory<byte> rest, bool isOurs)
    {
        Task<FlushResult> waiting = SendAsync(rest, isOurs);
        _rest = waiting;
        return new(waiting);
    }

    async Task<FlushResult> SendAsync(ReadOnlyMemory<byte> rest, bool isOurs)
    {
        try
        {
            while (!rest.IsEmpty)
            {
                int taken = await _socket.SendAsync(rest, SocketFlags.None);
                Volatile.Write(ref _taken, _taken + taken);
                rest = rest[taken..];
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException) // reset, or aborted
        {
            _isGone = true;
        }
        if (isOurs)
            EmptyBuffer();
        return new FlushResult(isCanceled: false, isCompleted: _isGone);
    }

    void EmptyBuffer()
    {
        _length = 0;
        ReturnBuffer(); // an idle connection owns none
    }

    void ReturnBuffer()
    {
        if (_buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }
}
