using System.Text.RegularExpressions;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class LookTests(Profile profile) : PageTest(profile)
{
    static readonly ViewportSize s_smallPhone = new() { Width = 320, Height = 640 }, s_desk = new() { Width = 1280, Height = 800 };

    [Test]
    public async Task Dark_is_dark_and_light_is_light()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person dark = await OpenAsync(server, "", new() { ColorScheme = ColorScheme.Dark }),
            light = await OpenAsync(server, "", new() { ColorScheme = ColorScheme.Light });
        await Expect(dark.Page.Locator("html")).ToHaveCSSAsync("background-color", "rgb(23, 25, 26)");
        await Expect(light.Page.Locator("html")).ToHaveCSSAsync("background-color", "rgb(251, 250, 248)");
    }

    [Test]
    public async Task On_a_small_phone_nothing_sticks_out_and_all_is_in_reach()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer other = await Peer.ChatAsync(server, "name=" + new string('W', 32));
        Person person = await OpenAsync(server, "?room=" + new string('m', 64),
            new() { ViewportSize = s_smallPhone, IsMobile = true, HasTouch = true });
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
            await Expect(one.Online).ToBeInViewportAsync(new() { Ratio = 1 });
        }
    }

    [TestCase(ColorScheme.Light, 1280), TestCase(ColorScheme.Dark, 320)]
    public async Task Axe_finds_nothing_in_any_state(ColorScheme scheme, int width)
    {
        Expected = NoConnection;
        ChatServer server = Serve(ChatServer.Start(("MaxMessageBytes", 200)));
        Person person = await OpenAsync(server, "",
            new() { ColorScheme = scheme, ViewportSize = width == 320 ? s_smallPhone : s_desk, BypassCSP = true });
        await person.IsConnectedAsync();
        await CheckAsync(person, "empty");

        string[] names = ["Ana", "Zoé", "Łukasz", "محمد", ""];
        foreach (string name in names)
        {
            using Peer peer = await Peer.ChatAsync(server, "name=" + Uri.EscapeDataString(name));
            await peer.SayAsync($"{name.Length}-{Uri.EscapeDataString(name).Length}", $"bonjour, voir https://example.org/{name.Length}");
            await peer.ReceiveMessageAsync();
            await peer.CloseAsync();
        }
        await person.CallThemselvesAsync("Moi");
        await person.SayAsync("à moi");
        await Expect(person.Messages).ToHaveCountAsync(names.Length + 1);
        await person.CallThemselvesAsync("trop\u202E");
        await person.Input.FillAsync(new string('x', 250));
        await CheckAsync(person, "busy, with a bad name and a text too long");
        await person.CallThemselvesAsync("Moi");

        await person.Page.EvaluateAsync("() => { composer.limit = 1000; }");
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
    public async Task Axe_finds_nothing_in_what_opens_nor_in_code_nor_in_a_refusal_of_the_server()
    {
        Expected = [.. NoConnection, "Failed to load resource"];
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server, "", new() { BypassCSP = true });
        await person.IsConnectedAsync();
        await person.SayAsync("`code` *ici* **là** https://example.org/\n```\n" + new string('x', 300) + "\n```");
        await person.SayAsync(string.Join('\n', Enumerable.Range(1, 100)));
        await Expect(person.Pending).ToHaveCountAsync(0);
        await person.Page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Tout afficher") }).ClickAsync();
        await CheckAsync(person, "code, and a long text unfolded");
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "salon", Exact = true }).ClickAsync();
        await person.Page.Locator("#menu").GetByText("Python").ClickAsync();
        await person.Page.Locator("#menu").GetByText("Clavier").ClickAsync();
        await CheckAsync(person, "the menu");
        await person.Page.Keyboard.PressAsync("Escape");
        await person.Online.ClickAsync();
        await CheckAsync(person, "the people");
        await person.Page.Keyboard.PressAsync("Escape");
        await person.Page.EvaluateAsync("() => showRefusal({ status: 401, detail: 'because' })");
        await person.Page.EvaluateAsync("() => { location.hash = '#m1'; }");
        await CheckAsync(person, "refused, and a message pointed at");
    }

    [Test]
    public async Task Texts_begin_at_one_edge_and_fields_do_not_make_a_phone_zoom_in()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer peer = await Peer.ChatAsync(server, "name=Ana");
        Person person = await OpenAsync(server, "",
            new() { ViewportSize = new() { Width = 390, Height = 844 }, IsMobile = true, HasTouch = true });
        double field = await person.Name.EvaluateAsync<double>("(field) => parseFloat(getComputedStyle(field).fontSize)");
        await peer.SayAsync("k", "d'Ana");
        await person.SayAsync("de moi");
        await Expect(person.Pending).ToHaveCountAsync(0);
        double[] edges = await person.Page.EvaluateAsync<double[]>("""
            () => ["#room span", "#m1 .author", "#m1 p", "#m2 .author", "#m2 p", "#me", "#input"].map((one) => {
              const range = document.createRange();
              range.selectNodeContents(document.querySelector(one));
              return (one === "#input" ? document.querySelector(one) : range).getBoundingClientRect().left;
            })
            """);
        Assert.That(edges, Is.All.EqualTo(edges[0]).Within(1), string.Join(' ', edges));
        Assert.That(field, Is.GreaterThanOrEqualTo(16));
        double input = await person.Input.EvaluateAsync<double>("(field) => parseFloat(getComputedStyle(field).fontSize)");
        Assert.That(input, Is.GreaterThanOrEqualTo(16));
    }

    [Test]
    public async Task What_extensions_add_does_not_break_the_page()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.Page.EvaluateAsync("""
            () => {
              document.body.prepend(document.createElement("div"), document.createElement("iframe"));
              document.querySelector("iframe").hidden = true;
              document.querySelector("main").before(document.createElement("x-injected"));
              document.body.append(document.createElement("grammarly-desktop-integration"));
            }
            """);
        await person.SayAsync("toujours là");
        await person.SeesAsync("toujours là");
        double[] heights = await person.Page.EvaluateAsync<double[]>("() => ['body > header', 'main', '#composer'].map((one) => document.querySelector(one).offsetHeight).concat(innerHeight)");
        Assert.That(heights[0] + heights[1] + heights[2], Is.EqualTo(heights[3]).Within(2));
        Assert.That(heights[1], Is.GreaterThan(heights[3] * 0.6), "the talk has most of it");
    }

    [Test]
    public async Task Printing_prints_the_conversation()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        for (int i = 0; i < 50; i++)
            await ana.SayAsync($"k{i}", $"message {i}");
        Person person = await OpenAsync(server, "", new() { ColorScheme = ColorScheme.Dark });
        await Expect(person.Messages).ToHaveCountAsync(50);
        await person.Page.EmulateMediaAsync(new() { Media = Media.Print });
        await Expect(person.Page.Locator("#composer")).ToBeHiddenAsync();
        int[] heights = await person.Page.EvaluateAsync<int[]>("() => [document.documentElement.scrollHeight, document.getElementById('messages').offsetHeight, innerHeight]");
        Assert.That(heights[0], Is.GreaterThanOrEqualTo(heights[1]).And.GreaterThan(heights[2]), "all of it, not what fits the screen");
        await Expect(person.Page.Locator("html")).ToHaveCSSAsync("background-color", "rgb(251, 250, 248)");
    }

    [Test]
    public async Task Forced_colours_tell_mine_from_others()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        Person person = await OpenAsync(server, "", new() { ForcedColors = ForcedColors.Active });
        await ana.SayAsync("k", "d'Ana");
        await person.SayAsync("de moi");
        await Expect(person.Pending).ToHaveCountAsync(0);
        string[] lines = await person.Page.EvaluateAsync<string[]>("() => ['#m1 p', '#m2 p'].map((one) => getComputedStyle(document.querySelector(one), '::before').content)");
        Assert.That(lines, Is.EqualTo(["none", "\"\""]));
        string line = await person.Page.EvaluateAsync<string>("() => getComputedStyle(document.querySelector('#m2 p'), '::before').borderInlineStartColor");
        Assert.That(line, Is.EqualTo(await person.Page.EvaluateAsync<string>("""
            () => {
              document.body.style.color = "Highlight";
              return getComputedStyle(document.body).color;
            }
            """)));
    }

    [Test]
    public async Task Author_colours_differ()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        string[] names = ["Ana", "Zoé", "Luc", "Marie", "Paul", "Emma", "Hugo", "Léa", "Louis", "Jade", "Gabriel", "Alice"];
        string[] colours = await person.Page.EvaluateAsync<string[]>("""
            (names) => names.map((name) => {
              const author = authorOf(name);
              byId("messages").append(author);
              const { color } = getComputedStyle(author);
              author.remove();
              return color;
            })
            """, names);
        Assert.That(colours.Distinct().Count(), Is.GreaterThanOrEqualTo(11), string.Join('\n', colours));
        Assert.That(colours.CountBy(colour => Regex.Match(colour, @"(\d+)\)").Groups[1].Value).Max(hue => hue.Value),
            Is.LessThanOrEqualTo(2), "nor more than two of one hue");
    }

    [Test]
    public async Task Without_scripts_the_page_says_so_in_both_languages()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        // Emulated, Chromium goes on hiding it.
        string words = await person.Page.EvaluateAsync<string>("() => document.querySelector('noscript').textContent");
        Assert.That(words, Does.Contain("Cette page a besoin de JavaScript. – This page needs JavaScript."));
    }

    [Test]
    public async Task The_minimal_page_is_fit_for_everyone_too()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync($"{server.Http}minimal.html", new() { BypassCSP = true });
        await Expect(person.Status).ToHaveTextAsync("Connecté au serveur WebSocket"); // before that it sends nothing
        await person.SayAsync("bonjour");
        await person.SeesAsync("Message d'un client : bonjour");
        await CheckAsync(person, "minimal");
    }

    static async Task CheckAsync(Person person, string state)
    {
        AxeResult result = await person.Page.RunAxe();
        IEnumerable<string> findings =
            result.Violations.Select(finding =>
                $"{finding.Id}: {finding.Help} ({string.Join("; ", finding.Nodes.Select(node => node.Html))})");
        Assert.That(findings, Is.Empty, state);
    }
}
