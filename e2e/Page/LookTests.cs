using System.Text.RegularExpressions;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

public sealed class LookTests : PageTest
{
    static readonly ViewportSize s_smallPhone = new() { Width = 320, Height = 640 }, s_desk = new() { Width = 1280, Height = 800 };

    [Test]
    public async Task Dark_is_dark_and_light_is_light()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person dark = await OpenAsync(server, "", new() { ColorScheme = ColorScheme.Dark }), light = await OpenAsync(server, "", new() { ColorScheme = ColorScheme.Light });
        await Expect(dark.Page.Locator("html")).ToHaveCSSAsync("background-color", "rgb(23, 25, 26)");
        await Expect(light.Page.Locator("html")).ToHaveCSSAsync("background-color", "rgb(251, 250, 248)");
    }

    [Test]
    public async Task On_a_small_phone_nothing_sticks_out_and_all_is_in_reach()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer other = await Peer.ChatAsync(server, "name=" + new string('W', 32));
        Person person = await OpenAsync(server, "?room=" + new string('m', 64), new() { ViewportSize = s_smallPhone, IsMobile = true, HasTouch = true });
        Person here = await OpenAsync(server, "", new() { ViewportSize = s_smallPhone, IsMobile = true, HasTouch = true });
        await other.SayAsync("k", new string('x', 500));
        await Expect(here.Messages).ToHaveCountAsync(1);
        await here.CallThemselvesAsync(new string('W', 32));
        await here.SayAsync("https://example.org/" + new string('y', 200));
        await Expect(here.Messages).ToHaveCountAsync(2);
        foreach (Person one in (Person[])[person, here])
        {
            await one.IsConnectedAsync();
            Assert.That(await one.Page.EvaluateAsync<int>("() => document.documentElement.scrollWidth"), Is.EqualTo(320));
            Assert.That(await one.Page.EvaluateAsync<bool>("() => document.getElementById('log').scrollWidth <= document.getElementById('log').clientWidth"));
            await Expect(one.Page.GetByRole(AriaRole.Button, new() { Name = "Envoyer" })).ToBeInViewportAsync(new() { Ratio = 1 });
            await Expect(one.Status).ToBeInViewportAsync(new() { Ratio = 1 });
            await Expect(one.Page.GetByText(new Regex("en ligne"))).ToBeInViewportAsync(new() { Ratio = 1 });
        }
    }

    [TestCase(ColorScheme.Light, 1280), TestCase(ColorScheme.Dark, 320)]
    public async Task Axe_finds_nothing_serious_in_any_state(ColorScheme scheme, int width)
    {
        Expected = "WebSocket connection to";
        ChatServer server = Serve(ChatServer.Start(("MaxMessageBytes", 200)));
        Person person = await OpenAsync(server, "", new() { ColorScheme = scheme, ViewportSize = width == 320 ? s_smallPhone : s_desk, BypassCSP = true });
        await person.IsConnectedAsync();
        await CheckAsync(person, "empty");

        string[] names = ["Ana", "Zoé", "Łukasz", "محمد", ""];
        foreach (string name in names)
        {
            using Peer peer = await Peer.ChatAsync(server, "name=" + Uri.EscapeDataString(name));
            await peer.SayAsync($"{name.Length}-{Uri.EscapeDataString(name).Length}", $"bonjour, voir https://example.org/{name.Length}");
            await peer.HearMessageAsync();
            await peer.CloseAsync();
        }
        await person.CallThemselvesAsync("Moi");
        await person.SayAsync("à moi");
        await Expect(person.Messages).ToHaveCountAsync(names.Length + 1);
        await person.Page.GetByText("en ligne").ClickAsync();
        await person.CallThemselvesAsync("trop\u202E");
        await person.Input.FillAsync(new string('x', 250));
        await CheckAsync(person, "busy, with a bad name and a text too long");

        await person.Page.EvaluateAsync("() => { connection.limits.message = 1000; }");
        await person.Input.PressAsync("Enter");
        await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Corriger" })).ToBeVisibleAsync();
        await CheckAsync(person, "a message refused");

        await server.DisposeAsync();
        await Expect(person.Status).ToHaveTextAsync(new Regex("Reconnexion|Connexion"));
        await person.SayAsync("en attente de départ");
        await Expect(person.Pending.First).ToBeVisibleAsync();
        await CheckAsync(person, "disconnected");
    }

    [Test]
    public async Task The_minimal_page_is_fit_for_everyone_too()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync($"{server.Http}minimal.html", new() { BypassCSP = true });
        await person.SayAsync("bonjour");
        await person.SeesAsync("Message d'un client : bonjour");
        await CheckAsync(person, "minimal");
    }

    static async Task CheckAsync(Person person, string state)
    {
        AxeResult result = await person.Page.RunAxe();
        IEnumerable<string> serious = result.Violations.Where(finding => finding.Impact is "serious" or "critical")
            .Select(finding => $"{finding.Id}: {finding.Help} ({string.Join("; ", finding.Nodes.Select(node => node.Html))})");
        Assert.That(serious, Is.Empty, state);
    }
}
