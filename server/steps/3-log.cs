#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false

// Step 3 of 3: the room is a log, and each client is a cursor in it. A slow client is a number that lags, and it costs nobody anything.
// The log is in memory: a restart loses it. There is one room, no ping, no end to patience, and any web site may connect.
//
//     dotnet run server/steps/3-log.cs
//
// Plain text as before, from now on. With the subprotocol chat.v1, JSON: the server sends hello, message and gap, a client sends say.

using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

const int MaxMessageBytes = 8 * 1024; // a page of text; each client has a buffer of this size

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.Configuration["urls"] ??= "http://localhost:8765";
builder.Logging.SetMinimumLevel(LogLevel.Warning);
WebApplication app = builder.Build();
CancellationToken stop = app.Lifetime.ApplicationStopping;
var room = new Room();
int clients = 0;

app.UseWebSockets();
app.Map("/", ChatAsync);
app.Map("/ws", ChatAsync);
await app.StartAsync();
Console.WriteLine($"Serveur WebSocket démarré sur {app.Urls.First().Replace("http", "ws", StringComparison.Ordinal)}");
await app.WaitForShutdownAsync();

async Task ChatAsync(HttpContext http)
{
    if (!http.WebSockets.IsWebSocketRequest)
    {
        http.Response.StatusCode = StatusCodes.Status426UpgradeRequired;
        return;
    }
    bool isJson = http.WebSockets.WebSocketRequestedProtocols.Contains("chat.v1");
    long after = long.TryParse(http.Request.Query["after"], out long given) ? given : -1;
    // Before the socket is accepted: a client that is connected has missed nothing.
    (byte[] hello, long cursor) = isJson ? room.Enter(http.Request.Query["epoch"], after) : ([], room.Next);
    using WebSocket socket = await http.WebSockets.AcceptWebSocketAsync(isJson ? "chat.v1" : null);
    using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
    Task sending = SendAsync(socket, hello, cursor, ended.Token);
    Console.WriteLine($"Client connecté. Total clients : {Interlocked.Increment(ref clients)}");
    try
    {
        byte[] buffer = new byte[MaxMessageBytes + 1];
        while (await ReceiveAsync(socket, buffer) is { } text)
        {
            if (!isJson)
                room.Append(text, key: null);
            else if (JsonSerializer.Deserialize<Say>(text, JsonSerializerOptions.Web) is { Type: "say", Key: not null, Text: not null } say)
                room.Append(say.Text, say.Key); // there is no answer to anything else
        }
    }
    catch (Exception gone) when (IsGone(gone)) { }
    catch (JsonException) { } // disconnected by us, without an explanation
    finally
    {
        Console.WriteLine($"Client déconnecté. Total clients : {Interlocked.Decrement(ref clients)}");
        await ended.CancelAsync();
    }
    await sending;
}

// The only sender of this socket: reads the log from the cursor on, and waits for this client without anyone waiting for it.
// One send a message and client. What a slow client has missed could go out in one.
async Task SendAsync(WebSocket socket, byte[] hello, long cursor, CancellationToken ended)
{
    bool isJson = socket.SubProtocol is not null;
    try
    {
        if (isJson)
            await socket.SendAsync(hello, WebSocketMessageType.Text, endOfMessage: true, stop);
        while (await room.ReadAsync(cursor, ended) is { } message)
        {
            bool isGap = message.Seq > cursor; // what is between is no longer retained
            if (isGap && !isJson)
                break; // plain text has no way to tell, and nothing is skipped in silence
            if (isGap)
                await socket.SendAsync(Room.Json(new { type = "gap", from = cursor, to = message.Seq - 1 }), WebSocketMessageType.Text,
                    endOfMessage: true, stop);
            await socket.SendAsync(isJson ? message.Json : message.Plain, WebSocketMessageType.Text, endOfMessage: true, stop);
            cursor = message.Seq + 1;
        }
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, stop); // whatever the reason was: no code, no explanation
    }
    catch (Exception gone) when (IsGone(gone)) { }
}

