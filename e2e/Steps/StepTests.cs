using System.Net.WebSockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Steps;

/// <summary>
/// What the essay says of each step. The laptop is a client that is connected and does not read, as one whose lid is closed.
/// </summary>
public sealed partial class StepTests
{
    const int ReceiveBuffer = 4096; // bytes: a laptop's, so that little fits between it and the server
    const int Filling = 1500; // messages of 8000 bytes: more than any buffer between
    static readonly TimeSpan s_silence = TimeSpan.FromSeconds(2);
    static readonly string s_filler = new('x', 8000);

    [TestCase("1-naive"), TestCase("2-queues"), TestCase("3-log")]
    public async Task The_course_s_clients_work_with_each_step(string name)
    {
        using Step step = await Step.StartAsync(name);
        foreach (string path in (string[])["", "/ws"])
        {
            Assert.That(await CourseClient.HelloAsync(new Uri($"ws://{step.Address.Authority}{path}")),
                Is.EqualTo("Message d'un client : Hello, WebSocket Server!"));
            await step.JoinedAsync();
        }

        using Peer ana = await ConnectAsync(step), zoe = await ConnectAsync(step);
        foreach (string text in (string[])["", "déjà vu 😀", "deux\nlignes"])
        {
            await ana.SayAsync(text);
            Assert.That(await ana.ReceiveAsync(), Is.EqualTo("Message d'un client : " + text));
            Assert.That(await zoe.ReceiveAsync(), Is.EqualTo("Message d'un client : " + text));
        }
        await ana.SayAsync("en mor"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: false);
        await ana.SayAsync("ceaux"u8.ToArray(), WebSocketMessageType.Text);
        Assert.That(await zoe.ReceiveAsync(), Is.EqualTo("Message d'un client : en morceaux"));

        await ana.CloseAsync(); // returns when the server has answered with a close frame
        await zoe.SayAsync(new byte[8 * 1024 + 1], WebSocketMessageType.Text);
        Assert.That(await zoe.ReceiveAsync(), Is.Null, "too long: closed");
    }

    [TestCase("1-naive"), TestCase("2-queues"), TestCase("3-log")]
    public async Task Each_step_stops_when_it_is_told_to_with_clients_connected(string name)
    {
        using Step step = await Step.StartAsync(name);
        using Peer ana = await ConnectAsync(step);
        using RawPeer laptop = await UpgradeAsync(step, receiveBuffer: ReceiveBuffer);
        int code = await step.StopAsync();
        if (!OperatingSystem.IsWindows()) // where there is no signal to stop with
            Assert.That(code, Is.Zero);
    }

    [Test]
    public async Task One_laptop_that_sleeps_silences_the_room_of_step_1()
    {
        using Step step = await Step.StartAsync("1-naive");
        using Peer ana = await ConnectAsync(step);
        using RawPeer laptop = await UpgradeAsync(step, receiveBuffer: ReceiveBuffer);
        Task echo;
        int said = 0;
        do
        {
            Assert.That(said++, Is.LessThan(Filling), "the buffers are full at some point");
            await ana.SayAsync(s_filler);
            echo = ana.ReceiveAsync();
        }
        while (await ComesAsync(echo));

        using Peer zoe = await ConnectAsync(step);
        await zoe.SayAsync("Ana ?"); // waits for the laptop
        await zoe.SayAsync("Il y a quelqu'un ?"); // is not even received
        Task heard = UntilAsync(zoe, "Message d'un client : Il y a quelqu'un ?");
        Assert.That(await ComesAsync(heard), Is.False, "nobody hears anything");

        while (await laptop.ReceiveAsync() != "Message d'un client : Il y a quelqu'un ?") { } // the lid opens
        await heard;
    }

