#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false

// Step 2 of 3: each client has a queue and a task that empties it, so that nobody waits for anybody. A queue has an end: a slow client
// loses what does not fit, and is told how much. It keeps no message, has one room, never pings, and lets any web site in.
//
//     dotnet run server/steps/2-queues.cs

using System.Net.WebSockets;
using System.Text;
using System.Threading.Channels;

const int MaxMessageBytes = 8 * 1024; // a page of text; each client has a buffer of this size

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.Configuration["urls"] ??= "http://localhost:8765";
builder.Logging.SetMinimumLevel(LogLevel.Warning);
WebApplication app = builder.Build();
CancellationToken stop = app.Lifetime.ApplicationStopping;
var clients = new HashSet<Client>();
var room = new Lock(); // guards the clients; held while a message is queued for all, so that all get one order

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
    using WebSocket socket = await http.WebSockets.AcceptWebSocketAsync();
    var client = new Client(socket);
    Task sending = client.SendAsync(stop);
    lock (room)
    {
        clients.Add(client);
        Console.WriteLine($"Client connecté. Total clients : {clients.Count}");
    }
    try
    {
        byte[] buffer = new byte[MaxMessageBytes + 1];
        while (await ReceiveAsync(socket, buffer) is { } text)
            Broadcast(Encoding.UTF8.GetBytes($"Message d'un client : {text}"));
    }
    catch (Exception gone) when (Client.IsGone(gone)) { }
    finally
    {
        lock (room)
        {
            clients.Remove(client);
            Console.WriteLine($"Client déconnecté. Total clients : {clients.Count}");
        }
        client.Complete();
    }
    await sending;
}

// Waits for nobody, and slows nobody down: who talks faster than the others read makes them lose messages.
void Broadcast(byte[] message)
{
    lock (room)
        foreach (Client client in clients)
            client.Queue(message);
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

sealed class Client(WebSocket socket)
{
    const int QueueLength = 64; // messages, not bytes: the largest make it 512 KiB, for each client that does not read

    readonly Channel<byte[]> _queue = Channel.CreateBounded<byte[]>(QueueLength);
    int _lost; // since the last message that fitted

    /// <summary>Called under the room's lock.</summary>
    public void Queue(byte[] message)
    {
        // Told in its place among the messages, and so not before there is room for it: a client that nobody talks to again never knows.
        if (_lost > 0 && _queue.Writer.TryWrite(Encoding.UTF8.GetBytes($"({_lost} messages perdus)")))
            _lost = 0;
        if (_lost > 0 || !_queue.Writer.TryWrite(message))
            _lost++;
    }

    public void Complete() => _queue.Writer.Complete();

    /// <summary>The only sender of this socket. Waits for this client as long as it is connected, and only here.</summary>
    public async Task SendAsync(CancellationToken stop)
    {
        try
        {
            await foreach (byte[] message in _queue.Reader.ReadAllAsync(stop))
                await socket.SendAsync(message, WebSocketMessageType.Text, endOfMessage: true, stop);
            // Whatever the reason was: no code, no explanation
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, stop);
        }
        catch (Exception gone) when (IsGone(gone)) { }
    }

    /// <summary>Disconnected, or the server stops: cancelling a send or a receive ends the connection, without a close frame.</summary>
    public static bool IsGone(Exception error) => error is WebSocketException or OperationCanceledException or ObjectDisposedException;
}
