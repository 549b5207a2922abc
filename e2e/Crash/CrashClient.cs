using System.Buffers;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

namespace ChatMinimal.E2E.Crash;

/// <summary>
/// A client that talks without end and comes back whatever happens. In chat.v1 it does what the contract asks: resumes from its
/// position (epoch, seq and time of the last message it saw), starts over when it is told of another log, and sends again what was
/// not acknowledged. In the plain dialect it says each thing once, and hopes.
/// </summary>
sealed class CrashClient(Func<int> port, string name, bool isChat, int seed, Tally tally) : IDisposable
{
    const int Unacknowledged = 16; // messages on their way at once

    readonly Random _random = new(seed);
    readonly Lock _lock = new();
    readonly List<(string Key, string Text)> _outbox = [];
    readonly SemaphoreSlim _room = new(Unacknowledged), _sending = new(1);
    ClientWebSocket? _socket;
    string? _epoch, _at; // with _last: the position
    long _last;
    bool _isResuming;    // a hello that does not say resumed is another log's
    int _number, _connection;
    readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    volatile bool _saysNoMore;

    public Transcript Transcript { get; } = new(name, isChat);

    /// <summary>
    /// Completes when it says no more and all it said is kept: in chat.v1, when it has nothing unacknowledged and has seen this seq;
    /// in the plain dialect, which has no acknowledgement, when the server has answered its close.
    /// </summary>
    public async Task FinishAsync(Func<Task<long>> lastSeq, CancellationToken cancel)
    {
        lock (_lock)
            _saysNoMore = true;
        if (!isChat)
        {
            await _ended.Task.WaitAsync(cancel);
            return;
        }
        await tally.UntilAsync(() => { lock (_lock) return _outbox.Count == 0; }, cancel);
        long last = await lastSeq();
        await tally.UntilAsync(() => { lock (_lock) return _last >= last; }, cancel);
    }

    /// <summary>Cuts the connection of the moment, if there is one: a reset, no close frame.</summary>
    public void Cut() => _socket?.Abort();

