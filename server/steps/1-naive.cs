#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false

// Step 1 of 3, the chat that everyone writes first: a list of clients, and a loop over it. It is fine until one client stops reading.
// It keeps no message, has one room, never pings, and lets any web site in: it does not look at the Origin.
//
//     dotnet run server/steps/1-naive.cs

using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text;

const int MaxMessageBytes = 8 * 1024; // a page of text; each client has a buffer of this size

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(args);
builder.Configuration["urls"] ??= "http://localhost:8765";
builder.Logging.SetMinimumLevel(LogLevel.Warning);
WebApplication app = builder.Build();
CancellationToken stop = app.Lifetime.ApplicationStopping;
var clients = new ConcurrentDictionary<WebSocket, SemaphoreSlim>(); // each with its lock: a WebSocket allows one send at a time

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
    var sending = new SemaphoreSlim(1);
    clients.TryAdd(socket, sending);
    Console.WriteLine($"Client connecté. Total clients : {clients.Count}");
    try
    {
        byte[] buffer = new byte[MaxMessageBytes + 1];
        while (await ReceiveAsync(socket, buffer) is { } text)
        {
            byte[] message = Encoding.UTF8.GetBytes($"Message d'un client : {text}");
            // Waits for each client in turn: while one does not read, nobody receives what this sender sends, and soon nobody receives
            // anything. Each sender runs a loop of its own: two messages sent at once may reach Ana and Zoé in different orders.
            foreach ((WebSocket other, SemaphoreSlim otherSending) in clients)
                await SendAsync(other, otherSending, message);
        }
        await sending.WaitAsync(stop);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, stop); // whatever the reason was: no code, no explanation
    }
    catch (Exception gone) when (IsGone(gone)) { }
    finally
    {
        clients.TryRemove(socket, out _);
        Console.WriteLine($"Client déconnecté. Total clients : {clients.Count}");
    }
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

async Task SendAsync(WebSocket socket, SemaphoreSlim sending, byte[] message)
{
    await sending.WaitAsync(stop);
    try
    {
        await socket.SendAsync(message, WebSocketMessageType.Text, endOfMessage: true, stop);
    }
    catch (Exception gone) when (IsGone(gone)) { } // the loop that receives from it ends, too
    finally
    {
        sending.Release();
    }
}

// Disconnected, or the server stops: cancelling a send or a receive ends the connection, without a close frame.
static bool IsGone(Exception error) => error is WebSocketException or OperationCanceledException or ObjectDisposedException;
