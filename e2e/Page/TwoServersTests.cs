using ChatMinimal.E2E.Postgres;
using NUnit.Framework;

namespace ChatMinimal.E2E.Page;

/// <summary>Two people at one address, behind which there are two servers; one server dies.</summary>
[Platform(Exclude = "Win", Reason = "nginx")]
public sealed class TwoServersTests : PageTest
{
    [Test]
    public async Task When_one_of_two_servers_dies_both_pages_go_on_at_the_other_and_nothing_is_lost_or_said_twice()
    {
        Expected = NoConnection;
        string database = await (await PostgresServer.SharedAsync()).CreateAsync();
        ChatServer survivor = Serve(Servers.Start(database));
        int port = PostgresServer.FreePort();
        using var victim = BuiltProcess.Server("Development", "--urls", $"http://127.0.0.1:{port}", "--ConnectionStrings:Chat", database);
        await victim.ReadUntilAsync("démarré sur ws");
        victim.Ignore();
        using var folder = new ChatFolder();
        using Balancer balancer = await Balancer.StartAsync(Path.GetDirectoryName(folder.File)!, survivor.Port, port);

        // nginx takes them in turns, so that one page is at each.
        Person ana = await OpenAsync(balancer.Address), zoe = await OpenAsync(balancer.Address);
        await ana.IsConnectedAsync();
        await zoe.IsConnectedAsync();
        await ana.SayAsync("avant, Ana");
        await zoe.SeesAsync("avant, Ana");
        await zoe.SayAsync("avant, Zoé");
        await ana.SeesAsync("avant, Ana", "avant, Zoé");

        victim.Kill();
        await victim.ExitAsync();
        await ana.SayAsync("pendant, Ana");
        await zoe.SayAsync("pendant, Zoé");
        foreach (Person person in (Person[])[ana, zoe])
        {
            await person.IsConnectedAsync();
            await Microsoft.Playwright.Assertions.Expect(person.Pending).ToHaveCountAsync(0);
            await Microsoft.Playwright.Assertions.Expect(person.Messages).ToHaveCountAsync(4);
        }
        Assert.That(await ana.Messages.AllTextContentsAsync(), Is.EqualTo(await zoe.Messages.AllTextContentsAsync()));
        Assert.That((await survivor.TextsAsync()).Order(),
            Is.EqualTo(new[] { "avant, Ana", "avant, Zoé", "pendant, Ana", "pendant, Zoé" }.Order()));
    }
}
