using System.Net;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class OriginTests
{
    [TestCase("https://chat.example", "chat.example", true), TestCase("http://chat.example", "chat.example", true)]
    [TestCase("http://chat.example:80", "chat.example", true), TestCase("http://chat.example", "chat.example:80", true)]
    [TestCase("https://chat.example", "chat.example:443", true), TestCase("https://chat.example:443", "chat.example", true)]
    [TestCase("HTTPS://Chat.Example", "chat.EXAMPLE", true)]
    [TestCase("https://chat.example.", "chat.example", true), TestCase("https://chat.example", "chat.example.", true)]
    [TestCase("https://xn--caf-dma.example", "xn--caf-dma.example", true)]
    [TestCase("http://chat_under.example", "chat_under.example", true)]
    [TestCase("http://[::1]", "[::1]", true), TestCase("https://[2001:db8::1]:8443", "[2001:DB8:0::1]:8443", true)]
    [TestCase("https://chat.example", "chat.example:8443", false), TestCase("https://chat.example:8443", "chat.example", false)]
    [TestCase("https://chat.example", "chat.example:80", false), TestCase("http://chat.example", "chat.example:443", false)]
    [TestCase("https://evil.example", "chat.example", false), TestCase("https://chat.example.evil.example", "chat.example", false)]
    [TestCase("https://[2001:db8::1]", "[2001:db8::2]", false)]
    [TestCase("ftp://chat.example", "chat.example", false), TestCase("chat.example", "chat.example", false),
        TestCase("://chat.example", "chat.example", false)]
    [TestCase("https://user@chat.example", "chat.example", false), TestCase("https://chat.example/x", "chat.example", false)]
    [TestCase("https://chat.example, https://chat.example", "chat.example", false),
        TestCase("https://chat.example:", "chat.example", false)]
    public async Task A_page_of_the_same_name_and_effective_port_may_connect_and_no_other(string origin, string host, bool isSame)
    {
        using var server = ChatServer.StartIn("Production");
        using RawPeer peer = await OpenAsync(server, host, origin);
        Assert.That(peer.Answer, Does.StartWith(isSame ? "HTTP/1.1 101 " : "HTTP/1.1 403 "));
    }

    [TestCase("Development", "null"), TestCase("Development", "http://localhost:5500"), TestCase("Development", "http://127.0.0.1:8000")]
    [TestCase("Development", "http://[::1]:3000"), TestCase("Development", "http://app.localhost:3000")]
    public async Task In_Development_pages_of_this_machine_come_in_and_in_Production_those_that_are_listed(string environment,
        string origin)
    {
        using var development = ChatServer.StartIn(environment);
        using RawPeer here = await OpenAsync(development, "localhost", origin);
        Assert.That(here.Answer, Does.StartWith("HTTP/1.1 101 "));
        using RawPeer through = await OpenAsync(development, "localhost", origin, "X-Forwarded-For: 203.0.113.7");
        Assert.That(through.Answer, Does.StartWith("HTTP/1.1 403 "), "a proxy on this machine speaks for another");

        using var production = ChatServer.StartIn("Production");
        using RawPeer refused = await OpenAsync(production, "localhost", origin);
        Assert.That(refused.Answer, Does.StartWith("HTTP/1.1 403 "));
        using var listed = ChatServer.StartIn("Production", ("AllowedOrigins", origin));
        using RawPeer allowed = await OpenAsync(listed, "localhost", origin);
        Assert.That(allowed.Answer, Does.StartWith("HTTP/1.1 101 "), "the README's line");
    }

    [TestCase("https://a.example https://b.example:8443", "https://a.example", true),
        TestCase("https://a.example,https://b.example:8443", "https://b.example:8443", true)]
    [TestCase("https://A.example:443/", "https://a.example", true), TestCase("https://café.example", "https://xn--caf-dma.example", true)]
    [TestCase("https://a.example", "http://a.example", false), TestCase("https://a.example", "https://a.example:8443", false)]
    [TestCase("null", "null", true), TestCase("null", "http://localhost:1", false)]
    [TestCase("any", "https://whoever.example", true), TestCase("any", "null", true)]
    [TestCase("chrome-extension://abcdefgh", "chrome-extension://abcdefgh", true)]
    public async Task Allowed_origins_are_one_string_and_compared_by_what_they_mean(string option, string origin, bool isAllowed)
    {
        using var server = ChatServer.StartIn("Production", ("AllowedOrigins", option));
        using RawPeer peer = await OpenAsync(server, "chat.example", origin);
        Assert.That(peer.Answer, Does.StartWith(isAllowed ? "HTTP/1.1 101 " : "HTTP/1.1 403 "));
    }

    [Test]
    public async Task Allowed_origins_may_be_given_one_by_one_too()
    {
        using var server = ChatServer.StartIn("Production", ("AllowedOrigins", "https://a.example"),
            ("Chat:AllowedOrigins:0", "https://b.example"), ("Chat:AllowedOrigins:1", "null"));
        foreach (string origin in (string[])["https://a.example", "https://b.example", "null"])
            using (RawPeer peer = await OpenAsync(server, "chat.example", origin))
                Assert.That(peer.Answer, Does.StartWith("HTTP/1.1 101 "), origin);
    }

    [TestCase("*", "'*' is not an origin"), TestCase("chat.example", "'chat.example' is not an origin"),
        TestCase("https://a.example/chat", "'https://a.example/chat' is not an origin")]
    [TestCase("https://a.example https://*.b.example", "'https://*.b.example' is not an origin"),
        TestCase("http://a.example:99999", "'http://a.example:99999' is not an origin")]
    public async Task What_is_no_origin_ends_the_start_in_one_line(string option, string told)
    {
        using var server = BuiltProcess.Server("Production", "--urls", "http://127.0.0.1:0", "--Chat:Database=", "--Chat:AllowedOrigins",
            option);
        (int code, _, string error) = await server.EndAsync();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.StartWith("chatminimal: ").And.Contain(told).And.Contain("any is every site"));
        Assert.That(error.TrimEnd('\n'), Does.Not.Contain("\n"));
    }

    [TestCase("null", "", "pages opened from disk may not connect here; to let them, start the server with --Chat:AllowedOrigins=null")]
    [TestCase("http://localhost:5500", "null", "pages of http://localhost:5500 may not connect here; to let them, start the server with --Chat:AllowedOrigins=null,http://localhost:5500")]
    public async Task A_refused_page_can_read_what_to_do_about_it_and_it_helps(string origin, string before, string detail)
    {
        using var server = ChatServer.StartIn("Production", ("AllowedOrigins", before));
        using var http = new HttpClient { BaseAddress = server.Http };
        http.DefaultRequestHeaders.Add("Origin", origin);
        using HttpResponseMessage answer = await http.GetAsync("/messages");
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.Forbidden));
        Assert.That(answer.Headers.GetValues("Access-Control-Allow-Origin"), Is.EqualTo(new[] { origin }),
            "else the browser would hide the reason from it");
        string told = (string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["detail"]!;
        Assert.That(told, Is.EqualTo(detail));

        using var again = ChatServer.StartIn("Production", ("AllowedOrigins", told.Split("--Chat:AllowedOrigins=")[1]));
        using RawPeer peer = await OpenAsync(again, "chat.example", origin);
        Assert.That(peer.Answer, Does.StartWith("HTTP/1.1 101 "));
    }

    [TestCase("evil.example", 403), TestCase("localhost.evil.example", 403), TestCase("127.0.0.1.evil.example", 403)]
    [TestCase("localhost", 200), TestCase("LOCALHOST:1", 200), TestCase("localhost.", 200), TestCase("127.0.0.1", 200),
        TestCase("[::1]:8765", 200), TestCase("192.168.1.7:8765", 200)]
    public async Task In_Development_only_names_of_this_machine_are_answered_on_its_loopback(string host, int status)
    {
        using var server = ChatServer.StartIn("Development");
        foreach (string path in (string[])["/", "/messages", "/healthz"])
            using (RawPeer peer = await RawPeer.RequestAsync(server.Port, $"GET {path} HTTP/1.1\nHost: {host}\nOrigin: http://{host}"))
                Assert.That(peer.Answer, Does.StartWith($"HTTP/1.1 {status} "), path);
        using var production = ChatServer.StartIn("Production");
        using RawPeer there = await RawPeer.RequestAsync(production.Port, $"GET /messages HTTP/1.1\nHost: {host}");
        Assert.That(there.Answer, Does.StartWith("HTTP/1.1 200 "));
    }

    [Test]
    public async Task In_Development_this_machine_is_answered_by_its_name_and_by_names_that_AllowedHosts_lists()
    {
        using var server = ChatServer.StartIn("Development");
        using RawPeer named = await RawPeer.RequestAsync(server.Port, $"GET /messages HTTP/1.1\nHost: {Environment.MachineName}");
        Assert.That(named.Answer, Does.StartWith("HTTP/1.1 200 "));

        using var listing = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--Chat:Database=", "--AllowedHosts",
            "chat.example");
        int port = new Uri((await listing.ReadUntilAsync("Page: ")).Split("Page: ")[1]).Port;
        using RawPeer listed = await RawPeer.RequestAsync(port, "GET /messages HTTP/1.1\nHost: chat.example");
        Assert.That(listed.Answer, Does.StartWith("HTTP/1.1 200 "));
        using RawPeer other = await RawPeer.RequestAsync(port, "GET /messages HTTP/1.1\nHost: evil.example");
        Assert.That(other.Answer, Does.StartWith("HTTP/1.1 400 "), "by ASP.NET's own filter");
    }

    [TestCase("/messages", "https://listed.example", 204), TestCase("/events", "https://listed.example", 204),
        TestCase("/messages", "https://other.example", 403)]
    public async Task A_browser_that_asks_first_is_told_what_a_page_may_send(string path, string origin, int status)
    {
        using var server = ChatServer.StartIn("Production", ("AllowedOrigins", "https://listed.example"), ("InviteKey", "sesame"));
        using var http = new HttpClient { BaseAddress = server.Http };
        using var preflight = new HttpRequestMessage(HttpMethod.Options, path);
        preflight.Headers.Add("Origin", origin);
        preflight.Headers.Add("Access-Control-Request-Method", "POST");
        preflight.Headers.Add("Access-Control-Request-Headers", "content-type,idempotency-key,authorization,last-event-id");
        using HttpResponseMessage answer = await http.SendAsync(preflight);
        Assert.That((int)answer.StatusCode, Is.EqualTo(status));
        Assert.That(answer.Headers.Vary, Does.Contain("Origin"));
        if (status == 403)
            return;
        Assert.That(answer.Headers.GetValues("Access-Control-Allow-Origin"), Is.EqualTo(new[] { origin }));
        Assert.That(answer.Headers.GetValues("Access-Control-Allow-Methods").Single(), Does.Contain("POST"));
        string headers = answer.Headers.GetValues("Access-Control-Allow-Headers").Single();
        foreach (string header in (string[])["Content-Type", "Idempotency-Key", "Authorization", "Last-Event-ID"])
            Assert.That(headers, Does.Contain(header));
    }

    static Task<RawPeer> OpenAsync(ChatServer server, string host, string origin, string more = "X-Nothing: 1") =>
        RawPeer.RequestAsync(server.Port, $"""
        GET /ws HTTP/1.1
        Host: {host}
        Origin: {origin}
        {more}
        Connection: keep-alive, Upgrade
        Upgrade: websocket
        Sec-WebSocket-Version: 13
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
        """);
}
