using System.Text.RegularExpressions;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class RestartTests(Profile profile) : PageTest(profile), IDisposable
{
    readonly ChatFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Test]
    public async Task A_restart_under_three_open_pages_is_one_blink_of_the_status()
    {
        Expected = NoConnection;
        ChatServer server = Serve(ChatServer.StartWith(_folder));
        Person ana = await OpenAsync(server), zoe = await OpenAsync(server), luc = await OpenAsync(server);
        Person[] people = [ana, zoe, luc];
        foreach (Person person in people)
        {
            await person.IsConnectedAsync();
            await person.Page.EvaluateAsync("""
                () => {
                  globalThis.states = [];
                  connection.addEventListener("state", ({ detail: { state } }) => states.push(state));
                }
                """);
        }
        string[] before = ["avant, Ana", "avant, Zoé", "avant, Luc"];
        for (int i = 0; i < people.Length; i++)
        {
            await people[i].SayAsync(before[i]);
            foreach (Person person in people)
                await person.SeesAsync(before[..(i + 1)]);
        }

        await server.DisposeAsync();
        foreach (Person person in people)
            await Expect(person.Status).ToHaveTextAsync(new Regex("Reconnexion|Connexion"));
        await ana.SayAsync("pendant, Ana 1");
        await ana.SayAsync("pendant, Ana 2");
        await zoe.SayAsync("pendant, Zoé");
        await Expect(ana.Pending).ToHaveCountAsync(2);
        await Expect(zoe.Pending).ToHaveCountAsync(1);
        await Expect(luc.Pending).ToHaveCountAsync(0);
        server = Serve(server.StartAgain());

        foreach (Person person in people)
        {
            await person.IsConnectedAsync();
            await Expect(person.Messages).ToHaveCountAsync(6);
            await Expect(person.Pending).ToHaveCountAsync(0);
        }
        await luc.SayAsync("après, Luc");
        foreach (Person person in people)
            await Expect(person.Messages.Last).ToHaveTextAsync("après, Luc");

        string[] seen = [.. await luc.Messages.AllTextContentsAsync()];
        Assert.That(seen[..3], Is.EqualTo(before));
        Assert.That(seen[3..6], Is.EquivalentTo((string[])["pendant, Ana 1", "pendant, Ana 2", "pendant, Zoé"]));
        Assert.That(seen.Where(text => text.StartsWith("pendant, Ana", StringComparison.Ordinal)), Is.Ordered,
            "what one said is in the order it was said");
        Assert.That(seen, Has.Length.EqualTo(7));
        Person late = await OpenAsync(server);
        foreach (Person person in (Person[])[.. people, late])
        {
            await person.SeesAsync(seen);
            await Expect(person.Log).Not.ToContainTextAsync("Le salon a recommencé à zéro"); // the file kept the log, and which one it is
        }
        foreach (Person person in people)
        {
            string[] states = await person.Page.EvaluateAsync<string[]>("() => states");
            Assert.That(states.Count(state => state == "connected"), Is.EqualTo(1), string.Join(' ', states));
            Assert.That(states[^1], Is.EqualTo("connected"));
        }
    }
}
