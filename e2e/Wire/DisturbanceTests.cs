using System.Diagnostics;
using System.Net.WebSockets;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class DisturbanceTests
{
    static readonly string s_filler = new('x', 8 * 1024);

    [TestCase("chat.v1"), TestCase("plain")]
    public async Task A_peer_that_stops_reading_delays_nobody_and_misses_nothing(string dialect)
    {
        const int Count = 2000; // 16 MB: more than any buffer between, far more than the window
        using var server = ChatServer.Start(("MessagesPerSecond", 0), ("SendTimeoutSeconds", 60), ("KeepAliveSeconds", 60));
        using RawPeer slow = await RawPeer.UpgradeAsync(server.Port, more: dialect == "plain" ? "" : "\nSec-WebSocket-Protocol: chat.v1", receiveBuffer: 4096);
        using Peer quick = await Peer.PlainAsync(server);

        for (int i = 0; i < Count; i++)
        {
            await quick.SayAsync($"{i}:{s_filler}");
            Assert.That(await quick.HearAsync(), Does.StartWith($"Message d'un client : {i}:"));
        }

        for (int i = 0; i < Count;)
        {
            string heard = await slow.HearAsync();
            if (dialect == "plain")
                Assert.That(heard, Does.StartWith($"Message d'un client : {i++}:"));
            else if (heard.StartsWith("""{"type":"message",""", StringComparison.Ordinal))
                Assert.That(heard, Does.StartWith($$"""{"type":"message","seq":{{++i}},"""));
            else
                Assert.That(heard, Does.Not.StartWith("""{"type":"gap"""));
        }
    }

    [Test]
    public async Task A_peer_that_reads_nothing_for_too_long_is_given_up_and_told_so_if_it_reads_after_all()
    {
        using var server = ChatServer.Start(("MessagesPerSecond", 0), ("SendTimeoutSeconds", 2));
        using RawPeer stuck = await RawPeer.UpgradeAsync(server.Port, receiveBuffer: 4096);
        using Peer witness = await Peer.ChatAsync(server);
        for (int i = 0; i < 1000; i++)
        {
            await witness.SayAsync($"k{i}", $"{i}:{s_filler}");
            await witness.HearMessageAsync();
        }
        while ((int)(await witness.HearAsync("presence"))["online"]! != 1) { }

        for (int i = 0; ; i++)
        {
            (byte first, byte[] payload) = await stuck.ReadFrameAsync();
            if (first == 0x88)
            {
                Assert.That(payload, Is.EqualTo((byte[])[0x03, 0xF5, .. "nothing was read for 2 s"u8]), "1013");
                break;
            }
            Assert.That(System.Text.Encoding.UTF8.GetString(payload), Does.StartWith($"Message d'un client : {i}:"), "whole and in order up to there");
        }
    }

    [Test]
    public async Task A_dead_peer_is_let_go()
    {
        using var server = ChatServer.Start(("KeepAliveSeconds", 1));
        using RawPeer dead = await RawPeer.UpgradeAsync(server.Port); // never answers a ping
        using Peer witness = await Peer.ChatAsync(server);
        while ((int)(await witness.HearAsync("presence"))["online"]! != 1) { }
        byte[] heard = await dead.ReadToEndAsync();
        Assert.That(heard, Is.Not.Empty.And.All.AnyOf((byte)0x89, (byte)0x00), "pings, and then the end");
    }

    [Test]
    public async Task A_silent_peer_that_answers_pings_stays()
    {
        using var server = ChatServer.Start(("KeepAliveSeconds", 1));
        using Peer silent = await Peer.PlainAsync(server);
        Task<string?> hearing = silent.HearAsync(); // a pending receive answers pings
        using Peer witness = await Peer.ChatAsync(server);
        for (int beats = 0; beats < 4; beats++)
            await witness.HearAsync("beat");
        await witness.SayAsync("k", "you still there?");
        Assert.That(await hearing, Is.EqualTo("Message d'un client : you still there?"));
    }

    [Test]
    public async Task A_flooder_is_slowed_down_and_nobody_else_notices()
    {
        using var server = ChatServer.Start(("MessagesPerSecond", 20), ("Burst", 10), ("KeepAliveSeconds", 1));
        using RawPeer flooder = await RawPeer.UpgradeAsync(server.Port);
        using Peer other = await Peer.PlainAsync(server);
        byte[] flood = [.. Enumerable.Range(0, 60).SelectMany(i => RawPeer.Frame(0x81, System.Text.Encoding.ASCII.GetBytes($"flood {i}")))];
        long start = Stopwatch.GetTimestamp();
        await flooder.WriteAsync(flood);

        await other.SayAsync("me");
        var heard = new List<string?>();
        do
            heard.Add(await other.HearAsync());
        while (heard[^1] != "Message d'un client : me");
        Assert.That(heard, Has.Count.LessThan(40), "not behind the flood");

        while (heard[^1] != "Message d'un client : flood 59")
            heard.Add(await other.HearAsync());
        Assert.That(heard, Has.Count.EqualTo(61), "slowed down, not cut short");
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThan(TimeSpan.FromSeconds(2.3)), "50 messages beyond the burst, 20 a second");
    }

    [Test]
    public async Task A_cable_pulled_in_the_middle_of_a_message_disturbs_nobody()
    {
        using var server = ChatServer.Start();
        using Peer witness = await Peer.PlainAsync(server);
        for (int i = 0; i < 20; i++)
        {
            using Peer torn = await Peer.PlainAsync(server);
            await torn.SayAsync("half a mess"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: false);
            torn.Cut();
        }
        await witness.SayAsync("whole");
        Assert.That(await witness.HearAsync(), Is.EqualTo("Message d'un client : whole"));
    }
}
