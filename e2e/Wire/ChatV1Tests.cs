using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class ChatV1Tests
{
    [Test]
    public async Task Hello_comes_first_and_says_where_the_room_is()
    {
        using var server = ChatServer.Start();
        using Peer first = await Peer.ChatAsync(server, "room=cours");
        string hello = (await first.ReceiveAsync())!;
        string epoch = (string)JsonNode.Parse(hello)!["epoch"]!;
        Assert.That(hello, Is.EqualTo(
            $$$"""{"type":"hello","room":"cours","epoch":"{{{epoch}}}","first":1,"next":1,"online":1,"limits":{"message":65536,"name":32}}"""));
        Assert.That(epoch, Is.Not.Empty);

        await first.SayAsync("a", "un");
        await first.ReceiveMessageAsync();
        using Peer second = await Peer.ChatAsync(server, "room=cours");
        Assert.That(await second.ReceiveAsync(), Is.EqualTo(
            $$$"""{"type":"hello","room":"cours","epoch":"{{{epoch}}}","first":1,"next":2,"online":2,"limits":{"message":65536,"name":32}}"""));
    }

    [Test]
    public async Task A_message_says_who_when_what_and_by_which_key()
    {
        using var server = ChatServer.Start();
        using Peer peer = await Peer.ChatAsync(server, "name=Ana");
        await peer.ReceiveAsync("hello");
        DateTime before = DateTime.UtcNow;
        await peer.SayAsync("k-1", "salut");
        JsonObject message = await peer.ReceiveMessageAsync();
        var at = (string)message["at"]!;
        Assert.That(message.ToJsonString(), Is.EqualTo($$"""{"type":"message","seq":1,"at":"{{at}}","name":"Ana","text":"salut","key":"k-1"}"""));
        Assert.That(at, Does.EndWith("Z"));
        Assert.That((DateTime)message["at"]!, Is.EqualTo(before).Within(TimeSpan.FromSeconds(10)));
    }

    [TestCase("", 50), TestCase("last=0", 0), TestCase("last=3", 3), TestCase("last=1000", 120)]
    public async Task History_is_as_long_as_one_asks(string query, int expected)
    {
        using var server = ChatServer.Start();
        using Peer talker = await Peer.ChatAsync(server);
        await SayAsync(talker, 1, 120);
        using Peer late = await Peer.ChatAsync(server, query);
        JsonObject hello = await late.ReceiveAsync("hello");
        Assert.That((int)hello["next"]!, Is.EqualTo(121));
        await talker.SayAsync("live", "live");
        for (int seq = 121 - expected; seq <= 121; seq++)
            Assert.That((int)(await late.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(seq), "history and live are one read");
    }

    [Test]
    public async Task A_key_said_a_hundred_times_is_one_message()
    {
        using var server = ChatServer.Start();
        Peer[] peers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Peer.ChatAsync(server)));
        await Task.WhenAll(peers.Select(async peer =>
        {
            for (int i = 0; i < 25; i++)
                await peer.SayAsync("same", "once");
        }));
        await peers[0].SayAsync("other", "end");
        int logged = 0;
        foreach (Peer peer in peers)
        {
            JsonObject said;
            int messages = 0;
            do
            {
                said = await peer.ReceiveAsync("message", "logged");
                if ((string)said["type"]! == "message")
                    messages++;
                else
                    Assert.That(said.ToJsonString(), Is.EqualTo("""{"type":"logged","key":"same","seq":1}""")
                        .And.Not.Null.And.Matches<string>(_ => ++logged > 0));
            }
            while ((string?)said["text"] != "end");
            Assert.That(messages, Is.EqualTo(2));
        }
        using Peer last = await Peer.ChatAsync(server);
        Assert.That((int)(await last.ReceiveAsync("hello"))["next"]!, Is.EqualTo(3));
        Assert.That(logged, Is.LessThanOrEqualTo(99));
    }

    [TestCase("""not json""", """{"type":"refused","reason":"malformed","detail":"not JSON"}""")]
    [TestCase("""[1]""", """{"type":"refused","reason":"malformed","detail":"not a JSON object"}""")]
    [TestCase("""{"type":"say","key":"k","text":"a"} b""", """{"type":"refused","key":"k","reason":"malformed","detail":"not JSON"}""")]
    [TestCase("""{"type":"shout","key":"k"}""", """{"type":"refused","key":"k","reason":"malformed","detail":"type must be say, name or typing"}""")]
    [TestCase("""{"key":"k"}""", """{"type":"refused","key":"k","reason":"malformed","detail":"type must be say, name or typing"}""")]
    [TestCase("""{"type":"say","text":"a"}""", """{"type":"refused","reason":"malformed","detail":"key must be 1 to 64 printable ASCII characters, without spaces"}""")]
    [TestCase("""{"type":"say","key":7,"text":"a"}""", """{"type":"refused","reason":"malformed","detail":"key must be 1 to 64 printable ASCII characters, without spaces"}""")]
    [TestCase("""{"type":"say","key":"a b","text":"a"}""", """{"type":"refused","key":"a b","reason":"malformed","detail":"key must be 1 to 64 printable ASCII characters, without spaces"}""")]
    [TestCase("""{"type":"say","key":"","text":"a"}""", """{"type":"refused","key":"","reason":"malformed","detail":"key must be 1 to 64 printable ASCII characters, without spaces"}""")]
    [TestCase("""{"type":"say","key":"k"}""", """{"type":"refused","key":"k","reason":"malformed","detail":"text must be a string of Unicode characters"}""")]
    [TestCase("""{"type":"say","key":"k","text":{"a":[1]}}""", """{"type":"refused","key":"k","reason":"malformed","detail":"text must be a string of Unicode characters"}""")]
    [TestCase("""{"type":"say","key":"k","text":"\ud83d"}""", """{"type":"refused","key":"k","reason":"malformed","detail":"text must be a string of Unicode characters"}""")]
    [TestCase("""{"type":"say","key":"k","text":" \n\t "}""", """{"type":"refused","key":"k","reason":"empty","detail":"the text is empty"}""")]
    [TestCase("""{"type":"say","key":"k","text":"0123456789x"}""", """{"type":"refused","key":"k","reason":"too_long","detail":"the text is longer than 10 bytes of UTF-8"}""")]
    [TestCase("""{"type":"say","key":"k","text":"éééééé"}""", """{"type":"refused","key":"k","reason":"too_long","detail":"the text is longer than 10 bytes of UTF-8"}""")]
    [TestCase("""{"type":"name"}""", """{"type":"refused","reason":"malformed","detail":"name must be a string of Unicode characters"}""")]
    [TestCase("""{"type":"name","name":"a\nb"}""", """{"type":"refused","reason":"bad_name","detail":"a name has at most 32 characters, none of them a control or text direction character"}""")]
    [TestCase("""{"type":"name","name":"a\u202eb"}""", """{"type":"refused","reason":"bad_name","detail":"a name has at most 32 characters, none of them a control or text direction character"}""")]
    [TestCase("""{"type":"name","name":"012345678901234567890123456789012"}""", """{"type":"refused","reason":"bad_name","detail":"a name has at most 32 characters, none of them a control or text direction character"}""")]
    public async Task What_cannot_be_done_is_refused_with_its_reason_and_the_socket_stays_open(string said, string answer)
    {
        using var server = ChatServer.Start(("MaxMessageBytes", 10), ("KeepAliveSeconds", 60));
        using Peer peer = await Peer.ChatAsync(server);
        await peer.ReceiveAsync("hello");
        await peer.SayAsync(said);
        Assert.That((await peer.ReceiveAsync("refused")).ToJsonString(), Is.EqualTo(JsonNode.Parse(answer)!.ToJsonString()));
        await peer.SayAsync("good", "0123456789");
        Assert.That((int)(await peer.ReceiveMessageAsync())["seq"]!, Is.EqualTo(1), "what was refused is not in the log");
    }

    [Test]
    public async Task Without_a_store_a_message_is_refused_and_can_be_sent_again_later()
    {
        var store = new GatedStore { IsDown = true };
        using var server = ChatServer.StartWith(services => services.AddSingleton<IMessageStore>(store));
        using Peer peer = await Peer.ChatAsync(server);
        await peer.SayAsync("k", "hello?");
        Assert.That((await peer.ReceiveAsync("refused")).ToJsonString(), Is.EqualTo(
            """{"type":"refused","key":"k","reason":"store_unavailable","detail":"the server cannot commit messages now, send it again later"}"""));
        store.IsDown = false;
        await peer.SayAsync("k", "hello?");
        Assert.That(await peer.ReceiveTextsAsync(1), Is.EqualTo(new[] { "hello?" }));
    }

    [Test]
    public async Task A_plain_message_waits_for_the_store_and_then_the_socket_is_closed_with_1013()
    {
        var (clock, store) = (new FakeTimeProvider(), new GatedStore { IsDown = true });
        using var server = ChatServer.StartWith(services => services.AddSingleton<IMessageStore>(store).AddSingleton<TimeProvider>(clock));
        using Peer peer = await Peer.PlainAsync(server);
        await peer.SayAsync("hello?");
        Task<string?> heard = peer.ReceiveAsync();
        Assert.That(await clock.PassUntilAsync(heard), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(10)));
        Assert.That(await heard, Is.Null);
        Assert.That(((int)peer.CloseStatus!, peer.CloseReason), Is.EqualTo((1013, "the server cannot commit messages now")));
    }

    [Test]
    public async Task Names_can_change_and_a_message_keeps_the_name_it_was_said_under()
    {
        using var server = ChatServer.Start();
        using Peer peer = await Peer.ChatAsync(server, "name=Ana");
        await peer.SayAsync("1", "one"); // before having read hello
        await peer.SayAsync("""{"type":"name","name":"Béa"}""");
        await peer.SayAsync("2", "two");
        await peer.SayAsync("""{"type":"name","name":""}""");
        await peer.SayAsync("3", "three");
        Assert.That((string?)(await peer.ReceiveMessageAsync())["name"], Is.EqualTo("Ana"));
        Assert.That((string?)(await peer.ReceiveMessageAsync())["name"], Is.EqualTo("Béa"));
        Assert.That((await peer.ReceiveMessageAsync()).ContainsKey("name"), Is.False);
    }

    [Test]
    public async Task Presence_tells_who_is_there_plain_clients_counted_at_most_once_a_second()
    {
        using var server = ChatServer.Start();
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        Assert.That(await PresenceAsync(ana, 1), Is.EqualTo("Ana"));
        using Peer plain = await Peer.PlainAsync(server);
        Assert.That(await PresenceAsync(ana, 2), Is.EqualTo("Ana"));
        using (Peer zoe = await Peer.ChatAsync(server, "name=Zo%C3%A9"))
        {
            Assert.That(await PresenceAsync(zoe, 3), Is.EqualTo("Ana,Zoé"));
            Assert.That(await PresenceAsync(ana, 3), Is.EqualTo("Ana,Zoé"));
            await zoe.CloseAsync();
        }
        Assert.That(await PresenceAsync(ana, 2), Is.EqualTo("Ana"));

        long start = Environment.TickCount64;
        for (int i = 0; i < 100; i++)
            await ana.SayAsync($$"""{"type":"name","name":"{{i}}"}""");
        int told = 0;
        string names;
        do
        {
            names = Names(await ana.ReceiveAsync("presence"));
            told++;
        }
        while (names != "99");
        Assert.That(told, Is.LessThanOrEqualTo(2 + (Environment.TickCount64 - start) / 1000));
    }

    [Test]
    public async Task Typing_is_told_to_the_others_and_not_to_its_author()
    {
        using var server = ChatServer.Start();
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        using Peer zoe = await Peer.ChatAsync(server, "name=Zoe");
        using Peer nameless = await Peer.ChatAsync(server);
        foreach (Peer listener in (Peer[])[zoe, nameless])
            await listener.ReceiveAsync("hello");
        for (int i = 0; i < 10; i++)
            await ana.SayAsync("""{"type":"typing"}""");
        Assert.That((await zoe.ReceiveAsync("typing", "message")).ToJsonString(), Is.EqualTo("""{"type":"typing","name":"Ana"}"""));
        await nameless.SayAsync("""{"type":"typing"}""");
        Assert.That((await ana.ReceiveAsync("typing", "message")).ToJsonString(), Is.EqualTo("""{"type":"typing","name":""}"""));
        Assert.That((await zoe.ReceiveAsync("typing", "message")).ToJsonString(), Is.EqualTo("""{"type":"typing","name":""}"""), "one a second and author");
        await ana.SayAsync("k", "done");
        Assert.That((string)(await ana.ReceiveAsync("typing", "message"))["type"]!, Is.EqualTo("message"), "one's own is not echoed");
    }

    [Test]
    public async Task A_beat_comes_after_silence_and_says_how_far_the_log_was_sent()
    {
        using var server = ChatServer.Start(("KeepAliveSeconds", 1));
        using Peer peer = await Peer.ChatAsync(server);
        await peer.SayAsync("k", "one");
        await peer.ReceiveMessageAsync();
        Assert.That((await peer.ReceiveAsync("beat", "message")).ToJsonString(), Is.EqualTo("""{"type":"beat","next":2}"""));
        Assert.That((await peer.ReceiveAsync("beat", "message")).ToJsonString(), Is.EqualTo("""{"type":"beat","next":2}"""));
    }

    static async Task<string> PresenceAsync(Peer peer, int online)
    {
        JsonObject presence;
        do
            presence = await peer.ReceiveAsync("presence");
        while ((int)presence["online"]! != online);
        return Names(presence);
    }

    static string Names(JsonObject presence) => string.Join(',', presence["names"]!.AsArray().Select(name => (string)name!));

    static async Task SayAsync(Peer peer, int from, int to)
    {
        for (int i = from; i <= to; i++)
            await peer.SayAsync($"k{i}", $"m{i}");
        for (int i = from; i <= to; i++)
            await peer.ReceiveMessageAsync();
    }
}
