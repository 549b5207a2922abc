using System.IO.Pipelines;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace ChatMinimal;

/// <summary>
/// A link is a TCP connection from its first byte to its last. HTTP runs on it until a request asks for a WebSocket; then
/// that request ends, and what HTTP kept is let go, while the talk goes on over the bare link. This is the only file that
/// knows how ASP.NET upgrades.
/// </summary>
/// <remarks>
/// A request that stays open costs more than half of what an idle client costs. Under TLS, and on servers other than
/// Kestrel, it does stay open: there the link is not the end of the stream that the browser sees.
/// </remarks>
sealed class Link : IDuplexPipe, IConnectionHeartbeatFeature
{
    readonly ConnectionContext _connection;
    readonly PipeReader _input;
    readonly DirectOutput? _direct;
    (Action<object> Action, object State)[] _beats = [];
    Func<Task>? _talk;

    Link(ConnectionContext connection)
    {
        _connection = connection;
        _input = connection.Transport.Input;
        Input = new LentReader(this);
        // Not where there is no socket; nor on Windows, where nobody has tried it.
        if (!OperatingSystem.IsWindows() && connection.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
            _direct = new DirectOutput(socket);
        Output = _direct ?? connection.Transport.Output;
        if (connection.Features.Get<IConnectionHeartbeatFeature>() is { } heart)
            heart.OnHeartbeat(link => ((Link)link).Beat(), this);
    }

    public PipeReader Input { get; }

    public PipeWriter Output { get; }

    /// <summary>Connection middleware, below TLS and HTTP.</summary>
    public static ConnectionDelegate Offer(ConnectionDelegate next) => async connection =>
    {
        var link = new Link(connection);
        connection.Transport = link;
        connection.Features.Set(link);
        connection.Features.Set<IConnectionHeartbeatFeature>(link);
        await next(connection);
        if (link._talk is { } talk)
        {
            link._beats = []; // each of them holds on to what HTTP was
            await talk();
        }
        if (link._direct is { } direct)
            await direct.DrainAsync();
    };

    /// <summary>Answers 101 (RFC 6455 section 4.2.2). What is written from then on is frames.</summary>
    public static async Task<Transport> UpgradeAsync(HttpContext http, string? subprotocol, TimeProvider clock)
    {
        IHttpUpgradeFeature upgrade = http.Features.GetRequiredFeature<IHttpUpgradeFeature>();
        IHeaderDictionary headers = http.Response.Headers;
        headers.Connection = "Upgrade";
        headers.Upgrade = "websocket";
        headers.SecWebSocketAccept = Accept(http.Request.Headers.SecWebSocketKey.ToString());
        if (subprotocol is not null)
            headers.SecWebSocketProtocol = subprotocol;
        // Kestrel's own idea of too slow is for downloads; here the send timeout decides.
        http.Features.Get<IHttpMinResponseDataRateFeature>()?.MinDataRate = null;
        Stream stream = await upgrade.UpgradeAsync();
        return BareLink(http) is { } link
            ? new Transport(link._input, link.Output, link._connection.Abort, clock)
            : new Transport(PipeReader.Create(stream), PipeWriter.Create(stream), http.Abort, clock);
    }

    /// <summary>Goes on after the request where that is possible, else within it. Nothing of the request may be touched in there.</summary>
    public static Task GoOnAsync(HttpContext http, Func<Task> talk)
    {
        if (BareLink(http) is not { } link)
            return talk();
        link._talk = talk;
        return Task.CompletedTask;
    }

    // Null: there is another layer between the link and us.
    static Link? BareLink(HttpContext http) => http.Features.Get<ITlsHandshakeFeature>() is null ? http.Features.Get<Link>() : null;

#pragma warning disable CA5350 // it is no secret: only a proof that somebody read the question (RFC 6455 section 1.3)
    static string Accept(string key) => Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
#pragma warning restore CA5350

    void IConnectionHeartbeatFeature.OnHeartbeat(Action<object> action, object state) => _beats = [.. _beats, (action, state)];

    void Beat()
    {
        foreach ((Action<object> action, object state) in _beats)
            action(state);
    }

    // HTTP's reader: it is ours again when the talk begins, so HTTP cannot end it.
    sealed class LentReader(Link link) : PipeReader
    {
        public override void Complete(Exception? exception = null)
        {
            if (link._talk is null)
                link._input.Complete(exception);
        }

        public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => link._input.ReadAsync(cancellationToken);
        public override bool TryRead(out ReadResult result) => link._input.TryRead(out result);
        public override void AdvanceTo(SequencePosition consumed) => link._input.AdvanceTo(consumed);
        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => link._input.AdvanceTo(consumed, examined);
        public override void CancelPendingRead() => link._input.CancelPendingRead();
    }
}
