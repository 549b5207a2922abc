using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace ChatMinimal;

/// <summary>
/// A socket connection is what Kestrel takes a socket for that the loop receives from: below HTTP and TLS, and without a task or a
/// buffer of its own while nothing is on its way.
/// </summary>
sealed class SocketConnection : ConnectionContext, IDuplexPipe, IConnectionSocketFeature, IMemoryPoolFeature
{
    static long s_last;

    readonly Epoll _epoll;
    readonly SocketReader _reader;
    readonly DirectOutput _output;
    readonly CancellationTokenSource _ended = new();
    FeatureCollection _features = new();

    public SocketConnection(Socket socket, Loop loop, MemoryPool<byte> pool)
    {
        socket.Blocking = false;
        (Socket, MemoryPool, _epoll) = (socket, pool, loop.Sockets!);
        _reader = new SocketReader(socket, loop, static connection => ((SocketConnection)connection!)._ended.Cancel(), this);
        _output = new DirectOutput(socket);
        (LocalEndPoint, RemoteEndPoint) = (socket.LocalEndPoint, socket.RemoteEndPoint);
        Transport = this;
        ConnectionClosed = _ended.Token;
        Features.Set<IConnectionSocketFeature>(this);
        Features.Set<IMemoryPoolFeature>(this);
        _epoll.Watch(_reader);
    }

    public Socket Socket { get; }

    /// <summary>What HTTP takes its buffers from.</summary>
    public MemoryPool<byte> MemoryPool { get; }

    public PipeReader Input => _reader;

    public PipeWriter Output => _output;

    public override string ConnectionId
    {
        get => field ??= Interlocked.Increment(ref s_last).ToString("x", CultureInfo.InvariantCulture);
        set;
    }

    public override IFeatureCollection Features => _features;

    public override IDictionary<object, object?> Items
    {
        get => field ??= new Dictionary<object, object?>();
        set;
    }

    public override IDuplexPipe Transport { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    /// <summary>Triggered when the peer has ended its side, or is gone.</summary>
    public override CancellationToken ConnectionClosed { get; set; }

    /// <summary>HTTP is over, and a WebSocket begins: whoever reads it goes on on the loop, and what HTTP knew of it is let go.</summary>
    public void LetHttpGo()
    {
        _reader.IsInline = true;
        _features = new FeatureCollection();
    }

    /// <summary>At once: what is on its way is not waited for, and the peer is reset.</summary>
    public override void Abort(ConnectionAbortedException abortReason)
    {
        _epoll.Forget(_reader);
        Socket.Close(timeout: 0);
        _reader.End();
    }

    public override ValueTask DisposeAsync()
    {
        _epoll.Forget(_reader);
        try
        {
            Socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception error) when (PeerGone.Is(error)) { }
        Socket.Dispose();
        _reader.End();
        return base.DisposeAsync();
    }
}
