using System.Buffers.Binary;
using System.Net.WebSockets;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>Claims about time are made on a clock of the test's own: nothing happens before its time, however busy the machine.</summary>
public sealed class DisturbanceTests
{
    static readonly string s_filler = new('x', 8 * 1024);

    [TestCase("chat.v1"), TestCase("plain")]
    public async Task A_peer_that_stops_reading_delays_nobody_and_misses_nothing(string dialect)
    {
        const int Count = 2000; // 16 MB: more than any buffer between, far more than the window
        // Where no time passes nobody is given up
        using var server = ChatServer.StartWith(new FakeTimeProvider(), ("MessagesPerSecond", 0));
        using RawPeer slow =
            await RawPeer.UpgradeAsync(server.Port, more: dialect == "plain" ? "" : "\nSec-WebSocket-Protocol: chat.v1",
                receiveBuffer: 4096);
        using Peer quick = await Peer.PlainAsync(server);

        for (int i = 0; i < Count; i++)
        {
            await quick.SayAsync($"{i}:{s_filler}");
            Assert.That(await quick.ReceiveAsync(), Does.StartWith($"Message d'un client : {i}:"));
        }

        for (int i = 0; i < Count;)
        {
            string heard = await slow.ReceiveAsync();
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
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock, ("MessagesPerSecond", 0), ("KeepAliveSeconds", 3600));
        using RawPeer stuck = await RawPeer.UpgradeAsync(server.Port, receiveBuffer: 4096);
        using Peer witness = await Peer.ChatAsync(server);
        for (int i = 0; i < 1000; i++)
        {
            await witness.SayAsync($"k{i}", $"{i}:{s_filler}");
            await witness.ReceiveMessageAsync();
        }
        Assert.That(await clock.PassUntilAsync(IsAloneAsync(witness)), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(10)));

        for (int i = 0; ; i++)
        {
            (byte first, byte[] payload) = await stuck.ReadFrameAsync();
            if (first == 0x88)
            {
                Assert.That(payload, Is.EqualTo((byte[])[0x03, 0xF5, .. "nothing was read for 10 s"u8]), "1013");
                break;
            }
            Assert.That(Encoding.UTF8.GetString(payload), Does.StartWith($"Message d'un client : {i}:"), "whole and in order up to there");
        }

        static async Task IsAloneAsync(Peer witness)
        {
            while ((int)(await witness.ReceiveAsync("presence"))["online"]! != 1) { }
        }
    }

    [Test]
    public async Task A_dead_peer_is_let_go()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock);
        using RawPeer dead = await RawPeer.UpgradeAsync(server.Port); // never answers a ping
        Task<byte[]> hearing = dead.ReadToEndAsync();
        Assert.That(await clock.PassUntilAsync(hearing), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(30)),
            "15 of silence, and as many for the pong");
        Assert.That(await hearing, Is.Not.Empty.And.All.AnyOf((byte)0x89, (byte)0x00), "pings, and then the end");
    }

    [Test]
    public async Task A_silent_peer_that_answers_pings_stays()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock);
        using RawPeer silent = await RawPeer.UpgradeAsync(server.Port);
        for (int pings = 0; pings < 5; pings++)
        {
            Task<(byte First, byte[] Payload)> pinged = silent.ReadFrameAsync();
            Assert.That(await clock.PassUntilAsync(pinged), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(14)),
                "15 since it was last heard, which was at most a second ago when that was noticed");
            Assert.That((await pinged).First, Is.EqualTo(0x89));
            await silent.WriteAsync([.. ClientFrame.Of(0x8A, []), .. ClientFrame.Of(0x81, "here"u8)]);
            string heard = await silent.ReceiveAsync(); // once the pong was
            Assert.That(heard, Is.EqualTo("Message d'un client : here"));
        }
    }

    [Test]
    public async Task A_flooder_is_slowed_down_and_nobody_else_notices()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock, ("MessagesPerSecond", 20), ("Burst", 10));
        using RawPeer flooder = await RawPeer.UpgradeAsync(server.Port);
        using Peer other = await Peer.PlainAsync(server);
        await flooder.WriteAsync([.. Enumerable.Range(0, 60).SelectMany(i => RawPeer.Frame(0x81, Encoding.ASCII.GetBytes($"flood {i}")))]);

        List<string> flood = await other.ReceiveTextsAsync(10, plain: true);
        await other.SayAsync("me");
        flood.AddRange(await UntilAsync("me"));
        Assert.That(flood, Has.Count.LessThanOrEqualTo(12), "the burst, and then nothing: others do not wait behind the flood");

        Task<List<string>> rest = UntilAsync("flood 59");
        Assert.That(await clock.PassUntilAsync(rest, TimeSpan.FromMilliseconds(100)), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(2.3)),
            "50 messages beyond the burst, 20 a second");
        Assert.That(flood.Count + (await rest).Count, Is.EqualTo(61), "slowed down, not cut short");

        async Task<List<string>> UntilAsync(string last)
        {
            var heard = new List<string>();
            do
                heard.AddRange(await other.ReceiveTextsAsync(1, plain: true));
            while (heard[^1] != $"Message d'un client : {last}");
            return heard;
        }
    }

    [Test]
    public async Task Half_a_message_is_not_waited_for_for_ever()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock, ("KeepAliveSeconds", 3600));
        using RawPeer half = await RawPeer.UpgradeAsync(server.Port);
        await half.WriteAsync(ClientFrame.Of(0x81, Encoding.ASCII.GetBytes(s_filler))[..100]);
        Task<(byte First, byte[] Payload)> closed = half.ReadFrameAsync();
        Assert.That(await clock.PassUntilAsync(closed), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(10)));
        Assert.That((await closed).First, Is.EqualTo(0x88));
        Assert.That(BinaryPrimitives.ReadUInt16BigEndian((await closed).Payload), Is.EqualTo(1008));
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
        Assert.That(await witness.ReceiveAsync(), Is.EqualTo("Message d'un client : whole"));
    }
}
