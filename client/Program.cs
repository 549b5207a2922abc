// The console client. With a message it does what the course's client does: says it in the plain dialect, prints the
// broadcast, ends. Without one it is a chat in the terminal, in chat.v1: what is typed while the link is down is said
// when it is back, once.

using System.Buffers;
using System.CommandLine;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

Console.InputEncoding = Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);

var message = new Argument<string?>("message")
{
    Description = "What to say; without it, each line of standard input. / Ce qu'il faut dire ; sinon, chaque ligne de l'entrée standard.",
    Arity = ArgumentArity.ZeroOrOne,
};
var url = new Option<Uri>("--url")
{
    Description = "The server. / Le serveur.",
    DefaultValueFactory = _ => new Uri("ws://localhost:8765"),
    CustomParser = result =>
    {
        if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out Uri? server) && server.Scheme is "ws" or "wss")
            return server;
        result.AddError("--url: ws://HOST:PORT, wss://HOST:PORT");
        return null;
    },
};
var room = new Option<string?>("--room") { Description = "The room (salon). / Le salon." };
var name = new Option<string?>("--name") { Description = "Your name. / Votre nom." };
var command = new RootCommand("ChatMinimal: talk from the terminal. / Discuter depuis le terminal.") { message, url, room, name };
command.SetAction((parsed, cancel) =>
{
    var address = new Address(parsed.GetValue(url)!, parsed.GetValue(room), parsed.GetValue(name));
    return parsed.GetValue(message) is { } text ? Once.SayAsync(address, text, cancel) : new Conversation(address).RunAsync(cancel);
});
return await command.Parse(args).InvokeAsync();

/// <summary>Where to connect, and as whom.</summary>
sealed record Address(Uri Server, string? Room, string? Name)
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(15); // a ping, and as much again for the pong

    /// <exception cref="WebSocketException">Nobody is there, or the server refuses.</exception>
    public async Task<ClientWebSocket> ConnectAsync(string? subprotocol, string? resume, CancellationToken cancel)
    {
        var socket = new ClientWebSocket();
        socket.Options.KeepAliveInterval = socket.Options.KeepAliveTimeout = s_keepAlive;
        if (subprotocol is not null)
            socket.Options.AddSubProtocol(subprotocol);
        string?[] query = [Server.Query.TrimStart('?'), Pair("room", Room), Pair("name", Name), resume];
        var uri = new UriBuilder(Server) { Query = string.Join('&', query.Where(part => !string.IsNullOrEmpty(part))) };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(s_patience);
        try
        {
            await socket.ConnectAsync(uri.Uri, limit.Token);
            return socket;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new WebSocketException($"no answer in {s_patience.TotalSeconds} s");
        }
    }

    static string? Pair(string key, string? value) => value is null ? null : $"{key}={Uri.EscapeDataString(value)}";
}

/// <summary>The course's client: one message, one answer.</summary>
static class Once
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public static async Task<int> SayAsync(Address address, string text, CancellationToken cancel)
    {
        try
        {
            using ClientWebSocket socket = await address.ConnectAsync(subprotocol: null, resume: null, cancel);
            Terminal.Print($"Envoi : {text}");
            await socket.SendTextAsync(text, cancel);
            string own = address.Name is { Length: > 0 } name ? $"Message d'un client ({name}) : {text}" : $"Message d'un client : {text}";
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(s_patience);
            // Others may be talking, too: the answer is the broadcast of one's own message.
            string? heard;
            do
                heard = await socket.ReceiveTextAsync(limit.Token);
            while (heard is not null && heard != own);
            if (heard is null)
                return Terminal.Fail(address, $"{(int?)socket.CloseStatus} {socket.CloseStatusDescription}");
            Terminal.Print($"Réponse du serveur : {heard}");
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancel);
            return 0;
        }
        catch (WebSocketException error)
        {
            return Terminal.Fail(address, (error.InnerException ?? error).Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return Terminal.Fail(address, $"pas de réponse / no answer ({s_patience.TotalSeconds} s)");
        }
    }
}

/// <summary>A chat in the terminal. Knows the last seq it has seen and keeps what is not acknowledged, so nothing is lost or said twice.</summary>
sealed class Conversation(Address address)
{
    static readonly TimeSpan s_firstPause = TimeSpan.FromSeconds(0.5), s_longestPause = TimeSpan.FromSeconds(30);

    readonly Lock _lock = new();
    readonly List<(string Key, string Text)> _outbox = []; // what was typed and not yet acknowledged, in order
    int _sent;                                             // how many of those have been said on this connection
    bool _inputEnded;
    TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    string? _epoch; // the position: which log, the last seq seen, and that message's time as it was told
    long _last;
    string? _at;

    bool IsOver
    {
        get
        {
            lock (_lock)
                return _inputEnded && _outbox.Count == 0;
        }
    }

