using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class RefusalTests
{
    static readonly byte[] s_invalidUtf8 = [0x66, 0xC3, 0x28];

    static IEnumerable<TestCaseData> BrokenFrames()
    {
        yield return new TestCaseData(RawPeer.Frame(0x82, "x"u8), Close(1003, "text messages only")).SetArgDisplayNames("binary", "1003");
        yield return new TestCaseData(RawPeer.Frame(0x81, s_invalidUtf8), Close(1007, "invalid UTF-8"))
            .SetArgDisplayNames("invalid UTF-8", "1007");
        yield return new TestCaseData(new byte[] { 0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f }, Close(1002, "client frames must be masked"))
            .SetArgDisplayNames("not masked", "1002");
        yield return new TestCaseData(RawPeer.Frame(0x83, "x"u8), Close(1002, "reserved opcode"))
            .SetArgDisplayNames("an opcode that is not", "1002");
        yield return new TestCaseData(RawPeer.Frame(0xC1, "x"u8), Close(1002, "reserved bit set"))
            .SetArgDisplayNames("a reserved bit", "1002");
        yield return new TestCaseData(RawPeer.Frame(0x80, "x"u8), Close(1002, "continuation without a message"))
            .SetArgDisplayNames("a continuation of nothing", "1002");
        yield return new TestCaseData(RawPeer.Frame(0x09, "x"u8), Close(1002, "fragmented control frame"))
            .SetArgDisplayNames("a ping in fragments", "1002");
        yield return new TestCaseData(RawPeer.Frame(0x89, new byte[126]), Close(1002, "control frame exceeds 125 bytes"))
            .SetArgDisplayNames("a ping of 126 bytes", "1002");
        yield return new TestCaseData((byte[])[.. RawPeer.Frame(0x01, "x"u8), .. RawPeer.Frame(0x81, "y"u8)],
            Close(1002, "new message inside a fragmented one")).SetArgDisplayNames("a message inside a message", "1002");
        yield return new TestCaseData(RawPeer.Frame(0x81, new byte[101]), Close(1009, "message exceeds 100 bytes"))
            .SetArgDisplayNames("a byte too many", "1009");
        yield return new TestCaseData((byte[])[.. RawPeer.Frame(0x01, new byte[60]), .. RawPeer.Frame(0x00, new byte[60])],
            Close(1009, "message exceeds 100 bytes")).SetArgDisplayNames("too many bytes in fragments", "1009");
        yield return new TestCaseData(RawPeer.Frame(0x88, [0x03, 0xE8]), new byte[] { 0x88, 0x02, 0x03, 0xE8 })
            .SetArgDisplayNames("an orderly close", "1000");
        yield return new TestCaseData(RawPeer.Frame(0x88, []), Close(1000)).SetArgDisplayNames("a close without a code", "1000");
    }

    static byte[] Close(int code, string reason = "") =>
        Frame.Of(Frame.Close, [(byte)(code >> 8), (byte)code, .. Encoding.UTF8.GetBytes(reason)]);

    [TestCaseSource(nameof(BrokenFrames))]
    public async Task What_breaks_the_protocol_is_answered_with_its_code_after_what_was_said_before(byte[] sent, byte[] expected)
    {
        using var server = ChatServer.Start(("MaxMessageBytes", 100));
        using RawPeer peer = await RawPeer.UpgradeAsync(server.Port);
        await peer.WriteAsync([.. RawPeer.Frame(0x81, "before"u8), .. sent]);

        Assert.That(await peer.ReceiveAsync(), Is.EqualTo("Message d'un client : before"));
        Assert.That(await peer.ReadAsync(expected.Length), Is.EqualTo(expected));

        using Peer other = await Peer.PlainAsync(server);
        await other.SayAsync("still here");
        Assert.That(await other.ReceiveAsync(), Is.EqualTo("Message d'un client : still here"), "nobody else is disturbed");
    }

    [Test]
    public async Task A_chat_frame_over_eight_times_the_limit_is_closed_with_1009()
    {
        using var server = ChatServer.Start(("MaxMessageBytes", 100));
        using Peer peer = await Peer.ChatAsync(server);
        await peer.SayAsync("k", new string('x', 700));
        Assert.That((string)(await peer.ReceiveAsync("refused"))["reason"]!, Is.EqualTo("too_long"));
        await peer.SayAsync("k", new string('x', 801));
        while (await peer.ReceiveAsync() is not null) { }
        Assert.That(((int)peer.CloseStatus!, peer.CloseReason), Is.EqualTo((1009, "message exceeds 800 bytes")));
    }

    [Test]
    public async Task A_message_of_endless_empty_fragments_is_closed_with_1009()
    {
        using var server = ChatServer.Start();
        using RawPeer peer = await RawPeer.UpgradeAsync(server.Port);
        byte[] fragments = [.. RawPeer.Frame(0x01, []), .. Enumerable.Repeat(RawPeer.Frame(0x00, []), 17_000).SelectMany(frame => frame)];
        await peer.WriteAsync(fragments);
        (byte first, byte[] payload) = await peer.ReadFrameAsync();
        Assert.That(first, Is.EqualTo(0x88));
        Assert.That(payload[..2], Is.EqualTo(new byte[] { 0x03, 0xF1 }));
    }

    [Test]
    public async Task A_ping_is_answered_with_its_own_bytes()
    {
        using var server = ChatServer.Start();
        using RawPeer peer = await RawPeer.UpgradeAsync(server.Port);
        await peer.WriteAsync(RawPeer.Frame(0x89, "are you there?"u8));
        (byte first, byte[] payload) = await peer.ReadFrameAsync();
        Assert.That(first, Is.EqualTo(0x8A));
        Assert.That(Encoding.UTF8.GetString(payload), Is.EqualTo("are you there?"));
    }

    [TestCase("room=a b", "room: 1 to 64 of A-Z a-z 0-9 - _")]
    [TestCase("room=", "room: 1 to 64 of A-Z a-z 0-9 - _")]
    [TestCase("room=é", "room: 1 to 64 of A-Z a-z 0-9 - _")]
    [TestCase("room=../etc", "room: 1 to 64 of A-Z a-z 0-9 - _")]
    [TestCase("room=01234567890123456789012345678901234567890123456789012345678901234", "room: 1 to 64 of A-Z a-z 0-9 - _")]
    [TestCase("name=a%0Ab", "name: a name has at most 32 characters, none of them a control or text direction character")]
    [TestCase("name=%E2%80%AEabc", "name: a name has at most 32 characters, none of them a control or text direction character")]
    [TestCase("name=012345678901234567890123456789012",
        "name: a name has at most 32 characters, none of them a control or text direction character")]
    [TestCase("after=x", "after: the number of the last message seen")]
    [TestCase("after=-1", "after: the number of the last message seen")]
    [TestCase("after=99999999999999999999", "after: the number of the last message seen")]
    [TestCase("last=x", "last: how many messages to begin with")]
    public async Task A_bad_query_is_answered_400_and_says_what_is_wrong(string query, string detail)
    {
        using var server = ChatServer.Start();
        (HttpStatusCode status, JsonObject problem, _) =
            await RefusedAsync(server, "/ws?"
                + Uri.EscapeDataString(query).Replace("%3D", "=", StringComparison.Ordinal).Replace("%25", "%", StringComparison.Ordinal));
        Assert.That(status, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That((string)problem["detail"]!, Is.EqualTo(detail));
    }

    [Test]
    public async Task A_name_of_32_characters_may_be_32_emoji()
    {
        using var server = ChatServer.Start();
        string name = string.Concat(Enumerable.Repeat("😀", 32));
        using Peer peer = await Peer.PlainAsync(server, "name=" + Uri.EscapeDataString(name));
        await peer.SayAsync("x");
        Assert.That(await peer.ReceiveAsync(), Is.EqualTo($"Message d'un client ({name}) : x"));
    }

    [Test]
    public async Task Without_an_upgrade_the_socket_address_answers_426()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync("/ws");
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.UpgradeRequired));
        Assert.That(answer.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/problem+json"));
        Assert.That(answer.Headers.Upgrade.ToString(), Is.EqualTo("websocket"));
        Assert.That(answer.Headers.GetValues("Sec-WebSocket-Version"), Is.EqualTo(new[] { "13" }));
    }

    [TestCase("HTTP/1.1", "12"), TestCase("HTTP/1.0", "13")]
    public async Task Another_version_is_answered_426_and_told_which(string protocol, string version)
    {
        using var server = ChatServer.Start();
        using RawPeer peer = await RawPeer.RequestAsync(server.Port, $"""
            GET /ws {protocol}
            Host: 127.0.0.1
            Connection: Upgrade
            Upgrade: websocket
            Sec-WebSocket-Version: {version}
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
            """);
        Assert.That(peer.Answer, Does.Match("^HTTP/1.1 426 "));
        Assert.That(peer.Answer, Does.Contain("Sec-WebSocket-Version: 13\r\n"));
    }

    [Test]
    public async Task A_bad_key_is_answered_400()
    {
        using var server = ChatServer.Start();
        using RawPeer peer = await RawPeer.RequestAsync(server.Port, """
            GET /ws HTTP/1.1
            Host: 127.0.0.1
            Connection: Upgrade
            Upgrade: websocket
            Sec-WebSocket-Version: 13
            Sec-WebSocket-Key: short
            """);
        Assert.That(peer.Answer, Does.StartWith("HTTP/1.1 400 "));
    }

    [TestCase("Development", "http://elsewhere.example", false)]
    [TestCase("Development", "null", true)]
    [TestCase("Development", "http://127.0.0.1:PORT", true)]
    [TestCase("Development", "https://127.0.0.1:PORT", true, Description = "TLS ended before the server")]
    [TestCase("Development", "http://127.0.0.1:1", true, Description = "a student's own web server")]
    [TestCase("Production", "http://127.0.0.1:1", false)]
    [TestCase("Development", "nonsense", false)]
    [TestCase("Production", "null", false)]
    [TestCase("Production", "https://listed.example", true)]
    [TestCase("Production", "https://other.example", false)]
    public async Task A_page_of_another_origin_is_answered_403(string environment, string origin, bool isAllowed)
    {
        using var server = ChatServer.StartIn(environment, ("Chat:AllowedOrigins:0", "https://listed.example"));
        using RawPeer peer =
            await RawPeer.UpgradeAsync(server.Port, more: "\nOrigin: "
                + origin.Replace("PORT", $"{server.Port}", StringComparison.Ordinal));
        Assert.That(peer.Answer, Does.StartWith(isAllowed ? "HTTP/1.1 101 " : "HTTP/1.1 403 "));
    }

    [Test]
    public async Task With_an_invite_key_nobody_gets_in_without_it()
    {
        using var server = ChatServer.Start(("InviteKey", "sésame"));
        (HttpStatusCode status, _, HttpResponseMessage answer) = await RefusedAsync(server, "/ws");
        Assert.That(status, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That(answer.Headers.WwwAuthenticate.ToString(), Is.EqualTo("Bearer"));
        Assert.That((await RefusedAsync(server, "/ws?invite=sesame")).Status, Is.EqualTo(HttpStatusCode.Unauthorized));
        using (await Peer.PlainAsync(server, "invite=" + Uri.EscapeDataString("sésame"))) { }
        using RawPeer bearer = await RawPeer.UpgradeAsync(server.Port, more: "\nAuthorization: Bearer wrong");
        Assert.That(bearer.Answer, Does.StartWith("HTTP/1.1 401 "));
        using var http = new HttpClient { BaseAddress = server.Http };
        Assert.That((await http.GetAsync("/")).StatusCode, Is.EqualTo(HttpStatusCode.OK), "the page itself is no secret");
    }

    [Test]
    public async Task A_full_server_answers_503_and_when_to_come_again()
    {
        using var server = ChatServer.Start(("MaxConnections", 2));
        using Peer first = await Peer.PlainAsync(server);
        Peer second = await Peer.PlainAsync(server);
        (HttpStatusCode status, JsonObject problem, HttpResponseMessage answer) = await RefusedAsync(server, "/ws");
        Assert.That(status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That(answer.Headers.RetryAfter?.Delta, Is.EqualTo(TimeSpan.FromSeconds(10)));
        Assert.That((string)problem["detail"]!, Is.EqualTo("there are 2 clients already"));
        await second.CloseAsync();
        Assert.That(async () => await Peer.PlainAsync(server), Throws.Nothing.After(5).Seconds.PollEvery(20), "a place is free again");
    }

    [TestCase(""), TestCase("\nSec-WebSocket-Protocol: chat.v1")]
    public async Task Whoever_is_gone_before_it_is_greeted_takes_no_place(string dialect)
    {
        using var server = ChatServer.Start();
        for (int i = 0; i < 50; i++)
            (await RawPeer.AskAsync(server.Port, RawPeer.Upgrade(server.Port, more: dialect))).Dispose();
        using (await Peer.ChatAsync(server)) { } // by now all of them have been accepted
        using var http = new HttpClient { BaseAddress = server.Http };
        Assert.That(async () => await http.GetStringAsync("/metrics"),
            Does.Contain("\nchatminimal_clients 0\n").And.Contain("\nchatminimal_rooms 0\n").After(20).Seconds.PollEvery(100));
    }

    [Test]
    public async Task One_room_too_many_is_answered_503()
    {
        using var server = ChatServer.Start(("MaxRooms", 1));
        using Peer first = await Peer.PlainAsync(server, "room=a");
        (HttpStatusCode status, JsonObject problem, _) = await RefusedAsync(server, "/ws?room=b");
        Assert.That(status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That((string)problem["detail"]!, Is.EqualTo("there are 1 rooms already"));
        using (await Peer.PlainAsync(server, "room=a")) { }
    }

    [Test]
    public async Task What_is_not_there_is_answered_404_as_a_problem()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync("/nowhere");
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That(answer.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/problem+json"));
    }

    // A request that would be upgraded if it were right.
    static async Task<(HttpStatusCode Status, JsonObject Problem, HttpResponseMessage Answer)> RefusedAsync(ChatServer server,
        string target)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        using var request = new HttpRequestMessage(HttpMethod.Get, target);
        request.Headers.Connection.Add("Upgrade");
        request.Headers.Upgrade.ParseAdd("websocket");
        request.Headers.Add("Sec-WebSocket-Version", "13");
        request.Headers.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        HttpResponseMessage answer = await http.SendAsync(request);
        Assert.That(answer.Content.Headers.ContentType?.MediaType, Is.EqualTo("application/problem+json"));
        JsonObject problem = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.AsObject();
        Assert.That((int)problem["status"]!, Is.EqualTo((int)answer.StatusCode));
        return (answer.StatusCode, problem, answer);
    }
}
