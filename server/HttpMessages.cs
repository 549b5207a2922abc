using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace ChatMinimal;

/// <summary>
/// The same log, for programs without a WebSocket: curl, scripts, pages that look back. What is posted goes the way of what
/// is said; what is read comes from the store.
/// </summary>
sealed class HttpMessages(Admission admission, IMessageStore store, ChatOptions options, IHostApplicationLifetime lifetime, TimeProvider clock)
{
    const int LongestPage = 1000; // messages

    /// <summary><c>POST /messages</c>: says a text; 201 with the message, or 200 when its key was known.</summary>
    public async Task PostAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        CancellationToken cancel = http.RequestAborted;
        http.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize = Connection.JsonAllowance * options.MaxMessageBytes;
        try
        {
            if (await ReadAsync(http.Request, visit, cancel) is not { } said)
            {
                await RefuseAsync(http, StatusCodes.Status415UnsupportedMediaType, "text/plain, a form, or application/json");
                return;
            }
            if (Check(said) is { } problem)
            {
                await admission.RefuseAsync(http, problem);
                return;
            }
            var draft = new Draft(said.Name is "" ? null : said.Name, said.Key, said.Text!);
            Submission submission = (await store.SubmitAsync(visit.Room, [draft], cancel))[0];
            LogPage page = await store.ReadAsync(visit.Room, submission.Seq, submission.Seq + 1, cancel);
            http.Response.StatusCode = submission.WasKnown ? StatusCodes.Status200OK : StatusCodes.Status201Created;
            // A known message may be no longer kept; its number is all there is to say then.
            Message message = page.Messages is [{ } kept] && kept.Seq == submission.Seq ? kept : new Message(submission.Seq, default, null, [], said.Key);
            await AnswerAsync(http, Words.Json(message));
        }
        catch (BadHttpRequestException error)
        {
            await RefuseAsync(http, error.StatusCode, error.Message);
        }
        catch (Exception error) when (error is InvalidDataException or IOException) // a form that is none
        {
            await RefuseAsync(http, StatusCodes.Status400BadRequest, error.Message);
        }
        catch (StoreUnavailableException error)
        {
            await RefuseAsync(http, StatusCodes.Status503ServiceUnavailable, error.Message);
        }
    }

    /// <summary><c>GET /messages</c>: a part of the log, as JSON.</summary>
    public async Task GetAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        (long? after, _, int last) = visit.Resume;
        long before = 0;
        if (http.Request.Query.TryGetValue("before", out StringValues given)
            && (after is not null || !long.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out before)))
        {
            await RefuseAsync(http, StatusCodes.Status400BadRequest, "before: the number of the oldest message known; not together with after");
            return;
        }
        if (last > LongestPage)
        {
            await RefuseAsync(http, StatusCodes.Status400BadRequest, $"last: at most {LongestPage} messages at a time");
            return;
        }
        try
        {
            LogHead head = await store.OpenAsync(visit.Room, http.RequestAborted);
            long end = given.Count > 0 ? Math.Min(before, head.Next) : head.Next;
            long from = Math.Max(head.First, after + 1 ?? end - last);
            long count = Math.Clamp(end - from, 0, last);
            var messages = new List<Message>();
            for (long to = from + count; from < to;)
            {
                LogPage page = await store.ReadAsync(visit.Room, from, to, http.RequestAborted);
                if (page.Next == from)
                    break;
                messages.AddRange(page.Messages);
                (head, from) = (head with { First = page.Head.First }, page.Next);
            }
            await AnswerAsync(http, Words.Json(head, messages));
        }
        catch (StoreUnavailableException error)
        {
            await RefuseAsync(http, StatusCodes.Status503ServiceUnavailable, error.Message);
        }
    }

    /// <summary><c>GET /events</c>: the log as server-sent events, from where the client says it is, for as long as it stays.</summary>
    public async Task EventsAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        // "epoch/seq", as it was told with each event.
        if (http.Request.Headers["Last-Event-ID"].ToString().Split('/') is [var epoch, var seq] && long.TryParse(seq, NumberStyles.None, CultureInfo.InvariantCulture, out long after))
            visit = visit with { Resume = new Resume(after, epoch, visit.Resume.Last) };
        using Admission.Stay? stay = await admission.EnterAsync(http, visit);
        if (stay is null)
            return;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
        try
        {
            await StreamAsync(http.Response, stay.Room, visit.Resume, end.Token);
        }
        catch (OperationCanceledException) { } // gone, or we are; the client comes back with the last id
    }

    // A stream reads from the store page by page: a slow one lags, and costs nobody anything.
    async Task StreamAsync(HttpResponse response, Room room, Resume resume, CancellationToken cancel)
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        LogHead head = room.Window.Head;
        string epoch = head.Epoch;
        long cursor = resume.Holds(head) ? resume.After!.Value + 1 : Math.Max(head.First, head.Next - resume.Last);
        await response.Body.FlushAsync(cancel);
        while (true)
        {
            if (cursor >= room.Window.Head.Next)
            {
                try
                {
                    await room.Window.GrownToAsync(epoch, cursor).WaitAsync(options.KeepAlive, clock, cancel);
                }
                catch (TimeoutException)
                {
                    await response.BodyWriter.WriteAsync(": beat\n\n"u8.ToArray(), cancel); // so that proxies and clients see a living link
                    continue;
                }
            }
            LogPage page = await store.ReadAsync(room.Name, cursor, room.Window.Head.Next, cancel);
            var events = new ArrayBufferWriter<byte>();
            if (page.Head.First > cursor)
            {
                events.Write("event: gap\ndata: "u8);
                events.Write(Words.Gap(cursor, page.Head.First - 1));
                events.Write("\n\n"u8);
                cursor = page.Head.First;
            }
            foreach (Message message in page.Messages)
            {
                Encoding.UTF8.GetBytes($"id: {epoch}/{message.Seq}\ndata: ", events);
                events.Write(Words.Json(message)); // JSON has no line breaks of its own
                events.Write("\n\n"u8);
                cursor = message.Seq + 1;
            }
            await response.BodyWriter.WriteAsync(events.WrittenMemory, cancel);
        }
    }

    // What a request says, in one of three ways; null when it is none of them.
    static async ValueTask<Said?> ReadAsync(HttpRequest request, Visit visit, CancellationToken cancel)
    {
        string? key = request.Headers["Idempotency-Key"] is [{ } header] ? header.Trim('"') : null;
        if (request.HasFormContentType)
        {
            IFormCollection form = await request.ReadFormAsync(cancel);
            return new Said(form["text"] is [{ } text] ? Encoding.UTF8.GetBytes(text) : null, form["key"] is [{ } own] ? own : key, form["name"] is [{ } name] ? name : visit.Name);
        }
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, cancel);
        if (request.HasJsonContentType())
            return Fields.TryRead(body.ToArray(), out Fields json, out _) ? new Said(json.Text, json.Key ?? key, json.Name ?? visit.Name) : new Said(null, key, visit.Name);
        bool isText = request.ContentType?.StartsWith("text/plain", StringComparison.OrdinalIgnoreCase) ?? true;
        return isText ? new Said(Utf8.IsValid(body.ToArray()) ? body.ToArray() : null, key, visit.Name) : null;
    }

    Admission.Problem? Check(Said said)
    {
        if (said.Text is null)
            return new(StatusCodes.Status400BadRequest, Utterance.TextRule);
        if (Utterance.IsBlank(said.Text))
            return new(StatusCodes.Status400BadRequest, "the text is empty");
        if (said.Text.Length > options.MaxMessageBytes)
            return new(StatusCodes.Status413PayloadTooLarge, $"the text is longer than {options.MaxMessageBytes} bytes of UTF-8");
        if (said.Key is not null && !Utterance.IsKey(said.Key))
            return new(StatusCodes.Status400BadRequest, Utterance.KeyRule);
        if (!Names.IsValid(said.Name ?? ""))
            return new(StatusCodes.Status400BadRequest, Names.Rule);
        return null;
    }

    static Task AnswerAsync(HttpContext http, byte[] json)
    {
        http.Response.ContentType = "application/json";
        http.Response.Headers.CacheControl = "no-store";
        return http.Response.Body.WriteAsync(json, http.RequestAborted).AsTask();
    }

    Task RefuseAsync(HttpContext http, int status, string detail) => admission.RefuseAsync(http, new(status, detail));

    readonly record struct Said(byte[]? Text, string? Key, string? Name);
}
