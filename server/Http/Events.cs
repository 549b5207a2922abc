namespace ChatMinimal;

/// <summary>
/// Events are the log as server-sent events, for pages and programs without a WebSocket. A stream reads from the store page by page: a
/// slow one lags, and costs nobody anything.
/// </summary>
sealed class Events(
    Admission admission, IMessageStore store, ChatOptions options, IHostApplicationLifetime lifetime, TimeProvider clock, OperatorLog log)
{
    static readonly TimeSpan s_storeRetry = TimeSpan.FromSeconds(1);

    /// <summary><c>GET /events</c>: the log as server-sent events, from the client's position on, for as long as it stays.</summary>
    public async Task GetAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        if (http.Request.Headers["Last-Event-ID"].ToString() is { Length: > 0 } id)
            visit = visit with { Resume = Position.After(id, visit.Resume) };
        if (HttpMethods.IsHead(http.Request.Method))
        {
            HttpMessages.BeginEvents(http.Response);
            return;
        }
        if (await admission.LocateAsync(http, visit) is not { } located)
            return;
        using Admission.Stay? stay = await admission.EnterAsync(http, located);
        if (stay is null)
            return;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            await StreamAsync(http.Response, stay.Room, located.Resume, end.Token);
        }
        catch (Exception error) when (PeerGone.Is(error)) { } // gone, or we are; the client comes back with the last id
        catch (Exception error) // costs this stream and nothing else
        {
            log.Failed(error, http.Connection.RemoteIpAddress, visit.Room);
            http.Abort();
        }
    }

    async Task StreamAsync(HttpResponse response, Room room, Resume resume, CancellationToken cancel)
    {
        HttpMessages.BeginEvents(response);
        LogHead head = room.Window.Head;
        long cursor = resume.Holds(head) ? resume.After!.Value + 1 : Math.Max(head.First, head.Next - resume.Last);
        using var events = new MessageWriter(response.BodyWriter);
        if (cursor >= head.Next)
            await events.BeatAsync(cancel); // at once: there are proxies that pass nothing on before the first byte
        while (true)
        {
            await WaitAsync(room, head.Epoch, cursor, events, cancel);
            LogPage page = await ReadAsync(room, cursor, events, cancel);
            if (page.Head.Epoch != head.Epoch)
            {
                (head, cursor) = (page.Head, page.Head.First); // all of another log is new
                continue;
            }
            if (page.Next <= cursor)
                throw new InvalidDataException($"the store has nothing from {cursor} on, and the room has");
            cursor = await WriteAsync(events, page, cursor, cancel);
        }
    }

    static async ValueTask<long> WriteAsync(MessageWriter events, LogPage page, long cursor, CancellationToken cancel)
    {
        foreach (Message message in page.Messages)
        {
            if (message.Seq > cursor)
                events.Gap(cursor, message.Seq - 1);
            cursor = message.Seq + 1;
            await events.EventAsync(page.Head.Epoch, message, cancel);
        }
        if (page.Next > cursor)
            events.Gap(cursor, page.Next - 1);
        await events.FlushAsync(cancel);
        return page.Next;
    }

    // Until the room has this seq, or has become another log; with beats. Each beat waits for the same task, and takes its wait back.
    async ValueTask WaitAsync(Room room, string epoch, long cursor, MessageWriter events, CancellationToken cancel)
    {
        Task grown = room.Window.GrownToAsync(epoch, cursor);
        while (!grown.IsCompleted)
        {
            try
            {
                await grown.WaitAsync(options.KeepAlive, clock, cancel);
            }
            catch (TimeoutException)
            {
                await events.BeatAsync(cancel);
            }
        }
    }

    // A store that is away may come back; a refusal would end an EventSource for good.
    async ValueTask<LogPage> ReadAsync(Room room, long cursor, MessageWriter events, CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                return await store.ReadAsync(room.Name, cursor, Math.Max(room.Window.Head.Next, cursor), cancel);
            }
            catch (StoreUnavailableException)
            {
                await events.BeatAsync(cancel);
                await Task.Delay(s_storeRetry, clock, cancel);
            }
        }
    }
}
