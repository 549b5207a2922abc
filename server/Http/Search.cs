namespace ChatMinimal;

/// <summary>
/// A search finds messages of a room by their words: <c>GET /messages?search=</c>. Newest first found, told oldest first, like all of them.
/// </summary>
sealed class Search(Admission admission, IMessageStore store)
{
    const int Most = 100; // messages an answer

    public static bool IsAsked(HttpRequest request) => request.Query.ContainsKey("search");

    /// <summary><c>GET /messages?search=</c>; <c>before</c> goes on with what is older.</summary>
    public async Task GetAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        if (!TryRead(http.Request, visit, out SearchWords? words, out long before, out string? why))
        {
            await admission.RefuseAsync(http, new(StatusCodes.Status400BadRequest, why!));
            return;
        }
        try
        {
            if (await store.SearchAsync(visit.Room, words!, before, visit.Resume.Last, http.RequestAborted) is { } found)
                await WriteAsync(http, found);
            else
                await admission.RefuseAsync(http, new(StatusCodes.Status501NotImplemented, "this server's store cannot search"));
        }
        catch (StoreUnavailableException error) when (!http.Response.HasStarted)
        {
            await admission.RefuseAsync(http, Admission.Full(error.Message));
        }
    }

    static bool TryRead(HttpRequest request, Visit visit, out SearchWords? words, out long before, out string? why)
    {
        (words, before, why) = (null, long.MaxValue, null);
        var query = UrlEncoded.Query(request);
        string? text = query.Get("search", ref why), given = query.Get("before", ref why);
        if (why is not null)
            return false;
        if (visit.Resume.After is not null)
            why = "after: not together with search";
        else if (given is not null && !Visit.TryParseSeq(given, out before))
            why = "before: the number of the oldest message known";
        else if (visit.Resume.Last > Most)
            why = $"last: at most {Most} messages at a time";
        else
            _ = SearchWords.TryParse(text ?? "", out words, out why);
        return why is null;
    }

    static async Task WriteAsync(HttpContext http, LogPage found)
    {
        HttpMessages.Begin(http.Response, "application/json");
        if (HttpMethods.IsHead(http.Request.Method))
            return;
        using var json = new MessageWriter(http.Response.BodyWriter);
        json.BeginLog(found.Head);
        foreach (Message message in found.Messages)
            await json.WriteAsync(message, http.RequestAborted);
        await json.EndLogAsync(http.RequestAborted);
    }
}
