using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.Playwright;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// A server that says what a test wants it to say, for what the real one says only when something went wrong: the page's sockets lead here.
/// </summary>
sealed class ScriptedServer
{
    readonly Channel<(IWebSocketRoute Socket, string Query)> _opened = Channel.CreateUnbounded<(IWebSocketRoute, string)>();
    readonly Channel<JsonObject> _received = Channel.CreateUnbounded<JsonObject>();
    IWebSocketRoute? _socket;

    public Task TakeOverAsync(IPage page) => page.RouteWebSocketAsync("**/ws?*", socket =>
    {
        socket.OnMessage(frame => _received.Writer.TryWrite(JsonNode.Parse(frame.Text!)!.AsObject()));
        _opened.Writer.TryWrite((socket, new Uri(socket.Url).Query));
    });

    /// <summary>The query of the next socket that the page opens; from then on, that one is spoken to.</summary>
    public async Task<Dictionary<string, string>> OpenedAsync(CancellationToken cancel)
    {
        (_socket, string query) = await _opened.Reader.ReadAsync(cancel);
        return query[1..].Split('&').Select(pair => pair.Split('='))
            .ToDictionary(pair => pair[0], pair => Uri.UnescapeDataString(pair[1].Replace('+', ' ')));
    }

    public void Hello(string epoch, long first, long next, bool? resumed = null)
    {
        var hello = new JsonObject
        {
            ["type"] = "hello",
            ["room"] = "salon",
            ["epoch"] = epoch,
            ["first"] = first,
            ["next"] = next,
            ["online"] = 1,
            ["limits"] = new JsonObject { ["message"] = 65536, ["name"] = 32 },
        };
        if (resumed is { } held)
            hello["resumed"] = held;
        Send(hello);
    }

    public void Message(long seq, string text, string? key = null, string? name = "Zoé", string at = "2026-01-02T03:04:05.678Z")
    {
        var message = new JsonObject { ["type"] = "message", ["seq"] = seq, ["at"] = at, ["text"] = text };
        if (name is not null)
            message["name"] = name;
        if (key is not null)
            message["key"] = key;
        Send(message);
    }

    public void Send(JsonObject message) => _socket!.Send(message.ToJsonString());

    /// <summary>The next message of the page of this type.</summary>
    public async Task<JsonObject> ReceivedAsync(string type, CancellationToken cancel)
    {
        while (true)
        {
            JsonObject message = await _received.Reader.ReadAsync(cancel);
            if ((string)message["type"]! == type)
                return message;
        }
    }

    public Task CutAsync() => _socket!.CloseAsync(new() { Code = 4000 });
}
