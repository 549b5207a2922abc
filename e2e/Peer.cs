using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

namespace ChatMinimal.E2E;

/// <summary>A client of either dialect, by the BCL's own WebSocket, which judges our frames.</summary>
sealed class Peer : IDisposable
{
    readonly ClientWebSocket _socket = new();

    public string Epoch { get; set; } = "";

    public WebSocketCloseStatus? CloseStatus => _socket.CloseStatus;
    public string? CloseReason => _socket.CloseStatusDescription;

    public static async Task<Peer> PlainAsync(ChatServer server, string query = "") => await ConnectAsync(server.WebSocket, null, query);

    /// <summary>A chat.v1 client that has not read its hello yet.</summary>
    public static async Task<Peer> ChatAsync(ChatServer server, string query = "") =>
        await ConnectAsync(server.WebSocket, "chat.v1", query);

    public static async Task<Peer> ConnectAsync(Uri address, string? subprotocol, string query = "", string? origin = null,
        HttpMessageInvoker? through = null)
    {
        var peer = new Peer();
        if (subprotocol is not null)
            peer._socket.Options.AddSubProtocol(subprotocol);
        if (origin is not null)
            peer._socket.Options.SetRequestHeader("Origin", origin);
        peer._socket.Options.CollectHttpResponseDetails = true;
        using CancellationTokenSource limit = Rig.Patience();
        await peer._socket.ConnectAsync(new UriBuilder(address) { Query = query }.Uri, through, limit.Token);
        return peer;
    }

    public async Task SayAsync(string text)
    {
        using CancellationTokenSource limit = Rig.Patience();
        await _socket.SendAsync(Encoding.UTF8.GetBytes(text).AsMemory(), WebSocketMessageType.Text, endOfMessage: true, limit.Token);
    }

    public async Task SayAsync(ReadOnlyMemory<byte> payload, WebSocketMessageType type, bool endOfMessage = true)
    {
        using CancellationTokenSource limit = Rig.Patience();
        await _socket.SendAsync(payload, type, endOfMessage, limit.Token);
    }

    public Task SayAsync(string key, string text) =>
        SayAsync(new JsonObject { ["type"] = "say", ["key"] = key, ["text"] = text }.ToJsonString());

    /// <summary>The next message, whole; null when the server has closed.</summary>
    public async Task<string?> ReceiveAsync(TimeSpan? patience = null)
    {
        using CancellationTokenSource limit = Rig.Patience(patience);
        return await ReceiveAsync(limit.Token);
    }

    async Task<string?> ReceiveAsync(CancellationToken cancel)
    {
        var message = new System.Buffers.ArrayBufferWriter<byte>();
        while (true)
        {
            ValueWebSocketReceiveResult received = await _socket.ReceiveAsync(message.GetMemory(4096), cancel);
            if (received.MessageType == WebSocketMessageType.Close)
                return null;
            message.Advance(received.Count);
            if (received.EndOfMessage)
                return Encoding.UTF8.GetString(message.WrittenSpan);
        }
    }

    /// <summary>The next JSON message of one of these types; those of other types are passed over.</summary>
    public Task<JsonObject> ReceiveAsync(params string[] types) => ReceiveAsync(null, types);

    public async Task<JsonObject> ReceiveAsync(TimeSpan? patience, params string[] types)
    {
        using CancellationTokenSource limit = Rig.Patience(patience); // in all: beats would keep it waiting for ever
        while (await ReceiveAsync(limit.Token) is { } json)
        {
            JsonObject said = JsonNode.Parse(json)!.AsObject();
            string type = (string)said["type"]!;
            if (type == "hello")
                Epoch = (string)said["epoch"]!;
            if (types.Contains(type))
                return said;
        }
        throw new InvalidOperationException($"closed ({CloseStatus} {CloseReason}) instead of saying {string.Join(" or ", types)}");
    }

    public Task<JsonObject> ReceiveMessageAsync() => ReceiveAsync("message");

    /// <summary>The texts of the next so many messages, in either dialect.</summary>
    public async Task<List<string>> ReceiveTextsAsync(int count, bool plain = false)
    {
        var texts = new List<string>();
        while (texts.Count < count)
            texts.Add(plain ? await ReceiveAsync()
                ?? throw new InvalidOperationException("closed") : (string)(await ReceiveMessageAsync())["text"]!);
        return texts;
    }

    public async Task CloseAsync()
    {
        using CancellationTokenSource limit = Rig.Patience();
        await _socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, limit.Token);
    }

    /// <summary>Cuts the link as a broken cable would: no close frame.</summary>
    public void Cut() => _socket.Abort();

    public void Dispose() => _socket.Dispose();
}
