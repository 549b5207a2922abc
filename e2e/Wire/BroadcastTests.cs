using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class BroadcastTests
{
    [Test]
    public async Task A_message_reaches_everyone_in_the_room_once_and_in_order_the_sender_included()
    {
        const int Each = 60; // under the burst a connection may say at once
        using var server = ChatServer.Start();
        Peer[] plain = [await Peer.PlainAsync(server), await Peer.PlainAsync(server), await Peer.PlainAsync(server)];
        Peer[] chat = [await Peer.ChatAsync(server), await Peer.ChatAsync(server)];

        await Task.WhenAll(
            [.. plain.Select(async (peer, who) =>
            {
                for (int i = 0; i < Each; i++)
                    await peer.SayAsync($"{who}:{i}");
            }),
            .. chat.Select(async (peer, who) =>
            {
                for (int i = 0; i < Each; i++)
                    await peer.SayAsync($"c{who}-{i}", $"c{who}:{i}");
            })]);

        List<string>[] heardPlain = await Task.WhenAll(plain.Select(peer => peer.ReceiveTextsAsync(5 * Each, plain: true)));
        List<string>[] heardChat = await Task.WhenAll(chat.Select(peer => peer.ReceiveTextsAsync(5 * Each)));
        List<string> order = heardChat[0];
        Assert.That(order, Is.Unique);
        Assert.That(heardChat[1], Is.EqualTo(order), "one order for all");
        foreach (List<string> heard in heardPlain)
            Assert.That(heard, Is.EqualTo(order.Select(text => $"Message d'un client : {text}")), "the same in both dialects");
        foreach (IGrouping<string, string> sender in order.GroupBy(text => text.Split(':')[0]))
            Assert.That(sender, Is.EqualTo(Enumerable.Range(0, Each).Select(i => $"{sender.Key}:{i}")), "nobody's words change places");

        await plain[0].SayAsync("fin");
        foreach (Peer peer in plain)
            Assert.That(await peer.ReceiveAsync(), Is.EqualTo("Message d'un client : fin"), "nothing came twice");
        foreach (Peer peer in chat)
            Assert.That((int)(await peer.ReceiveMessageAsync())["seq"]!, Is.EqualTo(5 * Each + 1));
    }

    [Test]
    public async Task Nobody_outside_the_room_hears_it()
    {
        using var server = ChatServer.Start();
        using Peer inside = await Peer.PlainAsync(server, "room=a");
        using Peer alsoInside = await Peer.ChatAsync(server, "room=a");
        using Peer outside = await Peer.PlainAsync(server, "room=b");
        using Peer byDefault = await Peer.PlainAsync(server);
        using Peer alsoByDefault = await Peer.PlainAsync(server, "room=salon");

        await inside.SayAsync("for a");
        Assert.That(await inside.ReceiveAsync(), Is.EqualTo("Message d'un client : for a"));
        Assert.That((string)(await alsoInside.ReceiveMessageAsync())["text"]!, Is.EqualTo("for a"));
        await outside.SayAsync("for b");
        Assert.That(await outside.ReceiveAsync(), Is.EqualTo("Message d'un client : for b"));
        await byDefault.SayAsync("for salon");
        Assert.That(await byDefault.ReceiveAsync(), Is.EqualTo("Message d'un client : for salon"));
        Assert.That(await alsoByDefault.ReceiveAsync(), Is.EqualTo("Message d'un client : for salon"));
    }

    [Test]
    public async Task The_plain_dialect_says_nothing_but_messages()
    {
        using var server = ChatServer.Start(("KeepAliveSeconds", 1));
        using (Peer before = await Peer.PlainAsync(server))
        {
            await before.SayAsync("history");
            await before.ReceiveAsync();
        }
        using Peer plain = await Peer.PlainAsync(server, "last=50&after=0");
        Task<string?> firstReceived = plain.ReceiveAsync();
        using Peer lively = await Peer.ChatAsync(server, "name=Ana");
        await lively.ReceiveAsync("hello");
        await lively.SayAsync("""{"type":"typing"}""");
        await lively.SayAsync("""{"type":"name","name":"Béa"}""");
        using (await Peer.ChatAsync(server, "name=Cid"))
            await lively.ReceiveAsync("beat"); // more than a second of comings, goings and silence
        await lively.ReceiveAsync("beat");

        await lively.SayAsync("k", "at last");

        Assert.That(await firstReceived, Is.EqualTo("Message d'un client (Béa) : at last"));
    }

    [Test]
    public async Task A_plain_client_hears_what_is_said_from_the_moment_it_is_connected()
    {
        using var server = ChatServer.Start(("MessagesPerSecond", 0));
        using Peer speaker = await Peer.PlainAsync(server);
        using var enough = new CancellationTokenSource();
        var speaking = Task.Run(async () =>
        {
            for (int i = 0; !enough.IsCancellationRequested; i++)
            {
                await speaker.SayAsync($"{i}");
                await speaker.ReceiveAsync();
            }
        });
        for (int round = 0; round < 30; round++)
        {
            using Peer late = await Peer.PlainAsync(server);
            await late.SayAsync("me");
            var heard = new List<string>();
            do
                heard.Add(await late.ReceiveAsync() ?? throw new InvalidOperationException("closed"));
            while (heard[^1] != "Message d'un client : me");
            int[] numbers = [.. heard[..^1].Where(text => !text.EndsWith("me", StringComparison.Ordinal))
                .Select(text => int.Parse(text.Split(' ')[^1], null))];
            Assert.That(numbers, Is.EqualTo(numbers.Select((_, i) => numbers[0] + i)), "no hole after the first");
        }
        await enough.CancelAsync();
        await speaking;
    }

    static readonly string[] s_texts =
    [
        "", " ", "one\ntwo\r\nthree", "naïve café — ½", "😀👩‍👩‍👧‍👦🏳️‍🌈", "שלום עולם مرحبا", "a\0b\u0001\u001b[31m",
            "line\u2028separator\u2029",
        "\ufeffmark", "\"quoted\" \\ </script>", "e\u0301", new string('x', 65_536), string.Concat(Enumerable.Repeat("é", 32_768)),
    ];

    [TestCaseSource(nameof(s_texts))]
    public async Task Messages_pass_byte_for_byte(string text)
    {
        using var server = ChatServer.Start();
        using Peer plain = await Peer.PlainAsync(server);
        using Peer chat = await Peer.ChatAsync(server);

        await plain.SayAsync(text);
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : " + text));
        Assert.That((string)(await chat.ReceiveMessageAsync())["text"]!, Is.EqualTo(text));
        if (string.IsNullOrWhiteSpace(text))
            return; // chat.v1 refuses it
        await chat.SayAsync("k", text);
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : " + text));
        Assert.That((string)(await chat.ReceiveMessageAsync())["text"]!, Is.EqualTo(text));
    }

    [Test]
    public async Task A_message_in_fragments_cut_inside_a_character_arrives_whole()
    {
        using var server = ChatServer.Start();
        using Peer plain = await Peer.PlainAsync(server);
        byte[] text = Encoding.UTF8.GetBytes("a😀é");
        for (int i = 0; i < text.Length; i++)
            await plain.SayAsync(text.AsMemory(i, 1), WebSocketMessageType.Text, endOfMessage: false);
        await plain.SayAsync(ReadOnlyMemory<byte>.Empty, WebSocketMessageType.Text);
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : a😀é"));
    }

    [Test]
    public async Task A_name_is_said_with_the_message()
    {
        using var server = ChatServer.Start();
        using Peer named = await Peer.PlainAsync(server, "name=" + Uri.EscapeDataString("Zoé <b>"));
        using Peer chat = await Peer.ChatAsync(server);
        await named.SayAsync("salut");
        Assert.That(await named.ReceiveAsync(), Is.EqualTo("Message d'un client (Zoé <b>) : salut"));
        Assert.That((string)(await chat.ReceiveMessageAsync())["name"]!, Is.EqualTo("Zoé <b>"));
    }

    [TestCase("/"), TestCase("/?room=salon"), TestCase("/ws")]
    public async Task A_client_of_the_course_connects_with_or_without_a_path(string target)
    {
        using var server = ChatServer.Start();
        using RawPeer peer = await RawPeer.UpgradeAsync(server.Port, target);
        Assert.That(peer.Answer, Does.StartWith("HTTP/1.1 101 "));
        Assert.That(peer.Answer, Does.Contain("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 section 1.3");
        await peer.SayAsync("Hello, WebSocket Server!");
        (byte first, byte[] payload) = await peer.ReadFrameAsync();
        Assert.That(first, Is.EqualTo(0x81));
        Assert.That(Encoding.UTF8.GetString(payload), Is.EqualTo("Message d'un client : Hello, WebSocket Server!"));
    }

    [Test]
    public async Task Two_rooms_full_of_talk_do_not_mix()
    {
        using var server = ChatServer.Start();
        string[] names = ["r0", "r1", "r2", "r3"];
        Peer[] peers = await Task.WhenAll(names.Select(name => Peer.ChatAsync(server, $"room={name}")));
        await Task.WhenAll(peers.Select(async (peer, room) =>
        {
            for (int i = 0; i < 100; i++)
                await peer.SayAsync($"k{i}", $"{names[room]}:{i}");
        }));
        for (int room = 0; room < names.Length; room++)
            for (int i = 0; i < 100; i++)
            {
                JsonObject message = await peers[room].ReceiveMessageAsync();
                Assert.That((string)message["text"]!, Is.EqualTo($"{names[room]}:{i}"));
                Assert.That((int)message["seq"]!, Is.EqualTo(i + 1));
            }
    }
}