    public async Task RunAsync(Func<Task> up, CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested && !(_saysNoMore && !isChat))
        {
            try
            {
                await up().WaitAsync(cancel);
                using var socket = new ClientWebSocket();
                if (isChat)
                    socket.Options.AddSubProtocol("chat.v1");
                _isResuming = _at is not null;
                string query = isChat ? _isResuming ? $"?epoch={_epoch}&after={_last}&at={_at}" : "?last=1000000" : "";
                await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{port()}/ws{query}"), cancel);
                _socket = socket;
                _connection++;
                using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                Task talking = TalkAsync(socket, end.Token);
                try
                {
                    await ListenAsync(socket, cancel);
                }
                finally
                {
                    await end.CancelAsync();
                    await talking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
            catch (Exception error)
                when (error is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException)
            {
                // Again
            }
        }
        _ended.SetResult();
    }

    async Task TalkAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        lock (_lock)
            if (!isChat)
                Transcript.Begins.Add(Transcript.Said.Count);
        await SendAgainAsync(socket, cancel);
        while (!_saysNoMore)
        {
            string text, key = $"{name}-{_number + 1}";
            if (isChat)
                await _room.WaitAsync(cancel);
            else
                await tally.AppendedAsync(cancel); // at the pace of the others
            lock (_lock)
            {
                if (_saysNoMore)
                    break;
                text = Numbered.Text(name, ++_number, new string((char)('a' + _random.Next(26)), _random.Next(100)));
                Transcript.Said.Add(text);
                if (isChat)
                    _outbox.Add((key, text));
            }
            await SendAsync(socket, key, text, cancel);
        }
        if (!isChat)
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancel);
    }

    // All that is not acknowledged; or the one that was refused: to send all of them for each of them would be a storm.
    async Task SendAgainAsync(ClientWebSocket socket, CancellationToken cancel, string? refused = null)
    {
        List<(string Key, string Text)> again;
        lock (_lock)
            again = [.. _outbox.Where(item => refused is null || item.Key == refused)];
        foreach ((string key, string text) in again)
            await SendAsync(socket, key, text, cancel);
    }

    async Task SendAsync(ClientWebSocket socket, string key, string text, CancellationToken cancel)
    {
        string words = isChat ? new JsonObject { ["type"] = "say", ["key"] = key, ["text"] = text }.ToJsonString() : text;
        await _sending.WaitAsync(cancel);
        try
        {
            await socket.SendAsync(Encoding.UTF8.GetBytes(words).AsMemory(), WebSocketMessageType.Text, true, cancel);
        }
        finally
        {
            _sending.Release();
        }
    }

    async Task ListenAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        var message = new ArrayBufferWriter<byte>();
        while (true)
        {
            ValueWebSocketReceiveResult received;
            try
            {
                received = await socket.ReceiveAsync(message.GetMemory(4096), cancel);
            }
            catch (InvalidOperationException) when (socket.State is not WebSocketState.Open) // cut before this read began
            {
                return;
            }
            if (received.MessageType == WebSocketMessageType.Close)
                return;
            message.Advance(received.Count);
            if (!received.EndOfMessage)
                continue;
            bool isAnswerDue = Receive(Encoding.UTF8.GetString(message.WrittenSpan), out string? refused);
            message.ResetWrittenCount();
            if (isAnswerDue)
                await SendAgainAsync(socket, cancel, refused);
        }
    }

    // True: what was not acknowledged is to be sent again, for it may have been lost with another log, or refused.
    bool Receive(string words, out string? refused)
    {
        bool isAnswerDue = false;
        refused = null;
        lock (_lock)
        {
            if (!isChat)
            {
                Transcript.Received.Add(new Entry(0, words["Message d'un client : ".Length..]));
                Transcript.Connections.Add(_connection);
                return false;
            }
            JsonObject said = JsonNode.Parse(words)!.AsObject();
            switch ((string)said["type"]!)
            {
                case "hello":
                    isAnswerDue = BeginLog((string)said["epoch"]!, (bool?)said["resumed"] == true);
                    break;
                case "gap":
                    Transcript.Gaps[(long)said["from"]!] = _last = (long)said["to"]!;
                    break;
                case "refused":
                    (isAnswerDue, refused) = (true, (string)said["key"]!);
                    break;
                case "message":
                    (_last, _at) = ((long)said["seq"]!, (string)said["at"]!);
                    Transcript.Received.Add(new Entry(_last, (string)said["text"]!));
                    Acknowledge((string?)said["key"]);
                    break;
                case "logged":
                    Acknowledge((string?)said["key"]);
                    break;
            }
        }
        tally.Tell();
        return isAnswerDue;
    }

    // True: it is another log, or the first one.
    bool BeginLog(string epoch, bool isResumed)
    {
        bool goesOn = _isResuming && isResumed;
        _isResuming = false; // the next one on this connection is another log's
        if (goesOn)
            return false;
        Transcript.BeginLog(epoch);
        (_epoch, _last, _at) = (epoch, 0, null);
        return true;
    }

    public void Dispose()
    {
        _room.Dispose();
        _sending.Dispose();
    }

    void Acknowledge(string? key)
    {
        int at = _outbox.FindIndex(item => item.Key == key);
        if (at < 0)
            return;
        Transcript.Acknowledged.Add(_outbox[at].Text);
        _outbox.RemoveAt(at);
        _room.Release();
        tally.Count();
    }
}

/// <summary>A tally counts acknowledgements, so that the one who is unkind can wait for so much to happen.</summary>
sealed class Tally
{
    readonly Lock _lock = new();
    TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    long _acknowledged;

    public void Count() => Interlocked.Increment(ref _acknowledged);

    /// <summary>Whoever waits looks again.</summary>
    public void Tell()
    {
        TaskCompletionSource changed;
        lock (_lock)
            (changed, _changed) = (_changed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        changed.SetResult();
    }

    public async Task UntilAsync(Func<bool> isSo, CancellationToken cancel)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
                changed = _changed.Task;
            if (isSo())
                return;
            await changed.WaitAsync(cancel);
        }
    }

    /// <summary>Completes when so many more messages have been acknowledged.</summary>
    public Task MoreAsync(int count, CancellationToken cancel)
    {
        long goal = Volatile.Read(ref _acknowledged) + count;
        return UntilAsync(() => Volatile.Read(ref _acknowledged) >= goal, cancel);
    }

    public Task AppendedAsync(CancellationToken cancel) => MoreAsync(3, cancel);
}
