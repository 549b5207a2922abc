using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace ChatMinimal;

/// <summary>
/// Direct output is a connection's PipeWriter that hands each flush to the socket at once, on the thread that flushes, and
/// waits only for what the socket would not take. Kestrel's own would copy it and wake another thread to send it.
/// </summary>
/// <remarks>One writer at a time, as for any PipeWriter. A peer that is gone is told as <see cref="FlushResult.IsCompleted"/>.</remarks>
sealed class DirectOutput : PipeWriter
{
    readonly Socket _socket;
    byte[] _buffer = []; // of what Kestrel writes: heads of answers, files
    int _length;
    bool _isGone;
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
                rest = rest[await _socket.SendAsync(rest, SocketFlags.None)..];
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
