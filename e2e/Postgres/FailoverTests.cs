using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>The primary dies and a standby takes over: with all that was acknowledged, or as another log.</summary>
[Platform(Exclude = "Win", Reason = "signals")]
public sealed class FailoverTests
{
    [Test]
    public async Task A_synchronous_standby_takes_over_and_nobody_sees_more_than_a_pause()
    {
        await using PostgresServer primary = await PostgresServer.StartAsync();
        await using PostgresServer standby = await PostgresServer.StartAsync(await primary.BackUpAsync(isStandby: true));
        string both = PostgresServer.Connection(primary, standby);
        using ChatServer a = Servers.StartImpatient(both), b = Servers.StartImpatient(both);
        await primary.SetSynchronousAsync();
        using Peer chat = await Peer.ChatAsync(a, "last=0"), other = await Peer.ChatAsync(b, "last=0");
        for (int i = 1; i <= 20; i++)
            await chat.SayUntilReceivedAsync($"{i}", $"{i}");
        await chat.SayAsync("21", "21");
        await primary.KillAsync();
        await standby.PromoteAsync();
        for (int i = 21; i <= 40; i++)
            Assert.That(await chat.SayUntilReceivedAsync($"{i}", $"{i}"), Is.EqualTo(i));
        string[] all = [.. Enumerable.Range(1, 40).Select(i => $"{i}")];
        Assert.That(await other.ReceiveTextsAsync(40), Is.EqualTo(all));
        Assert.That((await a.TextsAsync(), await b.TextsAsync()), Is.EqualTo((all, all)));
        Assert.That(other.Epoch, Is.EqualTo(chat.Epoch));
        using Peer late = await Peer.ChatAsync(b, $"epoch={chat.Epoch}&after=10");
        Assert.That((bool?)(await late.ReceiveAsync("hello"))["resumed"], Is.True, "it is the log that it was");
    }

    [Test]
    public async Task A_standby_without_the_tail_is_another_log_for_everyone_who_saw_it()
    {
        await using PostgresServer primary = await PostgresServer.StartAsync();
        await using PostgresServer standby = await PostgresServer.StartAsync(await primary.BackUpAsync(isStandby: true));
        string both = PostgresServer.Connection(primary, standby);
        using ChatServer a = Servers.StartImpatient(both), b = Servers.StartImpatient(both);
        using Peer chat = await Peer.ChatAsync(a, "last=0"), other = await Peer.ChatAsync(b, "last=0");
        for (int i = 1; i <= 3; i++)
            await chat.SayUntilReceivedAsync($"{i}", $"{i}");
        await Servers.UntilAsync(async () => (long?)await PostgresServer.ExecuteAsync(standby.Connection("postgres"),
            "SELECT next FROM chat.room") == 4);
        await PostgresServer.ExecuteAsync(standby.Connection("postgres"), "ALTER SYSTEM SET primary_conninfo = ''");
        await PostgresServer.ExecuteAsync(standby.Connection("postgres"), "SELECT pg_reload_conf()");
        await Servers.UntilAsync(async () => await PostgresServer.ExecuteAsync(primary.Connection("postgres"),
            "SELECT count(*) FROM pg_stat_replication") is 0L);
        for (int i = 4; i <= 6; i++)
            await chat.SayUntilReceivedAsync($"{i}", $"{i}");
        await other.ReceiveTextsAsync(6);
        string epoch = other.Epoch;
        await primary.KillAsync();
        await standby.PromoteAsync();
        foreach (Peer peer in (Peer[])[chat, other])
        {
            JsonObject hello = await peer.ReceiveAsync(TimeSpan.FromMinutes(1), "hello");
            Assert.That((string)hello["epoch"]!, Is.Not.EqualTo(epoch));
            Assert.That((bool?)hello["resumed"], Is.Not.True);
            Assert.That(await peer.ReceiveTextsAsync(3), Is.EqualTo(new[] { "1", "2", "3" }));
        }
        Assert.That(other.Epoch, Is.EqualTo(chat.Epoch), "one other log");
        Assert.That(await chat.SayUntilReceivedAsync("4", "4"), Is.EqualTo(4), "what was lost is said again, as a page does");
        using Peer late = await Peer.ChatAsync(b, $"epoch={epoch}&after=6");
        Assert.That((bool?)(await late.ReceiveAsync("hello"))["resumed"], Is.Null);
    }

    [Test]
    public async Task On_a_hot_standby_alone_a_server_reads_and_refuses_and_after_the_promotion_it_writes()
    {
        await using PostgresServer primary = await PostgresServer.StartAsync();
        using ChatServer first = Servers.StartImpatient(primary.Connection("postgres"));
        using Peer chat = await Peer.ChatAsync(first, "last=0");
        await chat.SayUntilReceivedAsync("1", "1");
        await using PostgresServer standby = await PostgresServer.StartAsync(await primary.BackUpAsync(isStandby: true));
        using ChatServer server = Servers.StartImpatient(standby.Connection("postgres"));
        await server.IsReadyAsync(isReady: false);
        using Peer peer = await Peer.ChatAsync(server);
        Assert.That(await peer.ReceiveTextsAsync(1), Is.EqualTo(new[] { "1" }));
        await peer.SayAsync("2", "2");
        Assert.That((string)(await peer.ReceiveAsync(TimeSpan.FromMinutes(1), "refused"))["reason"]!, Is.EqualTo("store_unavailable"));
        await primary.KillAsync();
        await standby.PromoteAsync();
        Assert.That(await peer.SayUntilReceivedAsync("2", "2"), Is.EqualTo(2));
        await server.IsReadyAsync();
    }
}
