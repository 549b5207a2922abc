using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;

namespace ChatMinimal;

/// <summary>
/// The laboratory shows what each thread does with the messages of a room, as server-sent events: for whoever learns how it works,
/// and so in Development only.
/// </summary>
sealed class Laboratory(Admission admission, ChatOptions options, TimeProvider clock, IHostApplicationLifetime lifetime)
{
    const int MostWaiting = 1000; // steps; a reader that is slower misses the oldest, and is told how many

    static readonly long s_start = Stopwatch.GetTimestamp();

    /// <summary><c>GET /lab/events</c>.</summary>
    public async Task EventsAsync(HttpContext http)
    {
        if (await admission.CheckAsync(http) is not { } visit)
            return;
        using Admission.Stay? stay = await admission.EnterAsync(http, visit);
        if (stay is null)
            return;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
        long missed = 0;
        var steps = Channel.CreateBounded(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropOldest },
            (ThreadStep _) => Interlocked.Increment(ref missed));
        void Watch(ThreadStep step) => steps.Writer.TryWrite(step);
        stay.Room.Traced += Watch;
        try
        {
            HttpMessages.BeginEvents(http.Response);
            await WriteAsync(http.Response, ": watching\n\n", end.Token);
            while (true)
            {
                string events = await NextAsync(steps.Reader, end.Token);
                if (Interlocked.Exchange(ref missed, 0) is > 0 and var count)
                    events = string.Create(CultureInfo.InvariantCulture, $"event: missed\ndata: {{\"steps\":{count}}}\n\n") + events;
                await WriteAsync(http.Response, events, end.Token);
            }
        }
        catch (Exception error) when (PeerGone.Is(error)) { }
        finally
        {
            stay.Room.Traced -= Watch;
        }
    }

    // All that is there, or a sign of life.
    async ValueTask<string> NextAsync(ChannelReader<ThreadStep> steps, CancellationToken cancel)
    {
        try
        {
            await steps.WaitToReadAsync(cancel).AsTask().WaitAsync(options.KeepAlive, clock, cancel);
        }
        catch (TimeoutException)
        {
            return ": beat\n\n";
        }
        string events = "";
        while (events.Length < 1 << 14 && steps.TryRead(out ThreadStep step))
            events += $"data: {Json(step)}\n\n";
        return events;
    }

    static async ValueTask WriteAsync(HttpResponse response, string events, CancellationToken cancel)
    {
        await response.WriteAsync(events, cancel);
        await response.Body.FlushAsync(cancel);
    }

    // Nothing in it that a peer has sent.
    static string Json(in ThreadStep step) => string.Create(CultureInfo.InvariantCulture,
        $$"""
        {"what":"{{step.What}}","thread":"{{step.Thread}}","at":{{Stopwatch.GetElapsedTime(s_start, step.At).TotalMilliseconds:F3}},"seq":{{step.Seq}},"messages":{{step.Messages}},"bytes":{{step.Bytes}},"clients":{{step.Clients}},"skipped":{{step.Skipped}},"took":{{step.Took.TotalMilliseconds:F3}}}
        """);
}
