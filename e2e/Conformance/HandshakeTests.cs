using NUnit.Framework;

namespace ChatMinimal.E2E.Conformance;

/// <summary>RFC 6455 section 4.2: what a request must have, and what the answer says.</summary>
public sealed class HandshakeTests
{
    const string Good = """
        GET /ws HTTP/1.1
        Host: chat.example
        Connection: Upgrade
        Upgrade: websocket
        Sec-WebSocket-Version: 13
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
        """;

    [Test]
    public async Task The_answer_to_the_RFCs_own_request_is_the_RFCs_own_answer()
    {
        string[] lines = await AnswerAsync(Good);
        Assert.That(lines[0], Is.EqualTo("HTTP/1.1 101 Switching Protocols"));
        Assert.That(lines, Does.Contain("Connection: Upgrade").And.Contain("Upgrade: websocket").And.Contain("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        Assert.That(lines, Has.None.StartsWith("Sec-WebSocket-Protocol").And.None.StartsWith("Sec-WebSocket-Extensions").And.None.StartsWith("Content-Length").And.None.StartsWith("Transfer-Encoding"));
    }

    [TestCase("Connection: Upgrade", "Connection: keep-alive, Upgrade"), TestCase("Connection: Upgrade", "connection: upgrade"),
        TestCase("Upgrade: websocket", "Upgrade: WebSocket")]
    [TestCase("GET /ws HTTP", "GET / HTTP"), TestCase("GET /ws HTTP", "GET /ws?room=a HTTP"),
        TestCase("GET /ws HTTP", "GET http://chat.example/ws HTTP")]
    public async Task What_is_the_same_to_HTTP_is_the_same_here(string there, string here) =>
        Assert.That((await AnswerAsync(Good.Replace(there, here, StringComparison.Ordinal)))[0],
            Is.EqualTo("HTTP/1.1 101 Switching Protocols"));

    [TestCase("foo, chat.v1, bar", "chat.v1"), TestCase("chat.v1", "chat.v1"), TestCase("foo", null), TestCase("chat.v2", null),
        TestCase("CHAT.V1", null)]
    public async Task Of_the_subprotocols_that_were_offered_the_one_it_speaks_is_chosen_or_none(string offered, string? chosen)
    {
        string[] lines = await AnswerAsync($"{Good}\nSec-WebSocket-Protocol: {offered}");
        Assert.That(lines[0], Does.Contain(" 101 "));
        Assert.That(lines.Where(line => line.StartsWith("Sec-WebSocket-Protocol", StringComparison.Ordinal)),
            Is.EqualTo(chosen is null ? Array.Empty<string>() : [$"Sec-WebSocket-Protocol: {chosen}"]));
    }

    [Test]
    public async Task An_extension_that_is_offered_is_declined_by_silence()
    {
        string[] lines = await AnswerAsync($"{Good}\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits");
        Assert.That(lines[0], Does.Contain(" 101 "));
        Assert.That(lines, Has.None.StartsWith("Sec-WebSocket-Extensions"));
    }

    [TestCase("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12", 426), TestCase("Sec-WebSocket-Version: 13", "", 426),
        TestCase("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: thirteen", 426)]
    [TestCase("Upgrade: websocket", "", 426), TestCase("Upgrade: websocket", "Upgrade: h2c", 426), TestCase("HTTP/1.1", "HTTP/1.0", 426)]
    [TestCase("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", 400), TestCase("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
        TestCase("dGhlIHNhbXBsZSBub25jZQ==", "not base64!", 400)]
    [TestCase("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", 400),
        TestCase("Host: chat.example", "", 400)]
    public async Task What_is_no_handshake_is_refused(string good, string bad, int status)
    {
        string request = string.Join('\n', Good.Replace(good, bad, StringComparison.Ordinal).Split('\n').Where(line => line.Trim() != ""));
        string[] lines = await AnswerAsync(request);
        Assert.That(lines[0], Does.StartWith($"HTTP/1.1 {status} "));
        if (status == 426)
            Assert.That(lines, Does.Contain("Sec-WebSocket-Version: 13").And.Contain("Upgrade: websocket"),
                "section 4.4, and RFC 9110 section 15.5.22");
    }

    [Test]
    public async Task Without_an_upgrade_in_Connection_nothing_is_upgraded() =>
        Assert.That((await AnswerAsync(Good.Replace("Connection: Upgrade", "Connection: keep-alive", StringComparison.Ordinal)))[0],
            Does.Match("^HTTP/1.1 4(00|26) "), "section 4.2.1");

    [TestCase("POST"), TestCase("HEAD"), TestCase("PUT")]
    public async Task Only_GET_opens_a_socket(string method) =>
        Assert.That((await AnswerAsync(Good.Replace("GET", method, StringComparison.Ordinal)
            + (method is "POST" or "PUT" ? "\nContent-Length: 0" : "")))[0], Does.Not.Contain(" 101 "));

    static async Task<string[]> AnswerAsync(string request)
    {
        using RawPeer peer = await RawPeer.RequestAsync(ConformanceServer.Port(), request);
        return peer.Answer.Split("\r\n");
    }
}
