using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class HttpTests
{
    [Test]
    public async Task What_is_posted_goes_the_way_of_what_is_said()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using Peer plain = await Peer.PlainAsync(server), chat = await Peer.ChatAsync(server);

        (HttpStatusCode status, JsonObject message) = await PostAsync(http, "/messages?name=Ana", new StringContent("salut 😀\n"));
        Assert.That(status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client (Ana) : salut 😀\n"));
        JsonObject heard = await chat.ReceiveMessageAsync();
        heard.Remove("type");
        Assert.That(message.ToJsonString(), Is.EqualTo(heard.ToJsonString()));

        await PostAsync(http, "/messages", new FormUrlEncodedContent([new("text", "un formulaire & co"), new("name", "Zoé")]));
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client (Zoé) : un formulaire & co"));
        await PostAsync(http, "/messages", Json("""{"text":"du JSON","name":"Luc","key":"k"}"""));
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client (Luc) : du JSON"));
        await plain.SayAsync("and back");
        await plain.ReceiveAsync();
        JsonObject log = await GetAsync(http, "/messages?last=1");
        Assert.That((string)log["messages"]![0]!["text"]!, Is.EqualTo("and back"));
        await chat.ReceiveAsync("hello", "message");
        Assert.That((string)log["epoch"]!, Is.Not.Empty);
    }

    [Test]
    public async Task A_key_posted_again_is_answered_200_with_the_first_message()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        (HttpStatusCode first, JsonObject message) = await PostAsync(http, "/messages", new StringContent("once"), key: "k-1");
        (HttpStatusCode second, JsonObject again) = await PostAsync(http, "/messages", new StringContent("once"), key: "k-1");
        Assert.That((first, second), Is.EqualTo((HttpStatusCode.Created, HttpStatusCode.OK)));
        Assert.That(again.ToJsonString(), Is.EqualTo(message.ToJsonString()));
        (HttpStatusCode third, JsonObject problem) = await PostAsync(http, "/messages", new StringContent("twice"), key: "k-1");
        Assert.That((third, (string)problem["detail"]!),
            Is.EqualTo((HttpStatusCode.UnprocessableEntity, "another text was sent with this key")));
        using Peer chat = await Peer.ChatAsync(server);
        await chat.SayAsync("k-1", "once");
        Assert.That((string)(await chat.ReceiveAsync("logged"))["key"]!, Is.EqualTo("k-1"), "it is one log");
    }

    [TestCase("", 71, 120), TestCase("?last=10", 111, 120), TestCase("?after=100", 101, 120), TestCase("?after=0&last=5", 1, 5),
        TestCase("?after=120", 0, -1)]
    [TestCase("?before=100&last=10", 90, 99), TestCase("?before=5", 1, 4), TestCase("?before=1", 0, -1),
        TestCase("?before=1000&last=1", 120, 120), TestCase("?last=1000", 1, 120)]
    [TestCase("?after=9223372036854775806", 0, -1), TestCase("?after=9223372036854775807", 0, -1),
        TestCase("?before=9223372036854775807&last=1", 120, 120)]
    public async Task Pages_go_up_from_after_and_down_from_before(string query, int from, int to)
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using Peer chat = await Peer.ChatAsync(server);
        for (int i = 1; i <= 120; i++)
            await chat.SayAsync($"k{i}", $"{i}");
        await chat.ReceiveTextsAsync(120);
        JsonObject page = await GetAsync(http, "/messages" + query);
        Assert.That(page["messages"]!.AsArray().Select(message => (int)message!["seq"]!),
            Is.EqualTo(from == 0 ? [] : Enumerable.Range(from, to - from + 1)));
        Assert.That(((int)page["first"]!, (int)page["next"]!), Is.EqualTo((1, 121)));
    }

    [TestCase("GET", "/messages?after=1&before=2", 400), TestCase("GET", "/messages?last=1001", 400),
        TestCase("GET", "/messages?before=x", 400)]
    [TestCase("GET", "/messages?room=a%20b", 400), TestCase("GET", "/events?after=x", 400), TestCase("PUT", "/messages", 405),
        TestCase("POST", "/messages?name=a%0Ab", 400)]
    public async Task What_makes_no_sense_is_answered_as_a_problem(string method, string target, int status)
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using var request = new HttpRequestMessage(new HttpMethod(method),
            target)
        { Content = method == "POST" ? new StringContent("x") : null };
        using HttpResponseMessage answer = await http.SendAsync(request);
        Assert.That(((int)answer.StatusCode, answer.Content.Headers.ContentType?.MediaType),
            Is.EqualTo((status, "application/problem+json")));
    }

    [TestCase("text/plain", " \n", 400), TestCase("text/plain", "01234567890", 413), TestCase("application/json", "{", 400), TestCase("application/json", """{"text":7}""", 400)]
    [TestCase("application/json", """{"text":"a","key":"b c"}""", 400), TestCase("application/json", """{"text":"\ud800"}""", 400), TestCase("image/png", "x", 415)]
    [TestCase("application/x-www-form-urlencoded", "texte=x", 400), TestCase("multipart/form-data; boundary=x", "nonsense", 400)]
    public async Task What_cannot_be_said_is_answered_as_a_problem_and_is_not_in_the_log(string type, string body, int status)
    {
        using var server = ChatServer.Start(("MaxMessageBytes", 10));
        using var http = new HttpClient { BaseAddress = server.Http };
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        using HttpResponseMessage answer = await http.PostAsync("/messages", content);
        Assert.That(((int)answer.StatusCode, answer.Content.Headers.ContentType?.MediaType),
            Is.EqualTo((status, "application/problem+json")));
        Assert.That((int)(await GetAsync(http, "/messages"))["next"]!, Is.EqualTo(1));
    }

    [Test]
    public async Task Bytes_that_are_no_UTF8_are_answered_400_and_a_flood_of_bytes_413()
    {
        using var server = ChatServer.Start(("MaxMessageBytes", 100));
        using var http = new HttpClient { BaseAddress = server.Http };
        Assert.That((await http.PostAsync("/messages", new ByteArrayContent([0x66, 0xC3, 0x28]))).StatusCode,
            Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That((await http.PostAsync("/messages", new StringContent(new string('x', 1000)))).StatusCode,
            Is.EqualTo(HttpStatusCode.RequestEntityTooLarge));
    }

    [Test]
    public async Task Events_go_on_where_they_were_and_tell_what_is_no_longer_kept()
    {
        using var server = ChatServer.Start(("KeepMessages", 20), ("KeepAliveSeconds", 1));
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= 3; i++)
            await PostAsync(http, "/messages", new StringContent($"{i}"));

        using StreamReader first = await EventsAsync(http, "/events?last=2");
        string id = (await first.ReadLineAsync())!;
        Assert.That(id, Does.Match("^id: [0-9a-f]+/2/[0-9]+$"));
        Assert.That(await first.ReadLineAsync(), Does.StartWith("data: {\"seq\":2,").And.Contain("\"text\":\"2\""));
        Assert.That(await first.ReadLineAsync(), Is.Empty);
        Assert.That(await first.ReadLineAsync(), Does.Match("^id: [0-9a-f]+/3/[0-9]+$"));
        await first.ReadLineAsync();
        await first.ReadLineAsync();
        await PostAsync(http, "/messages", new StringContent("live"));
        string line;
        do
            line = (await first.ReadLineAsync())!; // perhaps a beat before it
        while (!line.StartsWith("id: ", StringComparison.Ordinal));
        Assert.That(line, Does.Contain("/4/"));
        do
            line = (await first.ReadLineAsync())!;
        while (line != ": beat");

        using StreamReader resumed = await EventsAsync(http, "/events", id[4..]);
        Assert.That(await resumed.ReadLineAsync(), Does.Contain("/3/"), "after the one that was seen");

        for (int i = 5; i <= 60; i++)
            await PostAsync(http, "/messages", new StringContent($"{i}"));
        using StreamReader late = await EventsAsync(http, "/events", id[4..]);
        Assert.That(await late.ReadLineAsync(), Is.EqualTo("event: gap"));
        Assert.That(await late.ReadLineAsync(), Is.EqualTo("data: {\"type\":\"gap\",\"from\":3,\"to\":40}"));
        await late.ReadLineAsync();
        Assert.That(await late.ReadLineAsync(), Does.Contain("/41/"));
    }

    [Test]
    public async Task Event_streams_end_at_shutdown_and_hold_nobody_up()
    {
        var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using StreamReader events = await EventsAsync(http, "/events");
        long start = Stopwatch.GetTimestamp();
        await server.DisposeAsync();
        Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(2)));
        Assert.That(await events.ReadToEndAsync(), Is.EqualTo(": beat\n\n"));
    }

    [Test]
    public async Task Only_those_invited_read_and_write_and_other_pages_do_not()
    {
        using var server = ChatServer.Start(("InviteKey", "sesame"));
        using var http = new HttpClient { BaseAddress = server.Http };
        foreach (string target in (string[])["/messages", "/events", "/metrics"])
            Assert.That((await http.GetAsync(target)).StatusCode, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await http.PostAsync("/messages", new StringContent("x"))).StatusCode, Is.EqualTo(HttpStatusCode.Unauthorized));
        foreach (string target in (string[])["/", "/healthz", "/readyz", "/messages?invite=sesame"])
            Assert.That((await http.GetAsync(target)).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        http.DefaultRequestHeaders.Authorization = new("Bearer", "sesame");
        Assert.That((await http.GetAsync("/messages")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        http.DefaultRequestHeaders.Add("Origin", "http://elsewhere.example");
        Assert.That((await http.PostAsync("/messages", new StringContent("x"))).StatusCode, Is.EqualTo(HttpStatusCode.Forbidden));
        http.DefaultRequestHeaders.Remove("Origin");
        http.DefaultRequestHeaders.Add("Origin", "null");
        using HttpResponseMessage fromDisk = await http.GetAsync("/messages");
        Assert.That(fromDisk.Headers.GetValues("Access-Control-Allow-Origin"), Is.EqualTo(new[] { "null" }));
    }

    [Test]
    public async Task Metrics_count()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using Peer peer = await Peer.ChatAsync(server);
        for (int i = 0; i < 3; i++)
            await peer.SayAsync($"{i}", $"{i}");
        await peer.ReceiveTextsAsync(3);
        string metrics = await http.GetStringAsync("/metrics");
        Assert.That(metrics, Does.Contain("\nchatminimal_clients 1\n").And.Contain("\nchatminimal_rooms 1\n"));
        Assert.That(metrics, Does.Match(@"\nchatminimal_messages_total [0-3]\n"), "counted after they are sent");
    }

    static IEnumerable<string> CurlLines() =>
        File.ReadLines(Path.Combine(BuiltProcess.PathOf("Root"), "README.md"))
            .Where(line => line.StartsWith("    curl ", StringComparison.Ordinal)).Select(line => line.Trim());

    [TestCaseSource(nameof(CurlLines))]
    public async Task Each_curl_line_of_the_README_does_what_it_says(string line)
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= 3; i++)
            await PostAsync(http, "/messages", new StringContent($"{i}"));

        List<string> words = [.. Regex.Matches(line, @"(['""])(.*?)\1|(\S+)")
                .Select(match => match.Groups[match.Groups[1].Success ? 2 : 3].Value)];
        using Process? curl =
            Start(words[0], ["-sS", "--fail-with-body",
                .. words[1..].Select(word => word.Replace("localhost:8765", $"127.0.0.1:{server.Port}", StringComparison.Ordinal))]);
        if (curl is null)
            Assert.Ignore("there is no curl on this machine");
        string first = (await curl.StandardOutput.ReadLineAsync())!;
        if (line.Contains("/events", StringComparison.Ordinal))
            curl.Kill(); // it would go on
        await curl.WaitForExitAsync();

        Assert.That(first, line switch
        {
            _ when line.Contains("-d ", StringComparison.Ordinal) || line.Contains("--json", StringComparison.Ordinal) => Does.Match("""^\{"seq":\d,"at":"[^"]+","name":"Ana","text":"Bonjour".*\}$"""),
            _ when line.Contains("room=cours", StringComparison.Ordinal) => Does.EndWith("\"messages\":[]}"),
            _ when line.Contains("after=1", StringComparison.Ordinal) => Does.Match("\"seq\":2,.*\"seq\":3,"),
            _ when line.Contains("before=3", StringComparison.Ordinal) => Does.Match("\"seq\":1,.*\"seq\":2,"),
            _ when line.Contains("/events", StringComparison.Ordinal) => Does.Match("^id: [0-9a-f]+/1/[0-9]+$"),
            _ when line.Contains("/export", StringComparison.Ordinal) => Does.Match("^[0-9-]{10} [0-9:]{8}Z -: 1$"),
            _ when line.Contains("/metrics", StringComparison.Ordinal) => Does.StartWith("# HELP "),
            _ => Is.EqualTo("ok"),
        });
        if (!line.Contains("/events", StringComparison.Ordinal))
            Assert.That(curl.ExitCode, Is.Zero);
    }

    static Process? Start(string program, IEnumerable<string> arguments)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                StandardOutputEncoding = Encoding.UTF8
            });
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    static async Task<(HttpStatusCode Status, JsonObject Answer)> PostAsync(HttpClient http, string target, HttpContent content,
        string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, target) { Content = content };
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        using HttpResponseMessage answer = await http.SendAsync(request);
        return (answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.AsObject());
    }

    static async Task<JsonObject> GetAsync(HttpClient http, string target) => JsonNode.Parse(await http.GetStringAsync(target))!.AsObject();

    static async Task<StreamReader> EventsAsync(HttpClient http, string target, string? lastEventId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, target);
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        HttpResponseMessage answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.That(answer.Content.Headers.ContentType?.MediaType, Is.EqualTo("text/event-stream"));
        return new StreamReader(await answer.Content.ReadAsStreamAsync());
    }
}
