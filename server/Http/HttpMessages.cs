using System.Net;
using Microsoft.AspNetCore.Http.Features;

namespace ChatMinimal;

/// <summary>
/// The same log, for programs without a WebSocket: curl, scripts, pages that look back. What is posted goes the way of what
/// is sent; what is read comes from the store, a page at a time, so that a slow reader holds little.
/// </summary>
sealed class HttpMessages(Admission admission, IMessageStore store, Addresses addresses, ChatOptions options)
{
    const int LongestPage = 1000; // messages

    /// <summary><c>POST /messages</c>: submits a text; 201 with the message, or 200 when its key was known.</summary>
    public async Task PostAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        CancellationToken cancel = http.RequestAborted;
        IPAddress? address = http.Connection.RemoteIpAddress;
        http.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize = options.MaxBodyBytes;
        try
        {
            Problem? refusal = addresses.TryPost(address);
            if (refusal is null)
            {
                (Posted posted, refusal) = await Posted.ReadAsync(http.Request, visit, options, cancel);
                refusal ??= await MayBeginAsync(address, visit.Room, cancel);
                refusal ??= await SubmitAsync(http.Response, visit.Room, new Draft(posted.Name, posted.Key, posted.Text ?? []), cancel);
            }
            if (refusal is not null)
                await admission.RefuseAsync(http, refusal);
        }
        catch (BadHttpRequestException error) when (error.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            await admission.RefuseAsync(http, new(error.StatusCode, $"the request is longer than {options.MaxBodyBytes} bytes"));
        }
        catch (BadHttpRequestException error) // its message is Kestrel's, not the peer's
        {
            await admission.RefuseAsync(http, new(error.StatusCode, error.Message));
        }
        catch (StoreUnavailableException error)
        {
            await admission.RefuseAsync(http, Admission.Full(error.Message));
        }
    }

    async ValueTask<Problem?> MayBeginAsync(IPAddress? address, string room, CancellationToken cancel) =>
        addresses.IsExempt(address) || (await store.ReadAsync(room, 1, 1, cancel)).Head.Next > 1 ? null : addresses.TryBegin(address, room);

    async ValueTask<Problem?> SubmitAsync(HttpResponse response, string room, Draft draft, CancellationToken cancel)
    {
        Submission submission = (await store.SubmitAsync(room, [draft], cancel))[0];
        if (submission.IsTaken)
            return new(StatusCodes.Status422UnprocessableEntity, Refusal.KeyTaken(draft.Key!).Detail);
        LogPage page = await store.ReadAsync(room, submission.Seq, submission.Seq + 1, cancel);
        response.StatusCode = submission.WasKnown ? StatusCodes.Status200OK : StatusCodes.Status201Created;
        Begin(response, "application/json");
        byte[] answer = page.Messages is [{ } message] && message.Seq == submission.Seq
            ? ServerMessage.Json(message)
            : ServerMessage.Known(draft.Key, submission.Seq);
        await response.Body.WriteAsync(answer, cancel);
        return null;
    }

    /// <summary><c>GET /messages</c>: a part of the log, as JSON.</summary>
    public async Task GetAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        (long? after, _, int last, _) = visit.Resume;
        string? why = null;
        string? given = UrlEncoded.Query(http.Request).Get("before", ref why);
        long before = long.MaxValue;
        if (why is null && given is not null && (after is not null || !Visit.TryParseSeq(given, out before)))
            why = "before: the number of the oldest message known; not together with after";
        if (why is null && last > LongestPage)
            why = $"last: at most {LongestPage} messages at a time";
        if (why is not null)
        {
            await admission.RefuseAsync(http, new(StatusCodes.Status400BadRequest, why));
            return;
        }
        try
        {
            LogHead head = await store.OpenAsync(visit.Room, http.RequestAborted);
            long end = Math.Min(before, head.Next);
            long from = Math.Max(head.First, after is { } seen ? Math.Min(seen, head.Next - 1) + 1 : end - last); // + 1 may not wrap
            Begin(http.Response, "application/json");
            if (!HttpMethods.IsHead(http.Request.Method))
                await WriteAsync(http, visit.Room, head, from, end, last);
        }
        catch (StoreUnavailableException error) when (!http.Response.HasStarted)
        {
            await admission.RefuseAsync(http, Admission.Full(error.Message));
        }
        catch (StoreUnavailableException)
        {
            http.Abort(); // half an answer must not look like a whole one
        }
    }

    // At most so many messages of [from, end), all of one log.
    async Task WriteAsync(HttpContext http, string room, LogHead head, long from, long end, int last)
    {
        CancellationToken cancel = http.RequestAborted;
        using var json = new MessageWriter(http.Response.BodyWriter);
        json.BeginLog(head);
        while (from < end && last > 0)
        {
            LogPage page = await store.ReadAsync(room, from, Math.Min(end, from + last), cancel);
            if (page.Head.Epoch != head.Epoch)
            {
                http.Abort(); // another log has taken its place meanwhile: the client asks again
                return;
            }
            if (page.Next <= from)
                break;
            (from, last) = (page.Next, last - page.Messages.Count);
            foreach (Message message in page.Messages)
                await json.WriteAsync(message, cancel);
        }
        await json.EndLogAsync(cancel);
    }

    public static void Begin(HttpResponse response, string type)
    {
        response.ContentType = type;
        response.Headers.CacheControl = "no-store";
    }

    public static void BeginEvents(HttpResponse response)
    {
        Begin(response, "text/event-stream");
        response.Headers["X-Accel-Buffering"] = "no"; // nginx would collect them
    }
}
