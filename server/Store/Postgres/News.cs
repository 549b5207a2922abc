using System.Globalization;
using System.Text;
using System.Threading.Channels;
using Npgsql;

namespace ChatMinimal.Postgres;

/// <summary>
/// News is what the servers of a chat tell each other through the database (NOTIFY): that a room has grown, with what was added where
/// that is short, and who types. It is never the truth: what is lost is found by a look once a second. It goes in
/// transactions of its own, after the commit: NOTIFY holds a lock of the whole database until its transaction ends.
/// </summary>
sealed class News(PostgresStore store) : IAsyncDisposable
{
    public const string HasGrown = "grown", IsPresent = "present", Types = "types"; // what there is to tell of a room

    const string Channel = "chat";
    const int LongestNews = 7900;  // bytes: PostgreSQL takes up to 7999
    const int MostWaiting = 10_000; // what is more is lost
    const int MostAtOnce = 500;

    static readonly TimeSpan s_proveEvery = TimeSpan.FromSeconds(5); // that notifications arrive
    static readonly TimeSpan s_proofTimeout = TimeSpan.FromSeconds(3);
    static readonly TimeSpan s_firstPause = TimeSpan.FromSeconds(1), s_longestPause = TimeSpan.FromSeconds(30);

    readonly Channel<string> _waiting = System.Threading.Channels.Channel.CreateBounded<string>(
        new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    Task _listening = Task.CompletedTask, _sending = Task.CompletedTask;
    volatile bool _isListening, _isPolling;
    bool _isProven;

    public void Begin() => (_listening, _sending) = (ListenAsync(), SendAsync());

    /// <summary>Called with the room and the name of who types at another server.</summary>
    public Action<string, string>? Typing { get; set; }

    /// <summary>Whether what is told arrives here, as far as is known.</summary>
    public bool IsListening => _isListening;

    /// <summary>A room has grown by [from, page.Next).</summary>
    public void Grown(string room, LogPage page, long from)
    {
        if (_isPolling)
            return; // nobody listens
        string news = string.Create(CultureInfo.InvariantCulture,
            $"{store.Id} {HasGrown} {room} {page.Head.Epoch} {page.Head.First} {page.Head.Next} {from}");
        Message[] messages = [.. page.Messages];
        int length = messages.Sum(message => message.Text.Length);
        if (length < LongestNews)
        {
            string said = Encoding.UTF8.GetString(PageText.Write(messages));
            string whole = string.Create(CultureInfo.InvariantCulture,
                $"{news} {new DateTimeOffset(messages[0].At).ToUnixTimeMilliseconds()} {said}");
            if (Encoding.UTF8.GetByteCount(whole) < LongestNews)
                news = whole;
        }
        _waiting.Writer.TryWrite(news);
    }

    /// <summary>Something else to tell: a word for what it is, the room, and more.</summary>
    public void Tell(string what, string room, string more)
    {
        if (!_isPolling && Encoding.UTF8.GetByteCount(more) < LongestNews - 200)
            _waiting.Writer.TryWrite($"{store.Id} {what} {room} {more}");
    }

    public async ValueTask DisposeAsync() => await Task.WhenAll(_listening, _sending); // the store has stopped

    async Task SendAsync()
    {
        var news = new List<string>();
        while (!store.Stopping.IsCancellationRequested)
        {
            try
            {
                await _waiting.Reader.WaitToReadAsync(store.Stopping);
                news.Clear();
                while (news.Count < MostAtOnce && _waiting.Reader.TryRead(out string? one))
                    news.Add(one);
                string[] taken = [.. news];
                await store.Database.UseAsync(async (connection, cancel) =>
                {
                    await Queries.NotifyAsync(connection, Channel, taken, cancel);
                    return true;
                }, store.Stopping);
            }
            catch (OperationCanceledException) { } // we are stopping
            catch (Exception error) when (error is StoreUnavailableException or SchemaException) { } // they look for themselves
            catch (Exception error) // a bug
            {
                store.Log.LoopFailed(error);
            }
        }
    }

    async Task ListenAsync()
    {
        for (TimeSpan pause = s_firstPause; !store.Stopping.IsCancellationRequested;)
        {
            try
            {
                await using NpgsqlConnection connection = await store.Database.OpenAsync(store.Stopping);
                connection.Notification += (_, told) => Hear(told.Payload);
                await using (var listen = new NpgsqlCommand($"LISTEN {Channel}", connection))
                    await listen.ExecuteNonQueryAsync(store.Stopping);
                while (await ProveAsync(connection))
                {
                    pause = s_firstPause;
                    SetListening(true);
                    await ReceiveAsync(connection, s_proveEvery, until: () => false);
                }
                SetPolling();
            }
            catch (OperationCanceledException) { } // we are stopping
            catch (PostgresException error) when (error.SqlState.StartsWith("0A", StringComparison.Ordinal)
                || error.SqlState.StartsWith("42", StringComparison.Ordinal))
            {
                SetPolling(); // a database that has no LISTEN
            }
            catch (Exception error)
                when (error is NpgsqlException or System.Net.Sockets.SocketException or IOException or TimeoutException
                    or ObjectDisposedException)
            { }
            catch (Exception error) // a bug
            {
                store.Log.LoopFailed(error);
            }
            SetListening(false);
            await Task.Delay(pause, store.Clock, store.Stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause < s_longestPause ? 2 * pause : pause;
        }
    }

    // What we tell ourselves must arrive: behind some proxies LISTEN succeeds, and nothing ever comes.
    async Task<bool> ProveAsync(NpgsqlConnection connection)
    {
        _isProven = false;
        _waiting.Writer.TryWrite($"{store.Id} proof");
        await ReceiveAsync(connection, s_proofTimeout, until: () => _isProven);
        return _isProven;
    }

    async Task ReceiveAsync(NpgsqlConnection connection, TimeSpan time, Func<bool> until)
    {
        long since = store.Clock.GetTimestamp();
        while (!until() && time - store.Clock.GetElapsedTime(since) is { Ticks: > 0 } left)
            await connection.WaitAsync(left, store.Stopping);
    }

    void Hear(string news)
    {
        string[] parts = news.Split(' ', 4);
        if (parts is [var server, "proof"])
            _isProven |= server == store.Id;
        else if (parts is [var other, var what, var room, var more] && other != store.Id && store.Rooms.Find(room) is { } log)
            Hear(what, log, more);
    }

    void Hear(string what, RoomLog log, string more)
    {
        switch (what)
        {
            case HasGrown:
                (LogPage? page, long from) = ReadGrown(more);
                if (page is null || !log.Offer(page.Value with { Head = store.Retention.Clip(page.Value.Head) }, from))
                    log.Wake();
                break;
            case IsPresent:
                store.Neighbours.Hear();
                break;
            case Types:
                Typing?.Invoke(log.Room, more);
                break;
        }
    }

    /// <summary>What <see cref="Grown"/> told. The page is null when it was too long to be told.</summary>
    static (LogPage? Page, long From) ReadGrown(string more)
    {
        string[] parts = more.Split(' ', 6);
        if (parts.Length < 4 || !long.TryParse(parts[1], out long first) || !long.TryParse(parts[2], out long next)
            || !long.TryParse(parts[3], out long from))
            return (null, 0);
        if (parts.Length < 6 || !long.TryParse(parts[4], out long at) || PageText.Read(Encoding.UTF8.GetBytes(parts[5])) is not { } entries
            || entries.Count != next - from)
            return (null, from);
        DateTime time = DateTimeOffset.FromUnixTimeMilliseconds(at).UtcDateTime;
        return (new LogPage(new LogHead(parts[0], first, next), next,
            [.. entries.Select((entry, i) => new Message(from + i, time, entry.Name, entry.Text ?? [], entry.Key))]), from);
    }

    void SetListening(bool isListening)
    {
        if (isListening == _isListening)
            return;
        _isListening = isListening;
        if (isListening)
        {
            _isPolling = false;
            store.Log.Listening();
        }
        store.Rooms.WakeAll(); // for what was missed
    }

    void SetPolling()
    {
        if (!_isPolling)
            store.Log.Polling();
        _isPolling = true;
    }
}
