using System.IO.Pipelines;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace ChatMinimal;

/// <summary>
/// A link is a TCP connection from its first byte to its last. HTTP runs on it until a request asks for a WebSocket; then
/// that request ends, and what HTTP held is let go, while the WebSocket goes on over the bare link. This is the only file that
/// knows how ASP.NET upgrades.
/// </summary>
/// <remarks>
/// A request that stays open costs more than half of what an idle client costs. Under TLS it does stay open: there the link
/// is not the end of the stream that the browser sees.
/// </remarks>
sealed class Link : IDuplexPipe, IConnectionHeartbeatFeature
{
    readonly ConnectionContext _connection;
    readonly Links _links;
    readonly Socket? _socket;
    readonly PipeReader _input;
    readonly DirectOutput? _direct;
    readonly long _openedAt;
    readonly CancellationToken _peerEnded;
    CancellationTokenRegistration _endOfHttp;
    Standstill _standstill;
    bool _hasReceived;
    volatile bool _isUpgraded;  // HTTP ends the link no longer
    volatile bool _isWebSocket; // and no longer looks after it: the answer is out
    (Action<object> Action, object State)[] _beats = [];
    Func<Task>? _socketLife;

    Link(ConnectionContext connection, Links links)
    {
        (_connection, _links, _openedAt) = (connection, links, links.Clock.GetTimestamp());
        _input = connection.Transport.Input;
        // HTTP aborts a connection whose peer ends its side. A WebSocket's last message may come right before that end.
        _peerEnded = connection.ConnectionClosed;
        var httpEnded = new CancellationTokenSource();
        connection.ConnectionClosed = httpEnded.Token;
        _endOfHttp = _peerEnded.UnsafeRegister(_ =>
        {
            if (!_isUpgraded)
                httpEnded.Cancel();
        }, null);
        Input = new LentReader(this);
        _socket = connection.Features.Get<IConnectionSocketFeature>()?.Socket;
        _direct = connection.Transport.Output as DirectOutput;
        // Kestrel's own transport has another. Not where there is no socket; nor on Windows, where nobody has tried it.
        if (!OperatingSystem.IsWindows() && _socket is not null)
            _direct ??= new DirectOutput(_socket);
        Output = _direct ?? connection.Transport.Output;
        if (connection.Features.Get<IConnectionHeartbeatFeature>() is { } heart)
            heart.OnHeartbeat(link => ((Link)link).Beat(), this);
    }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    /// <summary>The whole life of a connection, below TLS and HTTP.</summary>
    public static async Task RunAsync(ConnectionContext connection, ConnectionDelegate next, Links links)
    {
        try
        {
            var link = new Link(connection, links);
            connection.Transport = link;
            connection.Features.Set(link);
            connection.Features.Set<IConnectionHeartbeatFeature>(link);
            await next(connection);
            if (link._socketLife is { } live)
            {
                link._beats = []; // each of them holds on to what HTTP was
                connection.ConnectionClosed = link._peerEnded;
                (connection as SocketConnection)?.LetHttpGo();
                Task life;
                using (ExecutionContext.SuppressFlow()) // or each continuation carries Kestrel's logging scope along
                    life = live();
                link._socketLife = null; // it holds on to the request
                await life;
            }
            if (link._direct is { } direct)
                await direct.DrainAsync();
        }
        finally
        {
            links.Ended();
        }
    }

