using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ChatMinimal.Bench;

/// <summary>The first chat everyone writes on ASP.NET: for each socket, await SendAsync. Made correct by a lock a socket, and no better.</summary>
static class NaivePeer
{
    const int MaxMessage = 8 * 1024; // bytes; more than any message of the benchmark

    static readonly ConcurrentDictionary<string, ConcurrentDictionary<Client, bool>> s_rooms = new();

    public static async Task RunAsync(int port)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        WebApplication app = builder.Build();
        app.UseWebSockets();
        app.Map("/ws", ChatAsync);
        await app.RunAsync();
    }

    static async Task ChatAsync(HttpContext http)
    {
        using WebSocket socket = await http.WebSockets.AcceptWebSocketAsync();
        using var client = new Client(socket);
        ConcurrentDictionary<Client, bool> room = s_rooms.GetOrAdd(http.Request.Query["room"].FirstOrDefault() ?? "salon", _ => new());
        room.TryAdd(client, true);
        try
        {
            byte[] buffer = new byte[MaxMessage];
            int count = 0;
            while (true)
            {
                ValueWebSocketReceiveResult received = await socket.ReceiveAsync(buffer.AsMemory(count), http.RequestAborted);
                if (received.MessageType != WebSocketMessageType.Text)
                    return;
                count += received.Count;
                if (!received.EndOfMessage)
                    continue;
                string text = Encoding.UTF8.GetString(buffer, 0, count);
                byte[] message = Encoding.UTF8.GetBytes($"Message d'un client : {text}");
                foreach (Client other in room.Keys)
                    await other.SendAsync(message, http.RequestAborted);
                count = 0;
            }
        }
        catch (Exception torn) when (torn is WebSocketException or OperationCanceledException or ObjectDisposedException) { } // a client left
        finally
        {
            room.TryRemove(client, out _);
        }
    }

    sealed class Client(WebSocket socket) : IDisposable
    {
        readonly SemaphoreSlim _turn = new(1, 1);

        public async Task SendAsync(byte[] message, CancellationToken cancel)
        {
            await _turn.WaitAsync(cancel);
            try
            {
                await socket.SendAsync(message, WebSocketMessageType.Text, endOfMessage: true, cancel);
            }
            finally
            {
                _turn.Release();
            }
        }

        public void Dispose() => _turn.Dispose();
    }
}
