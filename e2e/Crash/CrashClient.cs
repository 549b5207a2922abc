using System.Buffers;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

namespace ChatMinimal.E2E.Crash;

/// <summary>
/// A client that talks without end and comes back whatever happens. In chat.v1 it does what the contract asks: resumes after
/// the last seq it saw, and says again what it has not heard back. In the plain dialect it says each thing once, and hopes.
/// </summary>
sealed class CrashClient(int port, string name, bool isChat, int seed, Tally tally) : IDisposable
{
    const int Unacknowledged = 16; // messages on their way at once

    readonly Random _random = new(seed);
    readonly Lock _lock = new();
    readonly List<(string Key, string Text)> _outbox = [];
    readonly SemaphoreSlim _room = new(Unacknowledged);
    ClientWebSocket? _socket;
    string? _epoch;
    long _last;
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
                string query = isChat ? _epoch is null ? "?last=1000000" : $"?epoch={_epoch}&after={_last}" : "";
                await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{port}/ws{query}"), cancel);
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
            catch (Exception error) when (error is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException) { } // again
        }
        _ended.SetResult();
    }

    async Task TalkAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        List<(string Key, string Text)> again;
        lock (_lock)
        {
            again = [.. _outbox];
            if (!isChat)
                Transcript.Begins.Add(Transcript.Said.Count);
        }
        foreach ((string key, string text) in again)
            await SendAsync(socket, key, text, cancel);
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

    Task SendAsync(ClientWebSocket socket, string key, string text, CancellationToken cancel)
    {
        string words = isChat ? new JsonObject { ["type"] = "say", ["key"] = key, ["text"] = text }.ToJsonString() : text;
        return socket.SendAsync(Encoding.UTF8.GetBytes(words).AsMemory(), WebSocketMessageType.Text, true, cancel).AsTask();
    }

    async Task ListenAsync(ClientWebSocket socket, CancellationToken cancel)
    {
        var message = new ArrayBufferWriter<byte>();
        while (true)
        {
            ValueWebSocketReceiveResult received = await socket.ReceiveAsync(message.GetMemory(4096), cancel);
            if (received.MessageType == WebSocketMessageType.Close)
                return;
            message.Advance(received.Count);
            if (!received.EndOfMessage)
                continue;
            Hear(Encoding.UTF8.GetString(message.WrittenSpan));
            message.ResetWrittenCount();
        }
    }

    void Hear(string words)
    {
        lock (_lock)
        {
            if (!isChat)
            {
                Transcript.Heard.Add(new Entry(0, words["Message d'un client : ".Length..]));
                Transcript.Connections.Add(_connection);
                return;
            }
            JsonObject said = JsonNode.Parse(words)!.AsObject();
            switch ((string)said["type"]!)
            {
                case "hello":
                    _epoch = (string)said["epoch"]!;
                    if ((long)said["next"]! > 1) // killed while nothing was kept, it is another empty log
                        Transcript.Epochs.Add(_epoch);
                    break;
                case "message":
                    Transcript.Epochs.Add(_epoch!);
                    _last = (long)said["seq"]!;
                    Transcript.Heard.Add(new Entry(_last, (string)said["text"]!));
                    Acknowledge((string?)said["key"]);
                    break;
                case "logged":
                    Acknowledge((string?)said["key"]);
                    break;
            }
        }
        tally.Count();
    }

    public void Dispose() => _room.Dispose();

    void Acknowledge(string? key)
    {
        int at = _outbox.FindIndex(item => item.Key == key);
        if (at < 0)
            return;
        Transcript.Acknowledged.Add(_outbox[at].Text);
        _outbox.RemoveAt(at);
        _room.Release();
    }
}

/// <summary>A tally counts what clients hear, so that the one who is unkind can wait for so much to happen.</summary>
sealed class Tally
{
    readonly Lock _lock = new();
    TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    long _heard;

    public void Count()
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            _heard++;
            (changed, _changed) = (_changed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
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

    /// <summary>Completes when so many more things have been heard.</summary>
    public Task MoreAsync(int count, CancellationToken cancel)
    {
        long goal = Volatile.Read(ref _heard) + count;
        return UntilAsync(() => Volatile.Read(ref _heard) >= goal, cancel);
    }

    public Task AppendedAsync(CancellationToken cancel) => MoreAsync(20, cancel);
}
