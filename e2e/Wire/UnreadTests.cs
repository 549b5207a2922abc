using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>What waits for a peer waits by progress: one that takes nothing is let go soon, one that takes a little stays.</summary>
public sealed class UnreadTests
{
    static readonly string s_filler = new('x', 8 * 1024);

    static async Task<ChatServer> FilledAsync(params (string Option, object Value)[] options)
    {
        var server = ChatServer.Start([("MessagesPerSecond", 0), .. options]);
        using Peer talker = await Peer.PlainAsync(server);
        for (int i = 0; i < 2000; i++) // 16 MB: more than the kernel's buffers between
        {
            await talker.SayAsync($"{i}:{s_filler}");
            await talker.ReceiveAsync();
        }
        return server;
    }

    [TestCase("/messages?last=1000"), TestCase("/events?last=2000")]
    public async Task An_answer_that_nobody_reads_is_given_up(string target)
    {
        using ChatServer server = await FilledAsync(("SendTimeoutSeconds", 1));
        using RawPeer reader = await RawPeer.RequestAsync(server.Port, $"GET {target} HTTP/1.1\nHost: 127.0.0.1", receiveBuffer: 4096);
        Assert.That(reader.Answer, Does.StartWith("HTTP/1.1 200 "));
        await reader.ResetAsync();
    }

    [TestCase("plain"), TestCase("chat.v1")]
    public async Task A_slow_reader_that_reads_on_stays_however_long_it_takes(string dialect)
    {
        using ChatServer server = await FilledAsync(("SendTimeoutSeconds", 2), ("KeepAliveSeconds", 2));
        string more = dialect == "plain" ? "" : "\nSec-WebSocket-Protocol: chat.v1";
        using RawPeer slow = await RawPeer.UpgradeAsync(server.Port, "/ws?last=2000", more, receiveBuffer: 4096);
        using Peer witness = await Peer.ChatAsync(server);
        if (dialect == "plain")
            for (int i = 0; i < 1000; i++)
                await witness.SayAsync($"k{i}", s_filler);

        // A little each tenth of a second, for several times the timeouts, and then the rest.
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        int frames = 0;
        for (int i = 0; i < 80; i++)
        {
            await pace.WaitForNextTickAsync();
            Assert.That((await slow.ReadFrameAsync()).First, Is.Not.EqualTo(0x88), "it reads 80 KB a second, and is no dead peer");
            frames++;
        }
        while (frames < 900)
        {
            (byte first, _) = await slow.ReadFrameAsync();
            Assert.That(first, Is.Not.EqualTo(0x88));
            frames++;
        }
    }