// The next message, put together from its fragments. Null for a close frame, for binary, and for a text that is too long.
async Task<string?> ReceiveAsync(WebSocket socket, byte[] buffer)
{
    for (int count = 0; count <= MaxMessageBytes;)
    {
        ValueWebSocketReceiveResult received = await socket.ReceiveAsync(buffer.AsMemory(count), stop);
        count += received.Count;
        if (received.MessageType != WebSocketMessageType.Text)
            return null;
        if (received.EndOfMessage)
            return count <= MaxMessageBytes ? Encoding.UTF8.GetString(buffer, 0, count) : null;
    }
    return null;
}

// Disconnected, or the server stops: cancelling a send or a receive ends the connection, without a close frame.
static bool IsGone(Exception error) => error is WebSocketException or OperationCanceledException or ObjectDisposedException;

/// <summary>A room is an append-only log of messages, each encoded once for whoever reads it. There are no clients in it.</summary>
sealed class Room
{
    const int Retained = 2000; // messages, not bytes: the largest make it 64 MiB, in both encodings
    const int History = 50; // messages that a client begins with

    static readonly JsonSerializerOptions s_json = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    readonly Lock _lock = new(); // short: nobody sends under it
    readonly Message[] _messages = new Message[Retained]; // a ring: a message is at its seq, modulo the length
    readonly HashSet<string> _keys = []; // of the messages that are retained
    readonly string _epoch = Guid.NewGuid().ToString("N"); // which log this is: a restart begins another one, with the same seqs
    TaskCompletionSource _grown = new(TaskCreationOptions.RunContinuationsAsynchronously); // completed by the next message

    /// <summary>The seq of the next message; the first one is 1.</summary>
    public long Next { get; private set; } = 1;

    long First => Math.Max(1, Next - Retained);

    /// <summary>Where a client begins: after what it has seen, if that was in this log, else a little history before now.</summary>
    public (byte[] Hello, long Cursor) Enter(string? epoch, long after)
    {
        lock (_lock)
        {
            bool resumed = epoch == _epoch && after >= 0 && after < Next;
            byte[] hello = Json(new { type = "hello", epoch = _epoch, first = First, next = Next, resumed });
            return (hello, resumed ? after + 1 : Math.Max(First, Next - History));
        }
    }

    /// <summary>A key that is in the log already is a message sent again: it is not appended twice.</summary>
    public void Append(string text, string? key)
    {
        TaskCompletionSource grown;
        lock (_lock)
        {
            if (key is not null && !_keys.Add(key))
                return;
            ref Message slot = ref _messages[Next % Retained];
            if (slot.Key is { } old)
                _keys.Remove(old);
            byte[] plain = Encoding.UTF8.GetBytes($"Message d'un client : {text}");
            slot = new Message(Next, key, plain, Json(new { type = "message", seq = Next, at = DateTime.UtcNow, text, key }));
            Next++;
            (grown, _grown) = (_grown, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        grown.SetResult(); // wakes a task for each client that has read everything
    }

    /// <summary>Waits for the message at the cursor; a later one when that is no longer retained. Null at the end.</summary>
    public async ValueTask<Message?> ReadAsync(long cursor, CancellationToken ended)
    {
        while (!ended.IsCancellationRequested)
        {
            Task grown;
            lock (_lock)
            {
                if (cursor < Next)
                    return _messages[Math.Max(cursor, First) % Retained];
                grown = _grown.Task;
            }
            await grown.WaitAsync(ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        return null;
    }

    public static byte[] Json<T>(T value) => JsonSerializer.SerializeToUtf8Bytes(value, s_json);
}

readonly record struct Message(long Seq, string? Key, byte[] Plain, byte[] Json);

sealed record Say(string Type, string Key, string Text);