    public async Task<int> RunAsync(CancellationToken cancel)
    {
        bool wasConnected = false;
        _ = Task.Run(ReadInput, cancel);
        for (int failures = 0; !IsOver;)
        {
            try
            {
                string? resume = _epoch is null ? null : $"epoch={_epoch}&after={_last}" + (_at is null ? "" : $"&at={Uri.EscapeDataString(_at)}");
                using ClientWebSocket socket = await address.ConnectAsync("chat.v1", resume, cancel);
                (wasConnected, failures) = (true, 0);
                Terminal.Note($"Connecté / connected : {address.Server.OriginalString}");
                await TalkAsync(socket, cancel);
            }
            catch (WebSocketException error) when (!wasConnected)
            {
                return Terminal.Fail(address, (error.InnerException ?? error).Message);
            }
            catch (WebSocketException) { } // the link is down: again, below
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                return 0;
            }
            if (IsOver)
                break;
            // Full jitter: clients that lost the same server do not come back all at once.
            TimeSpan longest = s_firstPause * Math.Pow(2, Math.Min(failures++, 10));
            TimeSpan pause = Random.Shared.NextDouble() * (longest < s_longestPause ? longest : s_longestPause);
            Terminal.Note($"Reconnexion / reconnecting : {pause.TotalSeconds:0.0} s");
            await Task.Delay(pause, cancel);
        }
        return 0;
    }

    async Task TalkAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        lock (_lock)
            _sent = 0; // whatever is not acknowledged is said again; its key keeps it from being there twice
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task sending = SendAsync(socket, end.Token);
        try
        {
            while (await socket.ReceiveTextAsync(cancel) is { } json)
                if (!Hear(JsonNode.Parse(json)!.AsObject()))
                    break;
        }
        finally
        {
            await end.CancelAsync();
            await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // The only writer of this socket. Says goodbye when all is said and acknowledged.
    async Task SendAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        while (true)
        {
            (string Key, string Text)? next = null;
            Task changed;
            lock (_lock)
            {
                if (_sent < _outbox.Count)
                    next = _outbox[_sent++];
                changed = _changed.Task;
            }
            if (next is { } say)
                await socket.SendTextAsync(new JsonObject { ["type"] = "say", ["key"] = say.Key, ["text"] = say.Text }.ToJsonString(), cancel);
            else if (IsOver)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancel);
                return;
            }
            else
                await changed.WaitAsync(cancel);
        }
    }

    // False: this connection is of no more use.
    bool Hear(JsonObject said)
    {
        switch ((string?)said["type"])
        {
            case "hello":
                Begin((string?)said["epoch"], (bool?)said["resumed"] ?? false);
                return true;
            case "message":
                (_last, _at) = ((long)said["seq"]!, (string?)said["at"]);
                DateTime at = ((DateTime)said["at"]!).ToLocalTime();
                string author = (string?)said["name"] ?? "anonyme";
                // Indented, so that other people's line breaks cannot forge a line.
                Terminal.Print($"{at:HH:mm} {author} : {((string?)said["text"])?.Replace("\n", "\n      ", StringComparison.Ordinal)}");
                Acknowledge((string?)said["key"]);
                return true;
            case "logged":
                Acknowledge((string?)said["key"]);
                return true;
            case "gap":
                Terminal.Note($"Messages {said["from"]}-{said["to"]} : plus conservés / no longer kept");
                return true;
            case "refused" when (string?)said["reason"] == "store_unavailable":
                Terminal.Note("Le serveur ne peut rien garder pour l'instant / the server cannot keep messages now");
                return false;
            case "refused":
                Terminal.Note($"Refusé / refused : {said["reason"]} ({said["detail"]})");
                Acknowledge((string?)said["key"]);
                return true;
            default:
                return true;
        }
    }

    // Without a resumed position what was seen belongs to another log, and what is not acknowledged is sent to this one.
    void Begin(string? epoch, bool isResumed)
    {
        if (isResumed)
            return;
        if (_epoch is not null)
        {
            Terminal.Note("Le salon a recommencé / the room has started afresh");
            Change(() => _sent = 0);
        }
        (_epoch, _last, _at) = (epoch, 0, null);
    }

    void Acknowledge(string? key) => Change(() =>
    {
        int at = _outbox.FindIndex(say => say.Key == key);
        if (at < 0)
            return;
        _outbox.RemoveAt(at);
        if (at < _sent)
            _sent--;
    });

    void ReadInput()
    {
        while (Console.In.ReadLine() is { } line)
            if (!string.IsNullOrWhiteSpace(line))
                Change(() => _outbox.Add((Guid.NewGuid().ToString(), line)));
        Change(() => _inputEnded = true);
    }

    void Change(Action change)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            change();
            (changed, _changed) = (_changed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        changed.SetResult();
    }
}

/// <summary>The terminal: what is said goes to standard output, what is said about it to standard error.</summary>
static class Terminal
{
    public static void Print(string line) => Console.Out.WriteLine(Harmless(line));

    public static void Note(string line) => Console.Error.WriteLine(Harmless(line));

    public static int Fail(Address address, string why)
    {
        Note($"Serveur injoignable / cannot reach {address.Server.OriginalString} : {why}");
        return 1;
    }

    // Control characters as pictures: other people's words must not steer this terminal.
    static string Harmless(string text) => string.Create(text.Length, text, (to, from) =>
    {
        for (int i = 0; i < to.Length; i++)
            to[i] = from[i] switch
            {
                '\n' or '\t' => from[i],
                < ' ' => (char)('\u2400' + from[i]),
                >= '\u007F' and <= '\u009F' => '\u2421',
                _ => from[i],
            };
    });
}

static class WebSocketText
{
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
        }
    }
}
