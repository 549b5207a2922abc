using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class EventTests
{
    [Test]
    public async Task An_event_stream_begins_at_once_and_asks_proxies_not_to_collect_it()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync("/events", HttpCompletionOption.ResponseHeadersRead);
        Assert.That(answer.Headers.GetValues("X-Accel-Buffering"), Is.EqualTo(new[] { "no" }));
        Assert.That(answer.Headers.CacheControl?.NoStore, Is.True);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        Assert.That(await reader.ReadLineAsync(), Is.EqualTo(": beat"), "long before the first one is due");
    }

    [TestCase("EPOCH/2/AT", "3"), TestCase("EPOCH/2", "3"), TestCase("EPOCH/2/1", "1"), TestCase("another/2/AT", "1"),
        TestCase("EPOCH/9223372036854775807/AT", "1")]
    [TestCase("nonsense", "1"), TestCase("EPOCH/x/AT", "1"), TestCase("EPOCH/2/x", "1"), TestCase("EPOCH/2/9223372036854775807", "1"),
        TestCase("EPOCH/2/AT/more", "1"), TestCase("EPOCH/-1", "1")]
    public async Task A_last_event_id_that_is_of_this_log_is_gone_on_from_and_any_other_is_void(string id, string first)
    {
        using var server = ChatServer.Start();
        (string epoch, List<string> ids) = await SayAsync(server, 3);
        string at = ids[1].Split('/')[2];
        using StreamReader events =
            await OpenAsync(server, "/events",
                id.Replace("EPOCH", epoch, StringComparison.Ordinal).Replace("AT", at, StringComparison.Ordinal));
        Assert.That(await events.ReadLineAsync(), Does.StartWith($"id: {epoch}/{first}/"));
    }

    [Test]
    public async Task A_head_of_an_event_stream_ends_and_takes_no_place()
    {
        using var server = ChatServer.Start(("MaxConnections", 1));
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage answer = await http.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/events"));
            Assert.That((answer.StatusCode, answer.Content.Headers.ContentType?.MediaType),
                Is.EqualTo((HttpStatusCode.OK, "text/event-stream")));
        }
        using StreamReader events = await OpenAsync(server, "/events");
    }

    [Test]
    public async Task A_message_of_any_length_and_any_characters_comes_through_whole()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        string text = string.Concat(Enumerable.Range(0, 8000).Select(i => (i % 4) switch { 0 => "é", 1 => "😀", 2 => "\u0001", _ => "\n" }))
            + new string('x', 21_000);
        Assert.That((await http.PostAsync("/messages", new StringContent(text))).StatusCode, Is.EqualTo(HttpStatusCode.Created));
        Assert.That((string)JsonNode.Parse(await http.GetStringAsync("/messages"))!["messages"]![0]!["text"]!, Is.EqualTo(text));
        using StreamReader events = await OpenAsync(server, "/events");
        await events.ReadLineAsync();
        Assert.That((string)JsonNode.Parse((await events.ReadLineAsync())![6..])!["text"]!, Is.EqualTo(text));
        Assert.That(await events.ReadLineAsync(), Is.Empty);
    }

    [Test, NonParallelizable]
    public async Task Ten_thousand_beats_leave_nothing_behind()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock);
        using StreamReader events = await OpenAsync(server, "/events");
        await BeatsAsync(events, clock, 1000);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        await BeatsAsync(events, clock, 10_000);
        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(500_000), "it was 195 bytes each");
    }

    static async Task BeatsAsync(StreamReader events, FakeTimeProvider clock, int count)
    {
        for (int i = 0; i < 2 * count; i++) // each has an empty line
        {
            Task<string?> line = events.ReadLineAsync();
            while (!line.IsCompleted)
            {
                clock.Advance(TimeSpan.FromSeconds(15));
                await Task.WhenAny(line, Task.Run(() => { })); // lets the server have its turn
            }
            await line;
        }
    }

    static async Task<(string Epoch, List<string> Ids)> SayAsync(ChatServer server, int count)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= count; i++)
            await http.PostAsync("/messages", new StringContent($"{i}"));
        using StreamReader events = await OpenAsync(server, "/events");
        var ids = new List<string>();
        while (ids.Count < count)
            if (await events.ReadLineAsync() is { } line && line.StartsWith("id: ", StringComparison.Ordinal))
                ids.Add(line[4..]);
        return (ids[0].Split('/')[0], ids);
    }

    static async Task<StreamReader> OpenAsync(ChatServer server, string target, string? lastEventId = null)
    {
        var http = new HttpClient { BaseAddress = server.Http };
        using var request = new HttpRequestMessage(HttpMethod.Get, target);
        if (lastEventId is not null)
            request.Headers.TryAddWithoutValidation("Last-Event-ID", lastEventId);
        HttpResponseMessage answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        return new StreamReader(await answer.Content.ReadAsStreamAsync());
    }
}
