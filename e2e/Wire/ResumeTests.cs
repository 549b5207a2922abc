using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class ResumeTests
{
    [Test]
    public async Task After_a_cut_one_hears_exactly_what_was_missed()
    {
        using var server = ChatServer.Start();
        using Peer talker = await Peer.ChatAsync(server);
        Peer reader = await Peer.ChatAsync(server);
        long last = 0;
        for (int round = 0; round < 10; round++)
        {
            for (int i = 0; i < 10; i++)
                await talker.SayAsync($"{round}-{i}", $"{round}:{i}");
            for (int i = 0; i < round; i++) // the cut comes each time at another place
                Assert.That((long)(await reader.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(++last));
            reader.Cut();
            reader = await Peer.ChatAsync(server, $"epoch={reader.Epoch}&after={last}");
        }
        while (last < 100)
            Assert.That((long)(await reader.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(++last));
        await talker.SayAsync("end", "end");
        Assert.That((long)(await reader.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(101));
    }

    [TestCase("epoch=another&after=5", 10)]
    [TestCase("after=5", 10)]
    [TestCase("epoch=EPOCH&after=21", 10)]
    [TestCase("epoch=EPOCH&after=20&last=3", null)]
    [TestCase("epoch=EPOCH&after=9223372036854775807&last=3", 3)]
    [TestCase("epoch=EPOCH&after=0", 20)]
    public async Task An_after_of_another_log_or_beyond_its_end_is_void(string query, int? expected)
    {
        using var server = ChatServer.Start();
        using Peer talker = await Peer.ChatAsync(server);
        await talker.ReceiveAsync("hello");
        for (int i = 1; i <= 20; i++)
            await talker.SayAsync($"k{i}", $"{i}");
        await talker.ReceiveTextsAsync(20);

        string last = query.Contains("last", StringComparison.Ordinal) ? "" : "&last=10";
        using Peer peer = await Peer.ChatAsync(server, query.Replace("EPOCH", talker.Epoch, StringComparison.Ordinal) + last);

        await talker.SayAsync("end", "end");
        Assert.That((long)(await peer.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(21 - (expected ?? 0)));
    }

    [TestCase(true), TestCase(false)]
    public async Task What_is_no_longer_kept_is_told_as_a_gap_after_a_resume_and_only_then(bool isInTheWindow)
    {
        using var server = ChatServer.Start(("KeepMessages", 10));
        using Peer talker = await Peer.ChatAsync(server);
        await talker.ReceiveAsync("hello");
        for (int i = 1; i <= 100; i++)
        {
            await talker.SayAsync($"k{i}", $"{i}");
            await talker.ReceiveMessageAsync();
        }
        if (!isInTheWindow)
            await LetTheWindowGoAsync(server, talker);

        using Peer back = await Peer.ChatAsync(server, $"epoch={talker.Epoch}&after=5");
        JsonObject hello = await back.ReceiveAsync("hello");
        Assert.That((int)hello["first"]!, Is.EqualTo(91));
        Assert.That((await back.ReceiveAsync("message", "gap")).ToJsonString(), Is.EqualTo("""{"type":"gap","from":6,"to":90}"""));
        for (int seq = 91; seq <= 100; seq++)
            Assert.That((int)(await back.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(seq));

        using Peer newcomer = await Peer.ChatAsync(server, "last=50");
        Assert.That((int)(await newcomer.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(91));
    }

    [Test]
    public async Task A_long_history_comes_from_the_store_and_goes_over_into_live_without_a_seam()
    {
        using var server = ChatServer.Start(("WindowBytes", 1024), ("MessagesPerSecond", 0));
        using Peer talker = await Peer.ChatAsync(server);
        await talker.ReceiveAsync("hello");
        const int Before = 3000, During = 1000;
        string filler = new('x', 200);
        for (int i = 1; i <= Before; i++)
            await talker.SayAsync($"k{i}", $"{i}:{filler}");
        await talker.ReceiveTextsAsync(Before);

        using Peer reader = await Peer.ChatAsync(server, $"epoch={talker.Epoch}&after=0");
        var talking = Task.Run(async () =>
        {
            for (int i = Before + 1; i <= Before + During; i++)
                await talker.SayAsync($"k{i}", $"{i}:{filler}");
        });

        for (int seq = 1; seq <= Before + During; seq++)
        {
            JsonObject said = await reader.ReceiveAsync("message", "gap");
            Assert.That((int)said["seq"]!, Is.EqualTo(seq));
            Assert.That((string)said["text"]!, Does.StartWith($"{seq}:"));
        }
        await talking;
    }

    [Test]
    public async Task An_epoch_is_the_same_while_the_log_lives_and_another_after_a_restart_without_a_store()
    {
        using var server = ChatServer.Start();
        using Peer first = await Peer.ChatAsync(server);
        await first.SayAsync("k", "one");
        await first.ReceiveMessageAsync();
        await first.CloseAsync();
        using Peer second = await Peer.ChatAsync(server);
        await second.ReceiveMessageAsync();
        Assert.That(second.Epoch, Is.EqualTo(first.Epoch), "the room was empty in between, its log was not");
        await server.DisposeAsync();
        using ChatServer again = server.StartAgain();
        using Peer third = await Peer.ChatAsync(again, $"epoch={first.Epoch}&after=1");
        Assert.That((int)(await third.ReceiveAsync("hello"))["next"]!, Is.EqualTo(1));
        Assert.That(third.Epoch, Is.Not.EqualTo(first.Epoch));
    }

    // When the last connection leaves, the room ends, and with it what memory held of it; the store's part stays.
    static async Task LetTheWindowGoAsync(ChatServer server, Peer talker)
    {
        await talker.CloseAsync();
        int online;
        do
        {
            using Peer probe = await Peer.ChatAsync(server);
            online = (int)(await probe.ReceiveAsync("hello"))["online"]!;
            await probe.CloseAsync();
        }
        while (online > 1);
    }
}