    /// <summary>Answers 101 (RFC 6455 section 4.2.2). What is written from then on is frames.</summary>
    public static async Task<Transport> UpgradeAsync(HttpContext http, string? subprotocol, TimeProvider clock)
    {
        Link link = http.Features.GetRequiredFeature<Link>();
        IHttpUpgradeFeature upgrade = http.Features.GetRequiredFeature<IHttpUpgradeFeature>();
        IHeaderDictionary headers = http.Response.Headers;
        headers.Connection = "Upgrade";
        headers.Upgrade = "websocket";
        headers.SecWebSocketAccept = Accept(http.Request.Headers.SecWebSocketKey.ToString());
        if (subprotocol is not null)
            headers.SecWebSocketProtocol = subprotocol;
        // Kestrel's own idea of too slow is for downloads; here the send timeout decides.
        http.Features.Get<IHttpMinResponseDataRateFeature>()?.MinDataRate = null;
        link._isUpgraded = true; // before the peer can know
        if (link._input is SocketReader reader)
            reader.TellsEndAhead = true;
        link._endOfHttp.Unregister();
        link._endOfHttp = default;
        Stream stream = await upgrade.UpgradeAsync();
        link._isWebSocket = true;
        if (IsBare(http))
            return new Transport(link._input, new Output(link.Output, link._direct, clock), link, tls: null);
        SslStream? tls = http.Features.Get<ISslStreamFeature>()?.SslStream;
        return new Transport(PipeReader.Create(stream), new Output(PipeWriter.Create(stream), link._direct, clock), link, tls);
    }

    /// <summary>Goes on after the request where that is possible, else within it. Nothing of the request may be touched in there.</summary>
    public static Task GoOnAsync(HttpContext http, Func<Task> live)
    {
        if (!IsBare(http))
            return live();
        http.Features.GetRequiredFeature<Link>()._socketLife = live;
        return Task.CompletedTask;
    }

    /// <summary>Triggered when the peer has ended its side, or is gone.</summary>
    public CancellationToken PeerEnded => _peerEnded;

    /// <summary>Ends it at once: the peer gets no more, not even a reason.</summary>
    public void Abort() => _connection.Abort();

    /// <summary>
    /// Tells the peer that nothing more comes, below all that was written, and leaves its side open: a socket that is closed with
    /// unread bytes in it is reset, and a reset overtakes what the peer has not read (RFC 6455 section 7.1.1).
    /// </summary>
    public async ValueTask EndOutputAsync(SslStream? tls)
    {
        if (_direct is null)
            return; // another's output: it ends when the link does
        try
        {
            if (tls is not null)
                await tls.ShutdownAsync(); // close_notify, or the peer must take it for an attack (RFC 8446 section 6.1)
            _socket!.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (PeerGone.Is(error)) { } // it was faster
    }

    // Null of these: there is another layer between the link and us.
    static bool IsBare(HttpContext http) => http.Features.Get<ITlsHandshakeFeature>() is null;

#pragma warning disable CA5350 // it is no secret: only a proof that somebody read the question (RFC 6455 section 1.3)
    static string Accept(string key) =>
        Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350

    void IConnectionHeartbeatFeature.OnHeartbeat(Action<object> action, object state) => _beats = [.. _beats, (action, state)];

    // Kestrel's, once a second.
    void Beat()
    {
        foreach ((Action<object> action, object state) in _beats)
            action(state);
        if (_isWebSocket) // the connection looks after itself
            return;
        long now = _links.Clock.GetTimestamp();
        if (!_hasReceived && _links.Clock.GetElapsedTime(_openedAt, now) >= Links.SilenceTimeout)
            Abort();
        else if (_direct is { IsWaiting: var isWaiting } direct
            && _standstill.Look(isWaiting, isWaiting ? direct.Acknowledged : 0, now, _links.Clock) >= _links.SendTimeout)
            _links.GiveUp(_connection);
    }

    // HTTP's reader: it is ours again when the WebSocket begins, so HTTP cannot end it.
    sealed class LentReader(Link link) : PipeReader
    {
        public override void Complete(Exception? exception = null)
        {
            if (link._socketLife is null)
                link._input.Complete(exception);
        }

        public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
            link._input.ReadAsync(cancellationToken);
        public override bool TryRead(out ReadResult result) => link._input.TryRead(out result);
        public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
        {
            link._hasReceived = true;
            link._input.AdvanceTo(consumed, examined);
        }

        public override void CancelPendingRead() => link._input.CancelPendingRead();
    }
}
