using System.Buffers;
using System.Net.WebSockets;
using System.Text;

namespace ChatMinimal.Client;

static class WebSocketText
{
    const int Largest = 128 << 20; // bytes: eight times the longest message that a server may be told to take

    public static ValueTask SendTextAsync(this WebSocket socket, string text, CancellationToken cancel) =>
        socket.SendAsync(Encoding.UTF8.GetBytes(text).AsMemory(), WebSocketMessageType.Text, endOfMessage: true, cancel);

    /// <summary>The next message, whole; null when the server has closed.</summary>
    public static async Task<string?> ReceiveTextAsync(this WebSocket socket, CancellationToken cancel)
    {
        var text = new ArrayBufferWriter<byte>();
        while (true)
        {
            ValueWebSocketReceiveResult received = await socket.ReceiveAsync(text.GetMemory(4096), cancel);
            if (received.MessageType == WebSocketMessageType.Close)
                return null;
            text.Advance(received.Count);
            if (received.EndOfMessage)
                return Encoding.UTF8.GetString(text.WrittenSpan);
            if (text.WrittenCount > Largest)
                throw new WebSocketException($"a message exceeds {Largest} bytes");
        }
    }
}
