using System.Diagnostics;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class ShutdownTests
{
    [TestCase("TERM"), TestCase("HUP"), TestCase("INT"), Platform(Exclude = "Win", Reason = "no such signals")]
    public async Task At_each_signal_to_stop_a_client_is_told_1001(string signal)
    {
        if (Libc.Ignores(signal)) // as under nohup; a server that starts here inherits it
            Assert.Ignore($"SIG{signal} is ignored by what runs the tests");
        using var server = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--Chat:Database=");
        string started = await server.ReadUntilAsync("Serveur WebSocket démarré sur ws://127.0.0.1:");
        using Peer peer = await Peer.ConnectAsync(new Uri(started[started.IndexOf("ws://", StringComparison.Ordinal)..]), "chat.v1");
        await peer.ReceiveAsync("hello");
        server.Signal(signal);
        while (await peer.ReceiveAsync() is not null) { } // a presence, perhaps
        Assert.That((int)peer.CloseStatus!, Is.EqualTo(1001));
        await peer.CloseAsync();
        Assert.That((await server.EndAsync()).Code, Is.Zero);
    }

    [TestCase(200, 1), TestCase(300, 3, Description = "in two slices"), Platform(Exclude = "Win", Reason = "no SIGTERM")]
    public async Task At_SIGTERM_all_sockets_are_told_1001_and_the_process_is_gone_within_two_seconds(int sockets, int pumps)
    {
        using var server = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--Chat:Database=", $"--Chat:Pumps={pumps}");
        string started = await server.ReadUntilAsync("Serveur WebSocket démarré sur ws://127.0.0.1:");
        var address = new Uri(started[started.IndexOf("ws://", StringComparison.Ordinal)..]);
        Peer[] peers = await Task.WhenAll(Enumerable.Range(0, sockets).Select(i =>
            Peer.ConnectAsync(address, i % 2 == 0 ? "chat.v1" : null)));
        var wereReceived = new TaskCompletionSource();
        await peers[1].SayAsync("last words");
        Task<List<string?>>[] hearing = [.. peers.Select(async peer =>
        {
            var heard = new List<string?>();
            do
            {
                heard.Add(await peer.ReceiveAsync());
                if (heard[^1]?.Contains("last words", StringComparison.Ordinal) == true)
                    wereReceived.TrySetResult(); // by one; the others have a right to them, too
            }
            while (heard[^1] is not null);
            return heard;
        })];
        await server.ReadUntilAsync($"Total clients : {sockets}");
        await wereReceived.Task;

        long start = Stopwatch.GetTimestamp();
        server.Signal("TERM");
        (int code, _, string error) = await server.EndAsync();
        TimeSpan took = Stopwatch.GetElapsedTime(start);

        List<string?>[] heard = await Task.WhenAll(hearing);
        Assert.That(peers.Select(peer => (int?)peer.CloseStatus), Is.All.EqualTo(1001));
        Assert.That(peers.Select(peer => peer.CloseReason), Is.All.EqualTo("the server is shutting down"));
        Assert.That(heard.Select(words => words.Count(word => word?.Contains("last words", StringComparison.Ordinal) == true)),
            Is.All.EqualTo(1));
        Assert.That((code, error), Is.EqualTo((0, "")));
        Assert.That(took, Is.LessThan(TimeSpan.FromSeconds(15)),
            "two on a machine that is not busy; the framework alone would hang for thirty");
    }

    [Test, Platform(Exclude = "Win", Reason = "no SIGTERM")]
    public async Task A_peer_that_does_not_answer_cannot_hold_up_the_shutdown()
    {
        using var server = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--Chat:Database=");
        string started = await server.ReadUntilAsync("Serveur WebSocket démarré sur ws://127.0.0.1:");
        int port = new Uri(started[started.IndexOf("ws://", StringComparison.Ordinal)..]).Port;
        using RawPeer mute = await RawPeer.UpgradeAsync(port);
        await server.ReadUntilAsync("Total clients : 1");

        long start = Stopwatch.GetTimestamp();
        server.Signal("TERM");
        Assert.That((await server.EndAsync()).Code, Is.Zero);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(15)));
        byte[] last = await mute.ReadToEndAsync();
        Assert.That(last[..4], Is.EqualTo(new byte[] { 0x88, 29, 0x03, 0xE9 }), "it was told, all the same");
    }

    [TestCase("--Chat:MaxMessageBytes", "0", "MaxMessageBytes")]
    [TestCase("--Chat:MaxRooms", "many", "Chat:MaxRooms")]
    [TestCase("--Chat:MaxMesageBytes", "5", "MaxMesageBytes")]
    public async Task What_the_operator_got_wrong_is_told_in_one_line(string option, string value, string told)
    {
        using var server = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--Chat:Database=", option, value);
        (int code, string output, string error) = await server.EndAsync();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(output, Is.Empty);
        Assert.That(error, Does.StartWith("chatminimal: ").And.Contain(told));
        Assert.That(error.TrimEnd('\n'), Does.Not.Contain("\n"));
    }

    [Test]
    public async Task A_port_that_is_taken_is_told_in_one_line()
    {
        using var first = ChatServer.Start();
        using var second = BuiltProcess.Server("Development", "--urls", $"http://127.0.0.1:{first.Port}", "--Chat:Database=");
        Assert.That(await second.EndAsync(),
            Is.EqualTo((1, "", $"chatminimal: Failed to bind to address http://127.0.0.1:{first.Port}: address already in use.\n")));
    }
}