    [Test]
    public async Task Half_a_message_that_does_not_go_on_is_given_up_with_1008()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock, ("SendTimeoutSeconds", 10), ("KeepAliveSeconds", 3600));
        using RawPeer half = await RawPeer.UpgradeAsync(server.Port), witness = await RawPeer.UpgradeAsync(server.Port);
        await half.WriteAsync(RawPeer.Frame(0x01, Encoding.ASCII.GetBytes(s_filler)));
        await half.WriteAsync(RawPeer.Frame(0x89, [])); // what the pong says: the fragment has been received
        Assert.That((await half.ReadFrameAsync()).First, Is.EqualTo(0x8A));
        Task<(byte First, byte[] Payload)> ending = half.ReadFrameAsync();
        // Two seconds after its close frame the server resets the connection, so the clock stops once the frame is here.
        for (int second = 0; second < 200 && !ending.IsCompleted && !half.HasBytes; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await witness.WriteAsync(RawPeer.Frame(0x89, [])); // whoever is silent, or whole, stays
            await witness.ReadFrameAsync();
        }
        (byte first, byte[] payload) = await ending;
        Assert.That((first, Encoding.UTF8.GetString(payload.AsSpan(2))), Is.EqualTo(((byte)0x88, "the message comes too slowly")));
        Assert.That(payload[..2], Is.EqualTo(new byte[] { 0x03, 0xF0 }));
    }

    [Test]
    public async Task A_connection_that_never_says_anything_is_let_go()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock);
        using RawPeer silent = await RawPeer.ConnectAsync(server.Port);
        Task<byte[]> ending = silent.ReadToEndAsync();
        using var http = new HttpClient { BaseAddress = server.Http };
        await http.GetStringAsync("/healthz"); // it has been accepted by now
        clock.Advance(TimeSpan.FromSeconds(11));
        Assert.That(await ending, Is.Empty);
        Assert.That(await http.GetStringAsync("/healthz"), Is.EqualTo("ok\n"), "one that has spoken stays");
    }

    [TestCase("GET /messages HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")]
    [TestCase("POST /messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 50000\r\n\r\nhalf a body")]
    public async Task Half_a_request_that_comes_a_byte_a_second_is_given_up(string half)
    {
        using var server = ChatServer.Start();
        using RawPeer slow = await RawPeer.ConnectAsync(server.Port);
        await slow.WriteAsync(Encoding.ASCII.GetBytes(half));
        Task<byte[]> ending = slow.ReadToEndAsync();
        using var pace = new PeriodicTimer(TimeSpan.FromSeconds(1));
        try
        {
            while (!ending.IsCompleted && await pace.WaitForNextTickAsync())
                await slow.WriteAsync([(byte)'x']);
        }
        catch (System.Net.Sockets.SocketException) { } // it has been given up
        Assert.That(Encoding.ASCII.GetString(await ending), Does.StartWith("HTTP/1.1 408 ").Or.Empty);
    }

    [Test]
    public async Task Of_TCP_connections_there_are_never_more_than_the_limit()
    {
        using var server = ChatServer.Start(("MaxTcpConnections", 3));
        using RawPeer one = await RawPeer.UpgradeAsync(server.Port), two = await RawPeer.UpgradeAsync(server.Port),
            three = await RawPeer.UpgradeAsync(server.Port);
        using (RawPeer four = await RawPeer.RequestAsync(server.Port, "GET /healthz HTTP/1.1\nHost: 127.0.0.1"))
            Assert.That(four.Answer, Does.StartWith("HTTP/1.1 503 ").And.Contain("Retry-After: "));
        await one.WriteAsync(RawPeer.Frame(0x88, []));
        await one.ReadToEndAsync();
        one.Dispose();
        long start = Stopwatch.GetTimestamp();
        string answer;
        do
        {
            using RawPeer again = await RawPeer.RequestAsync(server.Port, "GET /healthz HTTP/1.1\nHost: 127.0.0.1");
            answer = again.Answer;
            Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(20)));
        }
        while (!answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal));
    }

    [Test]
    public async Task After_a_close_frame_of_ours_the_peer_sees_the_end_of_TCP_at_once()
    {
        using var server = ChatServer.StartWith(new FakeTimeProvider()); // time stands still: nothing here waits for a timeout
        using RawPeer peer = await RawPeer.UpgradeAsync(server.Port);
        await peer.WriteAsync(RawPeer.Frame(0x82, "binary"u8));
        byte[] last = await peer.ReadToEndAsync();
        Assert.That(last[..4], Is.EqualTo(new byte[] { 0x88, 20, 0x03, 0xEB }));
    }

    [Test]
    public async Task Pings_are_answered_twenty_a_second_and_the_rest_waits()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock, ("KeepAliveSeconds", 3600));
        using RawPeer peer = await RawPeer.UpgradeAsync(server.Port);
        await peer.WriteAsync([.. Enumerable.Range(0, 100).SelectMany(i => RawPeer.Frame(0x89, [(byte)i]))]);
        for (int i = 0; i < 21; i++)
            Assert.That((await peer.ReadFrameAsync()).Payload, Is.EqualTo(new[] { (byte)i }));
        Task<(byte, byte[] Payload)> next = peer.ReadFrameAsync();
        using Peer witness = await Peer.PlainAsync(server);
        await witness.SayAsync("meanwhile");
        await witness.ReceiveAsync();
        Assert.That(Encoding.UTF8.GetString((await next).Payload), Is.EqualTo("Message d'un client : meanwhile"), "and no pong before it");
        for (int i = 21; i < 100; i++)
        {
            Task<(byte, byte[] Payload)> pong = peer.ReadFrameAsync();
            while (!pong.IsCompleted)
            {
                clock.Advance(TimeSpan.FromMilliseconds(50));
                await Task.Yield();
            }
            Assert.That((await pong).Payload, Is.EqualTo(new[] { (byte)i }));
        }
    }

    [Test]
    public async Task However_many_type_each_client_is_sent_one_frame_a_second()
    {
        const int Count = 100; // enough to tell N from N times N
        using var server = ChatServer.Start();
        using var all = new DisposableList<Peer>();
        for (int i = 0; i < Count; i++)
            all.Add(await Peer.ChatAsync(server, $"name=p{i}&last=0"));
        using Peer watcher = await Peer.ChatAsync(server, "name=watcher&last=0");
        await watcher.ReceiveAsync("hello");
        long start = Stopwatch.GetTimestamp();
        foreach (Peer typist in all)
            await typist.SayAsync("""{"type":"typing"}""");
        int frames = 0;
        System.Text.Json.Nodes.JsonObject told;
        do
        {
            told = await watcher.ReceiveAsync("typing");
            frames++;
        }
        while (told["names"] is not { } names || names.AsArray().Count < 3);
        Assert.That(told["names"]!.AsArray(), Has.Count.EqualTo(3), "of many, three");
        Assert.That(frames, Is.LessThanOrEqualTo(2 + (int)Stopwatch.GetElapsedTime(start).TotalSeconds));
    }

    sealed class DisposableList<T> : List<T>, IDisposable where T : IDisposable
    {
        public void Dispose() => ForEach(item => item.Dispose());
    }
}
