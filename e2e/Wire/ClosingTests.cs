using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>RFC 6455 sections 5.5.1 and 7.1.1: the close frame is the last, and TCP ends in order after it.</summary>
public sealed class ClosingTests
{
    const string Chat = "\nSec-WebSocket-Protocol: chat.v1";

    static readonly byte[] s_fault = ClientFrame.Of(0x83, []);

    [Test]
    public async Task What_the_pump_offers_after_the_close_frame_is_not_sent()
    {
        using var server = ChatServer.Start();
        using RawPeer gone = await RawPeer.UpgradeAsync(server.Port, more: Chat);
        using Peer typist = await Peer.ChatAsync(server, "name=Ana"), witness = await Peer.ChatAsync(server);
        await witness.ReceiveAsync("hello");
        await gone.WriteAsync(s_fault);
        await ReceiveToCloseAsync(gone);
        await typist.SayAsync("""{"type":"typing"}""");
        await witness.ReceiveAsync("typing"); // and so the pump has come by the other, too
        await typist.SayAsync("k", "after");
        await witness.ReceiveMessageAsync();
        await EndsAsync(gone);
    }

    [Test]
    public async Task An_answer_that_comes_after_the_close_frame_is_not_sent()
    {
        var (clock, store) = (new FakeTimeProvider(), new GatedStore());
        using var server = ChatServer.StartWith(services => services.AddSingleton<TimeProvider>(clock).AddSingleton<IMessageStore>(store));
        using RawPeer peer = await RawPeer.UpgradeAsync(server.Port, more: Chat);
        await peer.SayAsync("""{"type":"say","key":"k","text":"x"}""");
        while (!(await peer.ReceiveAsync()).StartsWith("""{"type":"message""", StringComparison.Ordinal)) { }
        store.Shut();
        await peer.SayAsync("""{"type":"say","key":"k","text":"x"}"""); // to be answered with logged
        await peer.WriteAsync(s_fault);
        await clock.PassUntilAsync(ReceiveToCloseAsync(peer)); // which waits for the store, but not for long
        store.Open();
        using Peer other = await Peer.ChatAsync(server);
        await other.SayAsync("other", "the store is back");
        await other.ReceiveTextsAsync(2);
        await EndsAsync(peer);
    }

    [Test]
    public async Task A_peer_that_ends_nothing_after_our_close_frame_is_cut_off_after_a_moment()
    {
        var clock = new FakeTimeProvider();
        using var server = ChatServer.StartWith(clock);
        using RawPeer stays = await RawPeer.UpgradeAsync(server.Port);
        await stays.WriteAsync(s_fault);
        await ReceiveToCloseAsync(stays);
        await EndsAsync(stays); // our side has ended; the peer's has not
        Assert.That(await clock.PassUntilAsync(ClientsAsync(server, 0)), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(2)));
    }

    [Test]
    public async Task A_reader_that_comes_late_gets_all_of_an_answer_although_the_connection_closes_after_it()
    {
        using var server = ChatServer.Start(("MessagesPerSecond", 0));
        using Peer talker = await Peer.PlainAsync(server);
        for (int i = 0; i < 500; i++)
            await talker.SayAsync($"{i} {new string('x', 10_000)}");
        await talker.ReceiveTextsAsync(500, plain: true);
        using RawPeer late =
            await RawPeer.RequestAsync(server.Port, $"GET /messages?last=500 HTTP/1.1\nHost: 127.0.0.1:{server.Port}\nConnection: close",
                receiveBuffer: 4096);
        using var http = new HttpClient { BaseAddress = server.Http };
        Assert.That((await http.GetAsync("/healthz")).StatusCode, Is.EqualTo(HttpStatusCode.OK)); // the other is stuck by now
        string answer = Encoding.UTF8.GetString(await late.ReadToEndAsync());
        Assert.That(answer, Does.Contain("\"text\":\"499 ").And.EndWith("\r\n0\r\n\r\n").Or.EndWith("]}"));
    }

    static async Task ClientsAsync(ChatServer server, int count)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        while (!(await http.GetStringAsync("/metrics", TestContext.CurrentContext.CancellationToken))
            .Contains($"\nchatminimal_clients {count}\n", StringComparison.Ordinal)) { }
    }

    // To the end of the close frame, and no further.
    static async Task ReceiveToCloseAsync(RawPeer peer)
    {
        while ((await peer.ReadFrameAsync()).First != 0x88) { }
    }

    // In order: no reset, and nothing before it.
    static async Task EndsAsync(RawPeer peer) =>
        Assert.That(async () => await peer.ReadAsync(1), Throws.InstanceOf<EndOfStreamException>().And.Not.InstanceOf<SocketException>());
}
