using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// Admission decides who may open a socket, and where it leads: everything that is checked before the upgrade.
/// Each refusal is a <see cref="Problem"/>, and a line for the operator.
/// </summary>
sealed class Admission(
    Rooms rooms, IMessageStore store, ChatOptions options, TimeProvider clock,
    OriginRule origins, Addresses addresses, IHostApplicationLifetime lifetime, OperatorLog log)
{
    public const string ChatV1 = "chat.v1";

    static readonly TimeSpan s_whenFull = TimeSpan.FromSeconds(10); // time for someone to leave

    int _clients;

    /// <summary>How many are connected: sockets and event streams.</summary>
    public int Clients => Volatile.Read(ref _clients);

    /// <summary>The whole life of a socket, from its request to its end.</summary>
    public async Task OpenAsync(HttpContext http)
    {
        if (await CheckAsync(http, CheckUpgrade(http.Request)) is not { } asked || await LocateAsync(http, asked) is not { } visit
            || await EnterAsync(http, visit) is not { } stay)
            return;
        bool isChat = http.WebSockets.WebSocketRequestedProtocols.Contains(ChatV1);
        var connection = new Connection(stay.Room, isChat ? Dialect.Chat : Dialect.Plain, visit.Name, http.Connection.RemoteIpAddress,
            options, clock, log);
        Transport transport;
        try
        {
            connection.Join(visit.Resume); // before the 101: from the moment it is connected, a client misses nothing
            transport = await Link.UpgradeAsync(http, isChat ? ChatV1 : null, clock);
        }
        catch
        {
            connection.Leave();
            stay.Dispose();
            throw;
        }
        CancellationToken stopping = lifetime.ApplicationStopping;
        await Link.GoOnAsync(http, () => connection.RunAsync(transport, stay, stopping));
    }

    /// <summary>What the request asks for; null when it has been refused.</summary>
    /// <param name="http">The request.</param>
    /// <param name="other">What is wrong with it for a reason of the caller's, told to those only who may come in.</param>
    public async ValueTask<Visit?> CheckAsync(HttpContext http, Problem? other = null)
    {
        Visit visit = default;
        Problem? refusal = origins.Check(http) ?? other ?? CheckInvite(http);
        if (refusal is null && !Visit.TryParse(http.Request, out visit, out string? why))
            refusal = new(StatusCodes.Status400BadRequest, why);
        if (refusal is null && lifetime.ApplicationStopping.IsCancellationRequested)
            refusal = Full("the server is shutting down");
        if (refusal is null)
            return visit;
        await RefuseAsync(http, refusal);
        return null;
    }

    /// <summary>The same with a position that is void in this log left out; null when it has been refused.</summary>
    public async ValueTask<Visit?> LocateAsync(HttpContext http, Visit visit)
    {
        if (visit.Resume is not { After: > 0 and < long.MaxValue and { } after, At: { } at })
            return visit;
        try
        {
            LogPage page = await store.ReadAsync(visit.Room, after, after + 1, http.RequestAborted);
            // Where that message is no longer retained, epoch and seq alone decide.
            return page.Messages is [{ } seen] && seen.At != at ? visit with { Resume = visit.Resume with { After = null } } : visit;
        }
        catch (StoreUnavailableException error)
        {
            await RefuseAsync(http, Full(error.Message));
            return null;
        }
    }

    /// <summary>Counts a client in and lets it into its room, until what is returned is disposed; null when it has been refused.</summary>
    public async ValueTask<Stay?> EnterAsync(HttpContext http, Visit visit)
    {
        IPAddress? address = http.Connection.RemoteIpAddress;
        Problem? refusal = addresses.TryEnter(address, out Addresses.Usage? usage);
        if (refusal is not null)
        {
            await RefuseAsync(http, refusal);
            return null;
        }
        int clients = Interlocked.Increment(ref _clients);
        Room? room = null;
        try
        {
            if (clients > options.MaxConnections)
                refusal = Full($"there are {options.MaxConnections} clients already");
            else if ((room = await rooms.EnterAsync(visit.Room, http.RequestAborted)) is null)
                refusal = Full($"there are {options.MaxRooms} rooms already");
            else if (room.Window.Head.Next == 1)
                refusal = addresses.TryBegin(address, visit.Room);
            if (room is not null && refusal is null)
                await room.ReachAsync(visit.Resume);
        }
        catch (StoreUnavailableException error)
        {
            refusal = Full(error.Message);
        }
        finally
        {
            if (room is null || refusal is not null)
            {
                if (room is not null)
                    rooms.Leave(room);
                Interlocked.Decrement(ref _clients);
                addresses.Leave(usage);
            }
        }
        if (refusal is not null)
        {
            await RefuseAsync(http, refusal);
            return null;
        }
        log.Connected(clients);
        return new Stay(this, room!, usage);
    }

    /// <summary>What is true for a while: no place, no store.</summary>
    public static Problem Full(string detail) => new(StatusCodes.Status503ServiceUnavailable, detail, s_whenFull);

    void Leave(Room room, Addresses.Usage? usage)
    {
        int clients = Interlocked.Decrement(ref _clients);
        addresses.Leave(usage);
        rooms.Leave(room);
        log.Disconnected(clients);
    }

    /// <summary>A stay is one client's time in a room.</summary>
    public sealed class Stay(Admission admission, Room room, Addresses.Usage? usage) : IDisposable
    {
        public Room Room => room;

        public void Dispose() => admission.Leave(room, usage);
    }

    /// <summary>Whether a request asks for a WebSocket, rightly or not.</summary>
    public static bool WantsSocket(HttpRequest request) => Lists(request.Headers.GetCommaSeparatedValues("Upgrade"), "websocket");

    // RFC 6455 section 4.2.1; each refusal blames what is wrong.
    static Problem? CheckUpgrade(HttpRequest request)
    {
        IHeaderDictionary headers = request.Headers;
        if (!HttpMethods.IsGet(request.Method) || !HttpProtocol.IsHttp11(request.Protocol) || !WantsSocket(request)
            || headers.SecWebSocketVersion != Problem.WebSocketVersion)
            return new(StatusCodes.Status426UpgradeRequired, "this address is for WebSockets, version 13, over HTTP/1.1");
        if (!Lists(headers.GetCommaSeparatedValues("Connection"), "Upgrade"))
            return new(StatusCodes.Status400BadRequest, "the Connection header must list Upgrade; a proxy has to pass it on");
        if (!IsKey(headers.SecWebSocketKey))
            return new(StatusCodes.Status400BadRequest, "Sec-WebSocket-Key must be 16 bytes in base64");
        return null;

        static bool IsKey(string? key) =>
            key is { Length: 24 } && Convert.TryFromBase64String(key, stackalloc byte[18], out int length) && length == 16;
    }

    static bool Lists(string[] values, string token) => values.Contains(token, StringComparer.OrdinalIgnoreCase);

    public Problem? CheckInvite(HttpContext http)
    {
        if (options.InviteKey == "")
            return null;
        string given = http.Request.Headers.Authorization.ToString() is var header
            && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
            ? header["Bearer ".Length..]
            : http.Request.Query["invite"].ToString();
        // Hashes, because only spans of one length take constant time to compare.
        bool isKey = CryptographicOperations.FixedTimeEquals(
            SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(options.InviteKey)));
        Problem? tooMany = given == "" ? null : addresses.TryInvite(http.Connection.RemoteIpAddress, isKey);
        return tooMany ?? (isKey ? null : new(StatusCodes.Status401Unauthorized,
            "this chat is by invitation: ?invite=, or Authorization: Bearer"));
    }

    /// <summary>
    /// A browser asks first whether a page of another origin may send what HTML alone could not (Fetch Standard, section 3.3).
    /// </summary>
    public Task PreflightAsync(HttpContext http)
    {
        if (origins.Check(http) is { } refusal)
            return RefuseAsync(http, refusal);
        IHeaderDictionary headers = http.Response.Headers;
        headers.Allow = headers.AccessControlAllowMethods = "GET, HEAD, POST, OPTIONS";
        headers.AccessControlAllowHeaders = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID";
        headers.AccessControlMaxAge = "600"; // seconds
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    public Task RefuseAsync(HttpContext http, Problem problem)
    {
        log.Refused(http, problem);
        return problem.WriteAsync(http);
    }
}
