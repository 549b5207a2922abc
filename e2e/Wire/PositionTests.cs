using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>A position is (epoch, seq, at): a log that was rolled back cannot be taken for the one that was seen.</summary>
public sealed class PositionTests
{
    [TestCase("epoch=EPOCH&after=2&at=AT", true), TestCase("epoch=EPOCH&after=2", true), TestCase("epoch=EPOCH&after=0", true),
        TestCase("epoch=EPOCH&after=0&at=AT", true)]
    [TestCase("epoch=EPOCH&after=2&at=2001-01-01T00:00:00Z", false), TestCase("epoch=EPOCH&after=2&at=2001-01-01T00:00:00.1234567Z", false)]
    [TestCase("epoch=another&after=2&at=AT", false), TestCase("epoch=EPOCH&after=4&at=AT", false),
        TestCase("epoch=EPOCH&after=9223372036854775807&at=AT", false), TestCase("", false)]
    public async Task Hello_says_resumed_when_the_position_held_and_else_one_begins_anew(string query, bool holds)
    {
        using var server = ChatServer.Start();
        using Peer talker = await Peer.ChatAsync(server);
        await talker.ReceiveAsync("hello");
        string at = "";
        for (int i = 1; i <= 3; i++)
        {
            await talker.SayAsync($"k{i}", $"{i}");
            JsonObject message = await talker.ReceiveMessageAsync();
            at = i == 2 ? (string)message["at"]! : at;
        }
        using Peer peer = await Peer.ChatAsync(server,
            query.Replace("EPOCH", talker.Epoch, StringComparison.Ordinal).Replace("AT", at, StringComparison.Ordinal));
        JsonObject hello = await peer.ReceiveAsync("hello");
        Assert.That((bool?)hello["resumed"], Is.EqualTo(holds ? true : null));
        int first = holds && query.Contains("after=2", StringComparison.Ordinal) ? 3 : 1;
        Assert.That((int)(await peer.ReceiveMessageAsync())["seq"]!, Is.EqualTo(first));
    }

    [Test]
    public async Task Where_the_message_is_no_longer_retained_epoch_and_seq_decide()
    {
        using var server = ChatServer.Start(("KeepMessages", 5));
        using Peer talker = await Peer.ChatAsync(server);
        await talker.ReceiveAsync("hello");
        for (int i = 1; i <= 20; i++)
        {
            await talker.SayAsync($"k{i}", $"{i}");
            await talker.ReceiveMessageAsync();
        }
        using Peer peer = await Peer.ChatAsync(server, $"epoch={talker.Epoch}&after=2&at=2001-01-01T00:00:00Z");
        Assert.That((bool?)(await peer.ReceiveAsync("hello"))["resumed"], Is.True);
    }

    [TestCase("at=yesterday"), TestCase("at="), TestCase("at=1"), TestCase("after="), TestCase("after=1&after=2"), TestCase("last=-1"),
        TestCase("epoch=a&epoch=b"), TestCase("name=%E9"), TestCase("name=%20")]
    public async Task What_is_given_and_unusable_is_answered_400_on_every_way_in(string query)
    {
        using var server = ChatServer.Start();
        foreach (string path in (string[])["/messages", "/events"])
            using (RawPeer peer = await RawPeer.RequestAsync(server.Port, $"GET {path}?{query} HTTP/1.1\nHost: localhost"))
                Assert.That(peer.Answer, Does.StartWith("HTTP/1.1 400 "), path);
        using RawPeer socket = await RawPeer.UpgradeAsync(server.Port, $"/ws?{query}");
        Assert.That(socket.Answer, Does.StartWith("HTTP/1.1 400 "));
    }

    [TestCase("h2c, WebSocket", "keep-alive, upgrade", "/ws", 101), TestCase("WEBSOCKET", "Upgrade", "/", 101),
        TestCase("h2c, websocket", "Upgrade", "/", 101)]
    [TestCase("websocket", "keep-alive", "/ws", 400), TestCase("h2c", "Upgrade", "/ws", 426)]
    public async Task Upgrade_is_a_list_in_any_case_and_a_refusal_blames_what_is_wrong(string upgrade, string connection, string path,
        int status)
    {
        using var server = ChatServer.Start();
        using RawPeer peer = await RawPeer.RequestAsync(server.Port, $"""
            GET {path} HTTP/1.1
            Host: localhost
            Connection: {connection}
            Upgrade: {upgrade}
            Sec-WebSocket-Version: 13
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
            """);
        Assert.That(peer.Answer, Does.StartWith($"HTTP/1.1 {status} "));
        if (status == 400)
            Assert.That(System.Text.Encoding.UTF8.GetString(await peer.ReadAsync(160)),
                Does.Contain("the Connection header must list Upgrade").And.Not.Contain("Sec-WebSocket-Key"));
    }

    [TestCase("/healthz"), TestCase("/readyz"), TestCase("/metrics"), TestCase("/messages"), TestCase("/events"), TestCase("/"),
        TestCase("/chat.js")]
    public async Task Whatever_answers_GET_answers_HEAD_with_the_same_head(string path)
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage get = await http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead);
        using HttpResponseMessage head = await http.SendAsync(new HttpRequestMessage(HttpMethod.Head, path));
        Assert.That((head.StatusCode, $"{head.Content.Headers.ContentType}", $"{head.Headers.CacheControl}"),
            Is.EqualTo((get.StatusCode, $"{get.Content.Headers.ContentType}", $"{get.Headers.CacheControl}")));
        Assert.That(await head.Content.ReadAsByteArrayAsync(), Is.Empty);
    }
}
