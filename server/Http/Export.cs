namespace ChatMinimal;

/// <summary>
/// An export is all of a log that is retained, oldest first, to take along: as JSON Lines, each the message as <c>GET /messages</c> has
/// it, or as text for people. It is streamed from the store, a page at a time.
/// </summary>
sealed class Export(Admission admission, IMessageStore store)
{
    const string Lines = "jsonl", Text = "text";

    /// <summary><c>GET /export</c>.</summary>
    public async Task GetAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        string? why = null;
        string format = UrlEncoded.Query(http.Request).Get("format", ref why) ?? Lines;
        if (why is not null || format is not (Lines or Text))
        {
            await admission.RefuseAsync(http, new(StatusCodes.Status400BadRequest, why ?? $"format: {Lines} or {Text}"));
            return;
        }
        try
        {
            LogHead head = await store.OpenAsync(visit.Room, http.RequestAborted);
            bool isText = format == Text;
            HttpMessages.Begin(http.Response, isText ? "text/plain; charset=utf-8" : "application/jsonl");
            http.Response.Headers.ContentDisposition = $"attachment; filename=\"{visit.Room}.{(isText ? "txt" : Lines)}\"";
            if (!HttpMethods.IsHead(http.Request.Method))
                await WriteAsync(http, visit.Room, head, isText);
        }
        catch (StoreUnavailableException error) when (!http.Response.HasStarted)
        {
            await admission.RefuseAsync(http, Admission.Full(error.Message));
        }
        catch (StoreUnavailableException)
        {
            http.Abort(); // half an export must not look like a whole one
        }
    }

    async Task WriteAsync(HttpContext http, string room, LogHead head, bool isText)
    {
        CancellationToken cancel = http.RequestAborted;
        using var lines = new MessageWriter(http.Response.BodyWriter);
        for (long from = head.First; from < head.Next;)
        {
            LogPage page = await store.ReadAsync(room, from, head.Next, cancel);
            if (page.Head.Epoch != head.Epoch || page.Next <= from)
            {
                http.Abort(); // another log has taken its place meanwhile
                return;
            }
            from = page.Next;
            foreach (Message message in page.Messages)
                await (isText ? lines.TextAsync(message, cancel) : lines.LineAsync(message, cancel));
        }
        await lines.FlushAsync(cancel);
    }
}
