using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// Admission decides who may open a socket, and where it leads: everything that is checked before the upgrade.
/// Each refusal is an RFC 9457 problem, in plain words.
/// </summary>
sealed class Admission(
    Rooms rooms, IMessageStore store, ChatOptions options, TimeProvider clock,
    IHostEnvironment environment, IHostApplicationLifetime lifetime, ILogger<Admission> log)
{
    public const string ChatV1 = "chat.v1";

    const string WebSocketVersion = "13"; // RFC 6455's
    const int RetryAfterSeconds = 10;     // when full: time for someone to leave

    int _clients;

    /// <summary>How many are connected: sockets and event streams.</summary>
    public int Clients => Volatile.Read(ref _clients);

    /// <summary>The whole life of a socket, from its request to its end.</summary>
    public async Task OpenAsync(HttpContext http)
    {
        if (CheckUpgrade(http) is { } refusal)
            await RefuseAsync(http, refusal);
        else if (await CheckAsync(http) is { } visit && await EnterAsync(http, visit) is { } stay)
        {
            bool isChat = http.WebSockets.WebSocketRequestedProtocols.Contains(ChatV1);
            var connection = new Connection(stay.Room, isChat ? Dialect.Chat : Dialect.Plain, visit.Name, store, options, clock, log);
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
            await Link.GoOnAsync(http, async () =>
            {
                using (stay)
                    await connection.RunAsync(transport, rooms.WakePump, stopping);
            });
        }
    }

    /// <summary>What the request asks for; null when it has been refused.</summary>
    public async ValueTask<Visit?> CheckAsync(HttpContext http)
    {
        if ((CheckOrigin(http) ?? CheckInvite(http)) is { } refusal)
            await RefuseAsync(http, refusal);
        else if (!Visit.TryParse(http.Request.Query, out Visit visit, out string? why))
            await RefuseAsync(http, new(StatusCodes.Status400BadRequest, why));
        else if (lifetime.ApplicationStopping.IsCancellationRequested)
            await RefuseAsync(http, new(StatusCodes.Status503ServiceUnavailable, "the server is shutting down"));
        else
            return visit;
        return null;
    }

    /// <summary>Counts a client in and lets it into its room, until what is returned is disposed; null when it has been refused.</summary>
    public async ValueTask<Stay?> EnterAsync(HttpContext http, Visit visit)
    {
        int clients = Interlocked.Increment(ref _clients);
        Room? room = null;
        try
        {
            if (clients > options.MaxConnections)
                await RefuseAsync(http, new(StatusCodes.Status503ServiceUnavailable, $"there are {options.MaxConnections} clients already"));
            else if ((room = await rooms.EnterAsync(visit.Room, http.RequestAborted)) is null)
                await RefuseAsync(http, new(StatusCodes.Status503ServiceUnavailable, $"there are {options.MaxRooms} rooms already"));
        }
        catch (StoreUnavailableException error)
        {
            await RefuseAsync(http, new(StatusCodes.Status503ServiceUnavailable, error.Message));
        }
        finally
        {
            if (room is null)
                Interlocked.Decrement(ref _clients);
        }
        if (room is null)
            return null;
        log.Connected(clients);
        return new Stay(this, room);
    }

    void Leave(Room room)
    {
        int clients = Interlocked.Decrement(ref _clients);
        rooms.Leave(room);
        log.Disconnected(clients);
    }

    /// <summary>A stay is one client's time in a room.</summary>
    public sealed class Stay(Admission admission, Room room) : IDisposable
    {
        public Room Room => room;

        public void Dispose() => admission.Leave(room);
    }

    static Problem? CheckUpgrade(HttpContext http)
    {
        if (http.WebSockets.IsWebSocketRequest && HttpProtocol.IsHttp11(http.Request.Protocol)) // RFC 6455 section 4.1: 1.1 at least
            return null;
        IHeaderDictionary headers = http.Request.Headers;
        bool isKeyBad = HttpProtocol.IsHttp11(http.Request.Protocol) && headers.SecWebSocketVersion == WebSocketVersion
            && headers.Upgrade.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase) && HttpMethods.IsGet(http.Request.Method);
        return isKeyBad
            ? new(StatusCodes.Status400BadRequest, "Sec-WebSocket-Key must be 16 bytes in base64")
            : new(StatusCodes.Status426UpgradeRequired, "this address speaks WebSocket, version 13, over HTTP/1.1");
    }

    // A browser says which page opened the socket (RFC 6455 section 10.2); other programs can say what they like, and need not.
    Problem? CheckOrigin(HttpContext http)
    {
        string? origin = http.Request.Headers.Origin;
        http.Response.Headers.Vary = "Origin";
        if (origin is null)
            return null;
        if (!MayConnect(http, origin))
            return new(StatusCodes.Status403Forbidden, $"pages of {Log.OneLine(origin)} may not connect: Chat:AllowedOrigins lists those that may");
        http.Response.Headers.AccessControlAllowOrigin = origin; // and may read the answer
        return null;
    }

    bool MayConnect(HttpContext http, string origin)
    {
        if (options.AllowedOrigins.Contains(origin, StringComparer.OrdinalIgnoreCase))
            return true;
        // A page opened from disk, as in the course: on the machine of whoever develops with it, and nowhere else.
        if (origin == "null")
            return environment.IsDevelopment() && http.Connection.RemoteIpAddress is { } peer && IPAddress.IsLoopback(peer);
        return Uri.TryCreate(origin, UriKind.Absolute, out Uri? page) && http.Request.Host == HostString.FromUriComponent(page);
    }

    public Problem? CheckInvite(HttpContext http)
    {
        if (options.InviteKey == "")
            return null;
        string given = http.Request.Headers.Authorization.ToString() is var header && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
            ? header["Bearer ".Length..]
            : http.Request.Query["invite"].ToString();
        // Hashes, because only spans of one length take constant time to compare.
        bool isKey = CryptographicOperations.FixedTimeEquals(
            SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(options.InviteKey)));
        return isKey ? null : new(StatusCodes.Status401Unauthorized, "this chat is by invitation: ?invite=, or Authorization: Bearer");
    }

    public Task RefuseAsync(HttpContext http, Problem problem)
    {
        log.Refused(problem.Status, problem.Detail);
        IHeaderDictionary headers = http.Response.Headers;
        switch (problem.Status)
        {
            case StatusCodes.Status401Unauthorized:
                headers.WWWAuthenticate = "Bearer";
                break;
            case StatusCodes.Status426UpgradeRequired: // RFC 9110 section 15.5.22, RFC 6455 section 4.4
                headers.Upgrade = "websocket";
                headers.SecWebSocketVersion = WebSocketVersion;
                break;
            case StatusCodes.Status503ServiceUnavailable:
                headers.RetryAfter = RetryAfterSeconds.ToString(CultureInfo.InvariantCulture);
                break;
        }
        return TypedResults.Problem(problem.Detail, statusCode: problem.Status).ExecuteAsync(http);
    }

    public sealed record Problem(int Status, string Detail);
}