    [Test]
    public async Task One_laptop_that_sleeps_loses_messages_in_step_2_and_is_told_how_many()
    {
        using Step step = await Step.StartAsync("2-queues");
        using Peer ana = await ConnectAsync(step);
        using RawPeer laptop = await UpgradeAsync(step, receiveBuffer: ReceiveBuffer);
        int said = 0;
        while (said < Filling)
            await SayAndReceiveAsync(ana, said++); // nobody waits for the laptop

        Task<int> reading = ReadAsync(laptop); // the lid opens
        while (!reading.IsCompleted)
            await SayAndReceiveAsync(ana, said++); // how much was lost is told with the next message
        Assert.That(await reading, Is.GreaterThan(0));

        // Reads consecutive messages up to the first loss, and the message after it; returns how many were lost.
        static async Task<int> ReadAsync(RawPeer laptop)
        {
            for (int next = 0, lost = 0; ;)
            {
                string text = await laptop.ReceiveAsync();
                if (Loss().Match(text) is { Success: true } loss)
                {
                    lost += int.Parse(loss.Groups[1].ValueSpan, null); // what it is told with may be lost in its turn
                    continue;
                }
                Assert.That(NumberOf(text), Is.EqualTo(next++ + lost));
                if (lost > 0)
                    return lost;
            }
        }
    }

    [Test]
    public async Task One_laptop_that_sleeps_costs_nobody_anything_in_step_3_and_misses_nothing()
    {
        using Step step = await Step.StartAsync("3-log");
        using Peer ana = await ConnectAsync(step);
        using RawPeer laptop = await UpgradeAsync(step, receiveBuffer: ReceiveBuffer);
        for (int i = 0; i < Filling; i++)
            await SayAndReceiveAsync(ana, i);
        for (int i = 0; i < Filling; i++)
            Assert.That(NumberOf(await laptop.ReceiveAsync()), Is.EqualTo(i));
    }

    [Test]
    public async Task What_step_3_no_longer_retains_is_a_gap_in_JSON_and_the_end_in_plain_text()
    {
        const int Retained = 2000; // messages
        using Step step = await Step.StartAsync("3-log");
        using Peer ana = await ConnectAsync(step);
        using RawPeer plain = await UpgradeAsync(step, receiveBuffer: ReceiveBuffer);
        using RawPeer json = await UpgradeAsync(step, more: "\nSec-WebSocket-Protocol: chat.v1", receiveBuffer: ReceiveBuffer);
        for (int i = 0; i < Filling; i++)
            await SayAndReceiveAsync(ana, i);
        for (int i = 0; i < Retained; i++)
        {
            await ana.SayAsync("après");
            await ana.ReceiveAsync();
        }

        int next = 0;
        InvalidOperationException? closed = await Assert.ThrowsAsync<InvalidOperationException>(async () =>
        {
            for (; ; next++)
                Assert.That(NumberOf(await plain.ReceiveAsync()), Is.EqualTo(next));
        });
        Assert.That(closed!.Message, Does.StartWith("closed"));
        Assert.That(next, Is.LessThan(Filling));

        Assert.That((string)(await ReceiveAsync())["type"]!, Is.EqualTo("hello"));
        JsonObject said = await ReceiveAsync();
        for (int seq = 1; (string)said["type"]! == "message"; seq++, said = await ReceiveAsync())
            Assert.That((int)said["seq"]!, Is.EqualTo(seq));
        Assert.That((string)said["type"]!, Is.EqualTo("gap"));
        Assert.That((int)said["to"]!, Is.EqualTo(Filling), "what is still retained begins there");
        for (int seq = Filling + 1; seq <= Filling + Retained; seq++)
            Assert.That((int)(await ReceiveAsync())["seq"]!, Is.EqualTo(seq));

        async Task<JsonObject> ReceiveAsync() => JsonNode.Parse(await json.ReceiveAsync())!.AsObject();
    }

