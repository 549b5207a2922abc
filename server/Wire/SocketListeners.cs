using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace ChatMinimal;

/// <summary>
/// The socket listeners are Kestrel's transport where there is an epoll: each socket they accept is received from by the loop. Elsewhere
/// they bind nothing, and Kestrel's own transport does.
/// </summary>
sealed class SocketListeners : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    const int Backlog = 512; // sockets that wait to be accepted, as Kestrel's own transport has it

    readonly MemoryPool<byte> _pool;
    readonly Loop _loop;

    public SocketListeners(ChatOptions options, Loop loop, IMemoryPoolFactory<byte> pools)
    {
        (_loop, _pool) = (loop, pools.Create());
        if (options.UsesLoopForSockets)
            loop.UseSockets();
    }

    public bool CanBind(EndPoint endpoint) => _loop.Sockets is not null;

    /// <exception cref="AddressInUseException">Another server listens there.</exception>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket socket;
        try
        {
            socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint); // also a unix socket
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw new AddressInUseException(error.Message, error);
        }
        socket.Listen(Backlog);
        return new(new Listener(socket, _loop, _pool));
    }

    sealed class Listener(Socket socket, Loop loop, MemoryPool<byte> pool) : IConnectionListener
    {
        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                Socket? accepted = null;
                try
                {
                    accepted = await socket.AcceptAsync(cancellationToken);
                    if (accepted.ProtocolType == ProtocolType.Tcp)
                        accepted.NoDelay = true;
                    return new SocketConnection(accepted, loop, pool);
                }
                catch (Exception error) when (accepted is null && IsUnbound(error))
                {
                    return null;
                }
                catch (Exception error) when (PeerGone.Is(error)) // before it was accepted, or the kernel has no place for it
                {
                    accepted?.Dispose();
                }
            }
        }

        static bool IsUnbound(Exception error) =>
            error is ObjectDisposedException or OperationCanceledException
                or SocketException { SocketErrorCode: SocketError.OperationAborted };

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => DisposeAsync();

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            return default;
        }
    }
}