/// <summary>What a client asks for in the address it opens.</summary>
readonly record struct Visit(string Room, string? Name, Resume Resume)
{
    const int LongestRoom = 64; // characters
    const string Default = "salon";

    public static bool TryParse(IQueryCollection query, out Visit visit, [NotNullWhen(false)] out string? why)
    {
        visit = default;
        why = null;
        string room = query.TryGetValue("room", out var rooms) ? rooms.ToString() : Default;
        string name = query["name"].ToString();
        long after = 0;
        int last = Resume.DefaultLast;
        if (room.Length is 0 or > LongestRoom || room.AsSpan().ContainsAnyExcept(s_roomCharacters))
            why = "room: 1 to 64 of A-Z a-z 0-9 - _";
        else if (!Names.IsValid(name))
            why = $"name: {Names.Rule}";
        else if (query.TryGetValue("after", out var afters) && !long.TryParse(afters, NumberStyles.None, CultureInfo.InvariantCulture, out after))
            why = "after: the number of the last message seen";
        else if (query.TryGetValue("last", out var lasts) && !int.TryParse(lasts, NumberStyles.None, CultureInfo.InvariantCulture, out last))
            why = "last: how many messages to begin with";
        else
            visit = new Visit(room, name == "" ? null : name, new Resume(query.ContainsKey("after") ? after : null, query["epoch"], last));
        return why is null;
    }

    static readonly System.Buffers.SearchValues<char> s_roomCharacters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}