    [Test]
    public async Task A_client_that_comes_back_to_step_3_reads_on_where_it_was_and_says_nothing_twice()
    {
        using Step step = await Step.StartAsync("3-log");
        using Peer zoe = await ConnectAsync(step);
        string epoch;
        using (Peer ana = await ConnectAsync(step, "chat.v1"))
        {
            await ana.ReceiveAsync("hello");
            epoch = ana.Epoch;
            await ana.SayAsync("k1", "avant");
            Assert.That((int)(await ana.ReceiveMessageAsync())["seq"]!, Is.EqualTo(1));
            ana.Cut();
        }
        await zoe.SayAsync("pendant");

        using Peer back = await ConnectAsync(step, "chat.v1", $"epoch={epoch}&after=1");
        JsonObject hello = await back.ReceiveAsync("hello");
        Assert.That((bool)hello["resumed"]!, Is.True);
        await back.SayAsync("k1", "avant"); // as if it had not seen it
        await back.SayAsync("k2", "après");
        Assert.That(await back.ReceiveTextsAsync(2), Is.EqualTo(new[] { "pendant", "après" }));

        using Peer late = await ConnectAsync(step, "chat.v1", "epoch=another&after=1");
        Assert.That((bool)(await late.ReceiveAsync("hello"))["resumed"]!, Is.False);
        Assert.That(await late.ReceiveTextsAsync(3), Is.EqualTo(new[] { "avant", "pendant", "après" }));
    }

    [Test]
    public async Task A_restart_loses_the_log_of_step_3_and_not_that_of_the_server()
    {
        Step step = await Step.StartAsync("3-log");
        string epoch = await SayAsync(step.Address);
        await step.StopAsync();
        step.Dispose();
        using Step again = await step.StartAgainAsync();
        using Peer after = await ConnectAsync(again, "chat.v1", $"epoch={epoch}&after=0");
        JsonObject hello = await after.ReceiveAsync("hello");
        Assert.That(((bool)hello["resumed"]!, (int)hello["next"]!), Is.EqualTo((false, 1)), "another log, and empty");
        Assert.That(after.Epoch, Is.Not.EqualTo(epoch));

        using var folder = new ChatFolder();
        var server = ChatServer.StartWith(folder);
        epoch = await SayAsync(server.WebSocket);
        await server.DisposeAsync();
        await using ChatServer serverAgain = server.StartAgain();
        using Peer afterIt = await Peer.ChatAsync(serverAgain, $"epoch={epoch}&after=0");
        Assert.That(await afterIt.ReceiveTextsAsync(1), Is.EqualTo(new[] { "à retenir" }));
        Assert.That(afterIt.Epoch, Is.EqualTo(epoch));

        static async Task<string> SayAsync(Uri address)
        {
            using Peer ana = await Peer.ConnectAsync(address, "chat.v1");
            await ana.ReceiveAsync("hello");
            await ana.SayAsync("k", "à retenir");
            await ana.ReceiveMessageAsync();
            return ana.Epoch;
        }
    }

    static async Task<Peer> ConnectAsync(Step step, string? subprotocol = null, string query = "")
    {
        Peer peer = await Peer.ConnectAsync(step.Address, subprotocol, query);
        await step.JoinedAsync();
        return peer;
    }

    static async Task<RawPeer> UpgradeAsync(Step step, string more = "", int receiveBuffer = 0)
    {
        RawPeer peer = await RawPeer.UpgradeAsync(step.Port, more: more, receiveBuffer: receiveBuffer);
        await step.JoinedAsync();
        return peer;
    }

    static async Task SayAndReceiveAsync(Peer peer, int number)
    {
        await peer.SayAsync($"{number}:{s_filler}");
        Assert.That(NumberOf(await peer.ReceiveAsync()), Is.EqualTo(number));
    }

    static int NumberOf(string? text) => int.Parse(Numbered().Match(text!).Groups[1].ValueSpan, null);

    static async Task UntilAsync(Peer peer, string text)
    {
        while (await peer.ReceiveAsync() is { } heard)
            if (heard == text)
                return;
        throw new InvalidOperationException("closed");
    }

    static async Task<bool> ComesAsync(Task expected)
    {
        try
        {
            await expected.WaitAsync(s_silence);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    [GeneratedRegex(@"^Message d'un client : (\d+):x")]
    private static partial Regex Numbered();

    [GeneratedRegex(@"^\((\d+) messages perdus\)$")]
    private static partial Regex Loss();
}
