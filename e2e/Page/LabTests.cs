using System.Text.RegularExpressions;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// The laboratory, and what server/EXERCISES.md does with it: each exercise is one of these stories. E2E_LOOK names a folder for what they
/// looked like.
/// </summary>
public sealed class LabTests : PageTest, IDisposable
{
    const string Address = "?lab";

    readonly ChatFolder _folder = new();
    readonly List<BuiltProcess> _processes = [];

    [SetUp]
    public void The_link_is_cut_in_most() => Expected = NoConnection;

    public void Dispose()
    {
        foreach (BuiltProcess process in _processes)
            process.Dispose();
        _folder.Dispose();
    }

    // ---- The exercises

    [Test]
    public async Task Exactly_once_an_acknowledgement_that_is_lost_and_a_message_sent_again_are_one_message()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person ana = await OpenAsync(server, Address), zoe = await OpenAsync(server);
        await ana.IsConnectedAsync();
        await zoe.IsConnectedAsync();
        await Press(ana, "Avaler le prochain accusé");
        await ana.SayAsync("une seule fois");
        await Expect(ana.Page.Locator("#lab .swallowed")).ToHaveCountAsync(1);
        await Expect(Frames(ana, "logged").First).ToBeAttachedAsync();
        await Expect(Fact(ana, "outbox")).ToHaveTextAsync("0");
        int logged = await Frames(ana, "logged").CountAsync();
        await Press(ana, "Répéter le dernier");
        await Expect(Frames(ana, "logged").Nth(logged)).ToBeAttachedAsync();
        await LookAsync(ana);
        await zoe.SayAsync("et après");
        foreach (Person person in (Person[])[ana, zoe])
            await person.SeesAsync("une seule fois", "et après");
    }

    [Test]
    public async Task Resume_what_others_said_while_the_link_was_cut_is_there_once_it_is_mended()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person ana = await OpenAsync(server, Address), zoe = await OpenAsync(server);
        await ana.SayAsync("vu");
        await zoe.SeesAsync("vu");
        await Expect(Fact(ana, "position")).ToHaveTextAsync("1");

        await Press(ana, "Couper le lien");
        await Expect(Fact(ana, "socket")).ToHaveTextAsync("Lien coupé");
        await zoe.SayAsync("manqué");
        await zoe.SeesAsync("vu", "manqué");
        await Expect(zoe.Pending).ToHaveCountAsync(0);
        await ana.SayAsync("en attente");
        await Expect(Fact(ana, "outbox")).ToHaveTextAsync("1");
        await ana.SeesAsync("vu", "en attente");
        await Press(ana, "Réparer le lien");
        await ana.SeesAsync("vu", "manqué", "en attente");
        await Expect(Fact(ana, "position")).ToHaveTextAsync("3");
        await Expect(Frames(ana, "open").Last).ToContainTextAsync("after 1");
        await Expect(Frames(ana, "hello").Last).ToContainTextAsync("resumed true");
        await LookAsync(ana);
    }

    [Test]
    public async Task Gap_what_is_no_longer_retained_is_told_before_what_follows_it()
    {
        ChatServer server = Serve(ChatServer.Start(("KeepMessages", 10), ("WindowBytes", 1024)));
        Person ana = await OpenAsync(server, Address), zoe = await OpenAsync(server, Address);
        await ana.SayAsync("vu");
        await zoe.SeesAsync("vu");
        await Press(ana, "Couper le lien");
        foreach (string position in (string[])["21", "41"]) // the window lets go of what came before the last ones
        {
            await Press(zoe, "Dire 20");
            await Expect(Fact(zoe, "position")).ToHaveTextAsync(position);
        }
        await Press(ana, "Réparer le lien");
        await Expect(Fact(ana, "position")).ToHaveTextAsync("41");
        await Expect(Frames(ana, "gap")).ToContainTextAsync("from 2 · to ");
        await Expect(ana.Dividers.Filter(new() { HasText = "messages ne sont plus conservés" })).ToHaveCountAsync(1);
        await Expect(ana.Messages.First).ToHaveTextAsync("vu");
        await Expect(ana.Messages.Last).ToHaveTextAsync("20/20");
        int missing = int.Parse(
            Regex.Match(await Frames(ana, "gap").InnerTextAsync(), @"to (\d+)").Groups[1].Value,
            System.Globalization.CultureInfo.InvariantCulture) - 1;
        await Expect(ana.Messages).ToHaveCountAsync(41 - missing);
        await LookAsync(ana);
    }

    [Test]
    public async Task One_order_two_who_speak_at_once_are_read_in_the_same_order_by_all()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person ana = await OpenAsync(server, Address), zoe = await OpenAsync(server, Address);
        await ana.IsConnectedAsync();
        await zoe.IsConnectedAsync();
        await Task.WhenAll(Press(ana, "Dire 20"), Press(zoe, "Dire 20"));
        foreach (Person person in (Person[])[ana, zoe])
            await Expect(Fact(person, "position")).ToHaveTextAsync("40");
        string order = await Fact(ana, "order").InnerTextAsync();
        Assert.That(order, Does.Match("^[0-9A-F]{8}$"));
        await Expect(Fact(zoe, "order")).ToHaveTextAsync(order);
        await Expect(ana.Messages).ToHaveCountAsync(40);
        await zoe.SeesAsync(await ana.Messages.AllTextContentsAsync());
        await LookAsync(ana);
    }

    [Test, CancelAfter(300_000)]
    public async Task The_slow_reader_is_skipped_delays_nobody_and_misses_nothing()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person ana = await OpenAsync(server, Address), zoe = await OpenAsync(server, Address);
        await ana.IsConnectedAsync();
        await zoe.IsConnectedAsync();
        await Press(ana, "Cesser de lire");
        await Press(ana, "Inonder");
        await Expect(Fact(zoe, "position")).ToHaveTextAsync("300", new() { Timeout = 90_000 });
        await Expect(ana.Page.GetByText(new Regex("saute \\d+ clients? lents?")).First).ToBeAttachedAsync();
        await Expect(Fact(ana, "socket")).ToHaveTextAsync("Ne lit plus");
        Assert.That(await ana.Page.EvaluateAsync<int>("() => connection.last"), Is.LessThan(10),
            "what was read before it stopped, and the one on its way");
        await LookAsync(ana);

        await Press(ana, "Lire de nouveau");
        await Expect(Fact(ana, "position")).ToHaveTextAsync("300", new() { Timeout = 90_000 });
        await Expect(ana.Messages.Last).ToContainTextAsync("300/300");
        await Expect(Frames(ana, "gap")).ToHaveCountAsync(0);
    }

    [Test, CancelAfter(300_000)]
    public async Task Kill_9_in_the_middle_of_twenty_messages_loses_none_and_repeats_none()
    {
        (BuiltProcess server, int port) = await StartAsync(0, _folder.File);
        Person ana = await OpenAsync($"http://127.0.0.1:{port}/{Address}"), zoe = await OpenAsync($"http://127.0.0.1:{port}/");
        await ana.IsConnectedAsync();
        await zoe.IsConnectedAsync();
        await ana.SayAsync("avant");
        await zoe.SeesAsync("avant");
        string epoch = await Fact(ana, "epoch").InnerTextAsync();
        await Press(ana, "Dire 20");
        await KillAsync(server);
        await Expect(ana.Status).ToHaveTextAsync(new Regex("Reconnexion|Connexion"));
        await ana.SayAsync("après");
        await LookAsync(ana);
        await StartAsync(port, _folder.File);

        foreach (Person person in (Person[])[ana, zoe])
            await person.SeesAsync(["avant", .. Enumerable.Range(1, 20).Select(i => $"{i}/20"), "après"]);
        await Expect(Fact(ana, "outbox")).ToHaveTextAsync("0");
        await Expect(Fact(ana, "position")).ToHaveTextAsync("22");
        await Expect(Fact(ana, "epoch")).ToHaveTextAsync(epoch);
    }

    [Test, CancelAfter(300_000)]
    public async Task Two_logs_of_different_epoch_are_not_taken_for_one()
    {
        string other = _folder.File + "-autre";
        (BuiltProcess server, int port) = await StartAsync(0, _folder.File);
        Person ana = await OpenAsync($"http://127.0.0.1:{port}/{Address}");
        await ana.SayAsync("un");
        await ana.SayAsync("deux");
        await Expect(Fact(ana, "position")).ToHaveTextAsync("2");
        string epoch = await Fact(ana, "epoch").InnerTextAsync();

        await KillAsync(server);
        (server, _) = await StartAsync(port, other);
        await Expect(Fact(ana, "epoch")).ToHaveTextAsync(new Regex($"^(?!{epoch})[0-9a-f]{{8}}$"));
        await Expect(Fact(ana, "position")).ToHaveTextAsync("0");
        await Expect(Frames(ana, "hello").Last).Not.ToContainTextAsync("resumed true");
        await Expect(ana.Dividers.Filter(new() { HasText = "Le salon a recommencé à zéro" })).ToHaveCountAsync(1);
        await ana.SayAsync("ailleurs");
        await Expect(Fact(ana, "position")).ToHaveTextAsync("1");
        await LookAsync(ana);

        await KillAsync(server);
        await StartAsync(port, _folder.File);
        await Expect(Fact(ana, "epoch")).ToHaveTextAsync(epoch);
        await Expect(Fact(ana, "position")).ToHaveTextAsync("2");
        await ana.SeesAsync("ailleurs", "un", "deux"); // of logs that are no more the page shows the last
    }

    // ---- The panel

    [Test]
    public async Task Closed_it_costs_nothing_and_a_link_in_the_menu_opens_it()
    {
        ChatServer server = Serve(ChatServer.Start());
        var asked = new List<string>();
        Person person = await OpenAsync(server, "?room=cours", prepare: page =>
        {
            page.Request += (_, request) => asked.Add(new Uri(request.Url).AbsolutePath);
            return Task.CompletedTask;
        });
        await person.IsConnectedAsync();
        Assert.That(asked.Where(path => path.StartsWith("/lab", StringComparison.Ordinal)), Is.Empty);
        Assert.That(await person.Page.EvaluateAsync<bool>("() => typeof LabLink === 'undefined'"));

        await person.Page.GetByRole(AriaRole.Button, new() { Name = "cours", Exact = true }).ClickAsync();
        await person.Page.GetByRole(AriaRole.Link, new() { Name = "Laboratoire" }).ClickAsync();
        await Expect(Panel(person)).ToBeVisibleAsync();
        await person.IsConnectedAsync();
        Assert.That(asked, Does.Contain("/lab.js").And.Contain("/lab/events"));
        await Panel(person).GetByRole(AriaRole.Link, new() { Name = "Fermer" }).ClickAsync();
        await Expect(Panel(person)).ToHaveCountAsync(0);
        await person.IsConnectedAsync();
        Assert.That(new Uri(person.Page.Url).Query, Is.EqualTo("?room=cours"));
    }

    [TestCase(false), TestCase(true)]
    public async Task A_frame_that_is_opened_shows_its_json_and_its_bytes_and_the_server_tells_which_thread_did_what(bool isFromDisk)
    {
        ChatServer server = Serve(ChatServer.Start());
        string index = new Uri(Path.Combine(BuiltProcess.PathOf("Root"), "web", "index.html")).AbsoluteUri;
        Person person = await OpenAsync(isFromDisk ? $"{index}?lab&server=127.0.0.1:{server.Port}" : $"{server.Http}{Address}");
        await person.SayAsync("héhé");
        ILocator frame = Frames(person, "message").First;
        await Expect(frame).ToContainTextAsync("seq 1 · text héhé");
        await frame.ClickAsync();
        await Expect(Panel(person).Locator("pre").First).ToContainTextAsync("\"text\": \"héhé\"");
        await Expect(Panel(person).Locator("pre").Last).ToContainTextAsync("0000  7b 22 74 79 70 65 22 3a");
        foreach (string step in (string[])["reçoit", "enregistré jusqu’au n° 1", "ajoute au journal jusqu’au n° 1", "envoie à 1 client"])
            await Expect(Panel(person).Locator(".step").Filter(new() { HasText = step }).First).ToBeAttachedAsync();
        // A small room is the loop's, where it receives; a pump comes by as well, before the message or after it.
        await Expect(Panel(person).Locator(".step").Filter(new() { HasTextRegex = new Regex("boucle|pump") }).First).ToBeAttachedAsync();
        await Expect(Fact(person, "roundTrip")).ToHaveTextAsync(new Regex(@"^[\d\u202f]+(,\d)? ms$"));
    }

    [Test]
    public async Task A_delayed_link_delays_both_ways_and_loses_what_is_on_its_way_when_it_is_cut()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person ana = await OpenAsync(server, Address);
        await ana.IsConnectedAsync();
        await Press(ana, "Retarder de 1 s");
        await ana.SayAsync("tard");
        // A second at least: a narrow space is in it
        await Expect(Fact(ana, "roundTrip")).ToHaveTextAsync(new Regex(@"^\d+\u202f\d{3}(,\d)? ms$"));
        await ana.SayAsync("en route");
        await Press(ana, "Couper le lien");
        await Expect(ana.Page.Locator("#lab .lost").First).ToBeAttachedAsync();
        await Press(ana, "Ne plus retarder");
        await Press(ana, "Réparer le lien");
        await ana.SeesAsync("tard", "en route");
        await Expect(Fact(ana, "outbox")).ToHaveTextAsync("0");
    }

    [Test]
    public async Task What_it_shows_is_bounded_whatever_passes()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer peer = await Peer.ChatAsync(server);
        Person person = await OpenAsync(server, Address);
        await person.IsConnectedAsync();
        for (int i = 0; i < 400; i++)
            await peer.SayAsync($"k{i}", $"{i}");
        await peer.SayAsync("long", new string('x', 60_000));
        await Expect(Fact(person, "position")).ToHaveTextAsync(new Regex("^401$"));
        ILocator frame = Frames(person, "message").Last;
        await Expect(frame).ToContainTextAsync("60\u202f");
        await frame.ClickAsync();
        await Expect(Panel(person).GetByText(new Regex("… et \\d+\u202f\\d+ octets de plus"))).ToHaveCountAsync(2);
        int[] counts = await person.Page.EvaluateAsync<int[]>("() => Array.from(document.querySelectorAll('#lab ol'), (list) => list.children.length)");
        Assert.That(counts, Is.All.LessThanOrEqualTo(200));
        Assert.That(await person.Page.EvaluateAsync<int>("() => document.getElementById('lab').textContent.length"), Is.LessThan(100_000));
    }

    [Test]
    public async Task Where_the_server_does_not_tell_its_steps_that_is_said_and_all_else_works()
    {
        Expected = ["status of 404"];
        ChatServer server = Serve(ChatServer.StartIn("Production"));
        Person person = await OpenAsync(server, Address);
        await Expect(Panel(person)).ToContainTextAsync("Ce serveur ne dit pas ce que font ses fils");
        await person.SayAsync("bonjour");
        await Expect(Frames(person, "message")).ToHaveCountAsync(1);
        await Press(person, "Répéter le dernier");
        await Expect(Frames(person, "logged")).ToHaveCountAsync(1);
    }

    [TestCase(1280, ColorScheme.Light), TestCase(390, ColorScheme.Dark), TestCase(320, ColorScheme.Light)]
    public async Task Axe_finds_nothing_nothing_sticks_out_and_the_keyboard_reaches_it(int width, ColorScheme scheme)
    {
        ChatServer server = Serve(ChatServer.Start());
        ViewportSize size = new() { Width = width, Height = width == 1280 ? 720 : 844 };
        Person person = await OpenAsync(server, Address, new() { ColorScheme = scheme, ViewportSize = size, BypassCSP = true });
        await person.IsConnectedAsync();
        await Press(person, "Avaler le prochain accusé");
        await person.SayAsync("bonjour");
        await Expect(Frames(person, "logged").First).ToBeAttachedAsync();
        await Frames(person, "hello").First.ClickAsync();
        ILocator cut = Panel(person).GetByRole(AriaRole.Button, new() { Name = "Couper le lien" });
        await cut.FocusAsync();
        await person.Page.Keyboard.PressAsync("Space");
        await Expect(Fact(person, "socket")).ToHaveTextAsync("Lien coupé");
        await LookAsync(person, $"{width}");
        AxeResult result = await person.Page.RunAxe();
        Assert.That(result.Violations.Select(finding =>
            $"{finding.Id}: {finding.Help} ({string.Join("; ", finding.Nodes.Select(node => node.Html))})"), Is.Empty);
        Assert.That(await person.Page.EvaluateAsync<int>("() => document.documentElement.scrollWidth"), Is.EqualTo(width));
        Assert.That(await person.Page.EvaluateAsync<bool>("() => document.getElementById('lab').scrollWidth <= document.getElementById('lab').clientWidth"));
        await Expect(person.Input).ToBeInViewportAsync(new() { Ratio = 1 });
    }

    // ---- Means

    static ILocator Panel(Person person) => person.Page.GetByRole(AriaRole.Complementary, new() { Name = "Laboratoire" });

    static ILocator Fact(Person person, string name) => person.Page.Locator($"#lab dd.{name}");

    static ILocator Frames(Person person, string type) => person.Page.Locator($"#lab summary:has(b:text-is('{type}'))");

    static Task Press(Person person, string name) =>
        Panel(person).GetByRole(AriaRole.Button, new() { Name = name, Exact = true }).ClickAsync();

    async Task<(BuiltProcess Server, int Port)> StartAsync(int port, string file)
    {
        var server = BuiltProcess.Server("Development", $"--urls=http://127.0.0.1:{port}", $"--Chat:Database={file}");
        _processes.Add(server);
        using CancellationTokenSource limit = Rig.Patience(TimeSpan.FromSeconds(90)); // it is compiled while it starts, beside browsers
        string line = "";
        while (!line.Contains("démarré sur ws", StringComparison.Ordinal))
            line = await server.Output.ReadLineAsync(limit.Token) ?? throw new EndOfStreamException("the server ended instead of starting");
        server.Ignore();
        return (server, int.Parse(line.Split(':')[^1], System.Globalization.CultureInfo.InvariantCulture));
    }

    static async Task KillAsync(BuiltProcess server)
    {
        server.Kill();
        await server.ExitAsync();
    }

    static async Task LookAsync(Person person, string what = "")
    {
        if (Environment.GetEnvironmentVariable("E2E_LOOK") is not { Length: > 0 } folder)
            return;
        await person.Page.ScreenshotAsync(new()
        {
            Path =
            Path.Combine(folder, $"{TestContext.CurrentContext.Test.MethodName!.Split('_')[0]}{what}.png")
        });
    }
}
