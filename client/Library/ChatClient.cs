using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ChatMinimal.Client;

/// <summary>
/// A client in one room, in chat.v1: sees every message exactly once and in order, and has each of its own said exactly once. It remembers
/// its position and what is not acknowledged; each connection resumes after the one and sends the other again.
/// </summary>
public sealed class ChatClient
{
    static readonly TimeSpan s_firstPause = TimeSpan.FromSeconds(0.5), s_longestPause = TimeSpan.FromSeconds(30);

    readonly Handshake _handshake;
    readonly TimeProvider _clock;
    readonly Outbox _outbox = new();
    TaskCompletionSource<int> _limit = New(); // bytes of a text, as the server greets; until then nothing is sent

    /// <param name="server">ws://, wss://, or the page's address: http://, https://. An invitation is part of it: ?invite=KEY.</param>
    /// <param name="room">1 to 64 of A-Z a-z 0-9 - _; null: the server's default.</param>
    /// <param name="name">Null: anonymous.</param>
    /// <param name="position">Where an earlier client of this program was; null: begin with the newest messages.</param>
    /// <param name="unacknowledged">What an earlier client of this program had not been acknowledged.</param>
    /// <param name="clock">Null: the system's.</param>
    /// <exception cref="ArgumentException">This is no address of a server.</exception>
    public ChatClient(Uri server, string? room = null, string? name = null, Position? position = null,
        IEnumerable<(string Key, string Text)>? unacknowledged = null, TimeProvider? clock = null)
    {
        (_handshake, _clock, Position) = (new Handshake(server, room, name), clock ?? TimeProvider.System, position);
        foreach ((string key, string text) in unacknowledged ?? [])
            _ = _outbox.Add(key, text);
    }

    /// <summary>Everything but messages. Raised on any thread.</summary>
    public event Action<ChatNote>? Noted;

    /// <summary>That of the last message handed out.</summary>
    public Position? Position { get; private set; }

    /// <summary>What was said and is not acknowledged yet, in order.</summary>
    public IReadOnlyList<(string Key, string Text)> Unacknowledged => _outbox.All;

    /// <summary>
    /// Says this, after what was said before. Completes with its seq once it is committed, or with a <see cref="ChatRefusedException"/>.
    /// </summary>
    public Task<long> SayAsync(string text) => _outbox.Add(Guid.NewGuid().ToString(), text);

    /// <summary>Nothing more will be said: the reading ends once all of it is acknowledged.</summary>
    public void Complete() => _outbox.Complete();

    /// <summary>
    /// The messages, for as long as one reads them; by one reader at a time. Messages travel, one's own included, while this runs.
    /// </summary>
    /// <exception cref="WebSocketException">The first connection fails. Later ones are tried again.</exception>
    /// <exception cref="ChatRefusedException">The server does not let this client in, and why.</exception>
    public async IAsyncEnumerable<Message> ReadAsync([EnumeratorCancellation] CancellationToken cancel = default)
    {
        bool wasConnected = false;
        for (int failures = 0; !_outbox.IsOver;)
        {
            using ClientWebSocket? socket = await ConnectAsync(wasConnected, cancel);
            if (socket is not null)
            {
                (wasConnected, failures) = (true, 0);
                Noted?.Invoke(new ChatNote.Connected());
                _outbox.Rewind();
                _limit = New();
                using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                Task sending = SendAsync(socket, end.Token);
                try
                {
                    while (await ReceiveAsync(socket, cancel) is { } message)
                        yield return message;
                }
                finally
                {
                    await end.CancelAsync();
                    await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
            if (_outbox.IsOver)
                break;
            // Full jitter: clients that lost the same server do not come back all at once.
            TimeSpan longest = s_firstPause * Math.Pow(2, Math.Min(failures++, 10));
            TimeSpan pause = Random.Shared.NextDouble() * (longest < s_longestPause ? longest : s_longestPause);
            Noted?.Invoke(new ChatNote.Reconnecting(pause));
            await Task.Delay(pause, _clock, cancel);
        }
    }

    // Null: again later.
    async Task<ClientWebSocket?> ConnectAsync(bool wasConnected, CancellationToken cancel)
    {
        try
        {
            return await _handshake.OpenAsync("chat.v1", Position?.Query ?? "", cancel);
        }
        catch (WebSocketException) when (wasConnected)
        {
            return null;
        }
        catch (ChatRefusedException refusal) when (wasConnected && refusal.MayPass)
        {
            return null;
        }
    }

    // The only writer of this socket. Closes it when all is said and acknowledged.
    async Task SendAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        int limit = await _limit.Task.WaitAsync(cancel);
        while (await _outbox.NextAsync(cancel) is var (key, text))
            if (Encoding.UTF8.GetByteCount(text) > limit) // much longer than that would cost the connection, again and again
                Refuse(key, "too_long", $"the text is longer than {limit} bytes of UTF-8");
            else
                await socket.SendTextAsync(new JsonObject { ["type"] = "say", ["key"] = key, ["text"] = text }.ToJsonString(), cancel);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancel);
    }

    // The next message; null: this connection is of no more use.
    async Task<Message?> ReceiveAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        try
        {
            while (await socket.ReceiveTextAsync(cancel) is { } json && JsonNode.Parse(json) is JsonObject told)
            {
                if ((string?)told["type"] == "message")
                    return Take(told);
                if (!Handle(told))
                    return null;
            }
        }
        catch (WebSocketException) { } // the link is down
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { } // no pong came, says the BCL's WebSocket with this
        catch (Exception error) when (error is JsonException or FormatException or InvalidOperationException)
        {
            // It does not speak chat.v1
        }
        return null;
    }

    Message Take(JsonObject told)
    {
        var message = new Message((long)told["seq"]!, ((DateTime)told["at"]!).ToUniversalTime(), (string?)told["name"],
            (string)told["text"]!, (string?)told["key"]);
        Position = Position! with { Seq = message.Seq, At = (string?)told["at"] };
        _outbox.Acknowledge(message.Key, message.Seq);
        return message;
    }

    // False: this connection is of no more use.
    bool Handle(JsonObject told)
    {
        switch ((string?)told["type"])
        {
            case "hello":
                if ((bool?)told["resumed"] != true)
                    Begin((string)told["epoch"]!);
                _limit.TrySetResult((int)told["limits"]!["message"]!);
                return true;
            case "logged":
                _outbox.Acknowledge((string?)told["key"], (long)told["seq"]!);
                return true;
            case "gap":
                Position = Position! with { Seq = Math.Max(Position.Seq, (long)told["to"]!), At = null };
                Noted?.Invoke(new ChatNote.Gap((long)told["from"]!, (long)told["to"]!));
                return true;
            case "refused" when (string?)told["reason"] == "store_unavailable":
                Noted?.Invoke(new ChatNote.StoreUnavailable());
                return false;
            case "refused":
                Refuse((string?)told["key"], (string?)told["reason"] ?? "", (string?)told["detail"] ?? "");
                return true;
            default:
                return true;
        }
    }

    void Refuse(string? key, string reason, string detail)
    {
        Noted?.Invoke(new ChatNote.Refused(reason, detail));
        _outbox.Refuse(key, new ChatRefusedException($"{reason}: {detail}"));
    }

    static TaskCompletionSource<int> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Without a resumed position what was seen belongs to another log, and what is not acknowledged is sent to this one.
    void Begin(string epoch)
    {
        if (Position is not null)
        {
            Noted?.Invoke(new ChatNote.StartedAfresh());
            _outbox.Rewind();
        }
        Position = new Position(epoch, 0, null);
    }
}
