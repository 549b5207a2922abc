using ChatMinimal.E2E.Steps;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>web/resume.html: between the minimal page, which forgets, and the real one.</summary>
public sealed class ResumePageTests : PageTest, IDisposable
{
    readonly ChatFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SetUp]
    public void A_connection_that_fails_is_reported_by_the_browser() => Expected = ["WebSocket connection to"];

    [Test]
    public async Task The_page_that_resumes_survives_a_restart_with_each_message_once()
    {
        ChatServer server = Serve(ChatServer.StartWith(_folder));
        Person ana = await OpenAsync(server, "resume.html"), zoe = await OpenAsync(FromDisk($"127.0.0.1:{server.Port}"));
        foreach (Person person in (Person[])[ana, zoe])
            await Expect(person.Status).ToHaveTextAsync("Connecté");
        await ana.SayAsync("avant");
        await zoe.SeesAsync("avant");

        await server.DisposeAsync();
        foreach (Person person in (Person[])[ana, zoe])
            await Expect(person.Status).Not.ToHaveTextAsync("Connecté");
        await zoe.SayAsync("pendant 1");
        await zoe.SayAsync("<b>pendant 2</b>");
        server = Serve(server.StartAgain());
        await ana.SeesAsync("avant", "pendant 1", "<b>pendant 2</b>");
        await zoe.SeesAsync("avant", "pendant 1", "<b>pendant 2</b>");

        await ana.SayAsync(" "); // chat.v1 has no empty messages
        await Expect(ana.Messages.Last).ToContainTextAsync("message refusé");
        await ana.SayAsync("après");
        await zoe.SeesAsync("avant", "pendant 1", "<b>pendant 2</b>", "après");
        using Peer log = await Peer.ChatAsync(server);
        Assert.That(await log.ReceiveTextsAsync(4), Is.EqualTo(new[] { "avant", "pendant 1", "<b>pendant 2</b>", "après" }));
    }

    [Test]
    public async Task The_page_that_resumes_begins_again_with_step_3_which_loses_its_log()
    {
        Step step = await Step.StartAsync("3-log");
        Person ana = await OpenAsync(FromDisk(step.Address.Authority));
        await ana.SayAsync("avant");
        await ana.SeesAsync("avant");

        await step.StopAsync();
        step.Dispose();
        await Expect(ana.Status).Not.ToHaveTextAsync("Connecté");
        await ana.SayAsync("pendant");
        using Step again = await step.StartAgainAsync();
        await ana.SeesAsync("pendant");
    }

    static string FromDisk(string server) =>
        $"{new Uri(Path.Combine(BuiltProcess.PathOf("Root"), "web", "resume.html")).AbsoluteUri}?server={server}";
}
