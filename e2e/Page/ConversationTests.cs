using System.Text.RegularExpressions;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class ConversationTests(Profile profile) : PageTest(profile)
{
    [Test]
    public async Task A_message_from_one_appears_in_all()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person ana = await OpenAsync(server), zoe = await OpenAsync(server), luc = await OpenAsync(server);
        using Peer plain = await Peer.PlainAsync(server);
        await ana.CallThemselvesAsync("Ana");
        foreach (Person person in (Person[])[ana, zoe, luc])
            await person.IsConnectedAsync();

        await ana.SayAsync("Bonjour à tous !");
        foreach (Person person in (Person[])[ana, zoe, luc])
            await person.SeesAsync("Bonjour à tous !");
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client (Ana) : Bonjour à tous !"));
        await Expect(zoe.Log.GetByText("Ana", new() { Exact = true })).ToBeVisibleAsync();

        await plain.SayAsync("Hello from the terminal");
        await zoe.SayAsync("Salut");
        foreach (Person person in (Person[])[ana, zoe, luc])
            await Expect(person.Messages).ToHaveCountAsync(3);
        IReadOnlyList<string> order = await ana.Messages.AllTextContentsAsync();
        await zoe.SeesAsync(order);
        await luc.SeesAsync(order);

        Person late = await OpenAsync(server);
        await late.SeesAsync(order);
        await Expect(late.Online).ToHaveTextAsync("5 en ligne");
        await late.Online.ClickAsync();
        await Expect(late.Page.GetByRole(AriaRole.Listitem).First).ToHaveTextAsync("Ana");
    }

    [Test]
    public async Task Messages_of_one_author_stand_together_under_one_name()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer ana = await Peer.ChatAsync(server, "name=Ana"), zoe = await Peer.ChatAsync(server, "name=Zo%C3%A9");
        Person reader = await OpenAsync(server);
        await reader.IsConnectedAsync();
        foreach ((Peer peer, string text) in new[] { (ana, "un"), (ana, "deux"), (zoe, "trois"), (ana, "quatre") })
        {
            await peer.SayAsync(text, text);
            await Expect(reader.Messages.Last).ToHaveTextAsync(text);
        }
        await reader.SeesAsync("un", "deux", "trois", "quatre");
        await Expect(reader.Page.Locator(".author")).ToHaveTextAsync(["Ana", "Zoé", "Ana"]);
        await Expect(reader.Page.Locator("time").First).ToHaveTextAsync(new Regex(@"^\d\d:\d\d$"));
    }

    static readonly string[] s_markup =
    [
        "<script>document.title='owned'</script>", "<img src=x onerror=\"document.title='owned'\">",
            "<svg onload=\"document.title='owned'\">",
        "<b>gras</b>", "</p></div><h1>out</h1>", "&lt;i&gt; &amp; \"quotes\" '", "<a href=\"javascript:document.title='owned'\">x</a>",
        "javascript:document.title='owned'", "<iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
            "{{7*7}} ${7*7} <%= 7*7 %>",
        "<style>*{display:none}</style>", "<base href='//elsewhere.example'>", "\u202Eright to left\u202C",
    ];

    [Test]
    public async Task Markup_is_shown_and_not_run()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person reader = await OpenAsync(server), author = await OpenAsync(server);
        await author.CallThemselvesAsync("<b>Ana</b><img src=x>");
        foreach (string markup in s_markup)
            await author.SayAsync(markup);
        await reader.SeesAsync(s_markup);
        await Expect(reader.Page.Locator(".author")).ToHaveTextAsync(["<b>Ana</b><img src=x>"]);
        await reader.Online.ClickAsync();
        await Expect(reader.Page.GetByRole(AriaRole.Listitem).First).ToHaveTextAsync("<b>Ana</b><img src=x>");
        await reader.Page.Keyboard.PressAsync("Escape");
        // It is shown for a moment only
        await reader.Page.EvaluateAsync("() => Object.defineProperty(Stopwatch.prototype, 'elapsed', { value: 0 })");
        await TypesUntilSeenAsync(author, reader.Page.GetByText("<b>Ana</b><img src=x> écrit…"));
        await Expect(reader.Page).ToHaveTitleAsync("salon · ChatMinimal");
        await Expect(reader.Page.Locator("#log :is(script, img, svg, b, h1, a:not(.permalink), iframe, style, base)")).ToHaveCountAsync(0);

        Person lost = await OpenAsync(server, "?room=" + Uri.EscapeDataString("<img src=x onerror=\"document.title='owned'\">"));
        await Expect(lost.Page.GetByRole(AriaRole.Heading)).ToHaveTextAsync("<img src=x onerror=\"document.title='owned'\">");
        await Expect(lost.Notice).ToContainTextAsync("Ce nom de salon n’est pas valable\u202f:");
        await Expect(lost.Input).ToBeDisabledAsync();
        await Expect(lost.Page).ToHaveTitleAsync(new Regex("^<img"));
    }

    // Typing is told now and then, and not to those whom another write is just on its way to.
    static async Task TypesUntilSeenAsync(Person author, ILocator typing)
    {
        using CancellationTokenSource limit = Rig.Patience();
        while (!await typing.IsVisibleAsync())
        {
            limit.Token.ThrowIfCancellationRequested();
            await author.Input.PressSequentiallyAsync(".", new() { Delay = 100 });
        }
    }

    [Test]
    public async Task Links_are_links_and_only_to_the_web()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.SayAsync("voir https://example.org/a?b=c&d=(e). ou (http://example.org/f), pas ftp://x.example ni javascript:alert(1)");
        ILocator links = person.Messages.GetByRole(AriaRole.Link);
        await Expect(links).ToHaveTextAsync(["https://example.org/a?b=c&d=(e)", "http://example.org/f"]);
        await Expect(links.First).ToHaveAttributeAsync("rel", "noopener noreferrer");
        await person.SeesAsync("voir https://example.org/a?b=c&d=(e). ou (http://example.org/f), pas ftp://x.example ni javascript:alert(1)");
    }

    [Test]
    public async Task Enter_sends_Shift_Enter_breaks_the_line_and_an_IME_keeps_its_Enter()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await Expect(person.Input).ToBeFocusedAsync();
        await person.Page.Keyboard.TypeAsync("un");
        await person.Page.Keyboard.PressAsync("Shift+Enter");
        await person.Page.Keyboard.TypeAsync("deux");
        await person.Page.Keyboard.PressAsync("Enter");
        await person.SeesAsync("un\ndeux");
        await Expect(person.Input).ToHaveValueAsync("");
        await Expect(person.Input).ToBeFocusedAsync();

        await person.Input.FillAsync("日本");
        await person.Input.DispatchEventAsync("keydown", new { key = "Enter", isComposing = true, bubbles = true, cancelable = true });
        await person.Input.DispatchEventAsync("keydown", new { key = "Enter", keyCode = 229, bubbles = true, cancelable = true });
        await Expect(person.Input).ToHaveValueAsync("日本");
        await person.Input.PressAsync("Enter");
        await person.SeesAsync("un\ndeux", "日本");

        await person.SayAsync("   ");
        await person.SayAsync("fin");
        await person.SeesAsync("un\ndeux", "日本", "fin");
    }

    [Test]
    public async Task The_keyboard_alone_is_enough()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.Page.Keyboard.TypeAsync("dit au clavier");
        await person.Page.Keyboard.PressAsync("Tab");
        await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Envoyer" })).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("Enter");
        await person.SeesAsync("dit au clavier");
        await Expect(person.Input).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("Shift+Tab");
        await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "changer" })).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("Enter");
        await Expect(person.Name).ToBeFocusedAsync();
        await person.Page.Keyboard.TypeAsync("Ana");
        await person.Page.Keyboard.PressAsync("Enter");
        await Expect(person.Input).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("Shift+Tab");
        await person.Page.Keyboard.PressAsync("Shift+Tab");
        await Expect(person.Log).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("Shift+Tab");
        await Expect(person.Online).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("Enter");
        await Expect(person.Page.GetByRole(AriaRole.Listitem).First).ToHaveTextAsync("Ana (vous)");
        await person.Page.Keyboard.PressAsync("Escape");
        await Expect(person.Page.GetByRole(AriaRole.Listitem)).ToHaveCountAsync(0);
        await Expect(person.Online).ToBeFocusedAsync();

        await person.Page.Keyboard.PressAsync("Alt+ArrowUp"); // from message to message, and to their links
        await Expect(person.Page.Locator("#m1 .permalink")).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("Escape");
        await Expect(person.Input).ToBeFocusedAsync();
    }

    [Test]
    public async Task The_view_follows_at_the_end_and_stays_where_one_reads()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer talker = await Peer.ChatAsync(server, "name=Ana");
        Person reader = await OpenAsync(server);
        await reader.IsConnectedAsync();
        for (int i = 0; i < 60; i++)
            await talker.SayAsync($"k{i}", $"message {i}");
        await Expect(reader.Messages).ToHaveCountAsync(60);
        await Expect(reader.Messages.Last).ToBeInViewportAsync();

        await reader.Messages.Nth(5).ScrollIntoViewIfNeededAsync();
        await Expect(reader.Messages.Last).Not.ToBeInViewportAsync();
        double before = (await reader.Messages.Nth(5).BoundingBoxAsync())!.Y;
        await talker.SayAsync("n1", "new 1");
        await Expect(reader.Newer).ToHaveTextAsync("1 nouveau message");
        await talker.SayAsync("n2", "new 2\non\nmany\nlines");
        await Expect(reader.Newer).ToHaveTextAsync("2 nouveaux messages");
        Assert.That((await reader.Messages.Nth(5).BoundingBoxAsync())!.Y, Is.EqualTo(before), "nothing jumped");

        await reader.Newer.ClickAsync();
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
        await Expect(reader.Newer).ToBeHiddenAsync();
        await reader.Page.SetViewportSizeAsync(1280, 400); // as when a keyboard comes up
        await Expect(reader.Messages.Last).ToBeInViewportAsync(new() { Ratio = 1 });

        await reader.Messages.Nth(5).ScrollIntoViewIfNeededAsync();
        await reader.SayAsync("mine");
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
        await Expect(reader.Messages.Last).ToHaveTextAsync("mine");
    }

    [Test]
    public async Task Rooms_are_apart_and_the_page_says_which_one_it_is()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person here = await OpenAsync(server, "?room=cours-3"), there = await OpenAsync(server);
        await Expect(here.Page.GetByRole(AriaRole.Heading)).ToHaveTextAsync("cours-3");
        await Expect(here.Page).ToHaveTitleAsync("cours-3 · ChatMinimal");
        await here.SayAsync("ici");
        await here.SeesAsync("ici");
        await there.SayAsync("là");
        await there.SeesAsync("là");
        await here.SeesAsync("ici");
    }

    [Test]
    public async Task A_page_opened_from_disk_talks_to_the_served_one()
    {
        ChatServer server = Serve(ChatServer.Start());
        string web = new Uri(Path.Combine(BuiltProcess.PathOf("Root"), "web")).AbsoluteUri;
        Person served = await OpenAsync(server), fromDisk = await OpenAsync($"{web}/index.html?server=127.0.0.1:{server.Port}");
        using MinimalPage file = new($"ws://127.0.0.1:{server.Port}");
        Person minimal = await OpenAsync(file.Address), minimalServed = await OpenAsync($"{server.Http}minimal.html");
        await served.IsConnectedAsync();
        await fromDisk.IsConnectedAsync();
        await Expect(minimal.Status).ToHaveTextAsync("Connecté au serveur WebSocket"); // before that it sends nothing
        await Expect(served.Page.GetByText("4 en ligne")).ToBeVisibleAsync();
        await served.SayAsync("du serveur");
        await fromDisk.SeesAsync("du serveur");
        await fromDisk.SayAsync("du disque");
        await served.SeesAsync("du serveur", "du disque");
        await minimal.SayAsync("<b>du petit</b>");
        await minimalServed.SeesAsync("Message d'un client : du serveur", "Message d'un client : du disque",
            "Message d'un client : <b>du petit</b>");
        await served.SeesAsync("du serveur", "du disque", "<b>du petit</b>");
    }

    [Test]
    public async Task A_page_opened_from_disk_reads_back()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0), ("InviteKey", "sésame")));
        using Peer talker = await Peer.ChatAsync(server, $"invite={Uri.EscapeDataString("sésame")}");
        string[] texts = [.. Enumerable.Range(1, 60).Select(number => $"message {number}")];
        foreach (string text in texts)
            await talker.SayAsync(text.Replace(' ', '-'), text);
        await talker.ReceiveTextsAsync(texts.Length);
        string page = new Uri(Path.Combine(BuiltProcess.PathOf("Root"), "web", "index.html")).AbsoluteUri;
        Person reader = await OpenAsync($"{page}?server=127.0.0.1:{server.Port}&invite={Uri.EscapeDataString("sésame")}");
        await reader.SeesAsync(texts[10..]);
        await reader.Messages.First.ScrollIntoViewIfNeededAsync();
        await reader.SeesAsync(texts);
    }

    [Test]
    public async Task It_speaks_French_or_English_as_the_browser_does()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person french = await OpenAsync(server, "", new() { Locale = "fr-CA" }),
            english = await OpenAsync(server, "", new() { Locale = "en-GB" }),
                other = await OpenAsync(server, "", new() { Locale = "de-DE" });
        await Expect(french.Status).ToHaveTextAsync(new Regex("Connecté"));
        await Expect(french.Page.GetByRole(AriaRole.Button, new() { Name = "Envoyer" })).ToBeVisibleAsync();
        await Expect(french.Page.Locator("html")).ToHaveAttributeAsync("lang", "fr");
        foreach (Person person in (Person[])[english, other])
        {
            await Expect(person.Status).ToHaveTextAsync(new Regex("Connected"));
            await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Send" })).ToBeVisibleAsync();
            await Expect(person.Page.Locator("html")).ToHaveAttributeAsync("lang", "en");
            await Expect(person.Page.GetByText("3 online")).ToBeVisibleAsync();
        }
    }

    [Test]
    public async Task A_name_is_remembered_and_a_bad_one_is_told()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.CallThemselvesAsync("Ana\u202E");
        await Expect(person.Page.GetByText("Un nom visible, 32 caractères au plus, sur une ligne.")).ToBeVisibleAsync();
        await person.CallThemselvesAsync("Ana");
        await Expect(person.Page.GetByText("Un nom visible, 32 caractères au plus, sur une ligne.")).ToHaveCountAsync(0);
        await person.Page.ReloadAsync();
        await Expect(person.Me).ToHaveTextAsync("Ana");
        await Expect(person.Name).ToBeHiddenAsync();
        await person.SayAsync("c'est moi");
        await Expect(person.Page.Locator(".author")).ToHaveTextAsync(["Ana"]);
        await person.CallThemselvesAsync("Béa");
        await person.SayAsync("et moi");
        await Expect(person.Page.Locator(".author")).ToHaveTextAsync(["Ana", "Béa"]);
    }

    [Test]
    public async Task A_message_too_long_is_not_sent_and_one_that_is_refused_can_be_corrected()
    {
        ChatServer server = Serve(ChatServer.Start(("MaxMessageBytes", 20)));
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.Input.FillAsync("0123456789012345678901234");
        await Expect(person.Page.GetByText("25 / 20 octets")).ToBeVisibleAsync();
        await person.Input.PressAsync("Enter");
        await Expect(person.Input).ToHaveValueAsync("0123456789012345678901234");
        await Expect(person.Messages).ToHaveCountAsync(0);

        // Typed before the page knew this server's limit, as an outbox of yesterday may hold it.
        await person.Page.EvaluateAsync("() => { composer.limit = 1000; }");
        await person.Input.PressAsync("Enter");
        await Expect(person.Log).ToContainTextAsync("Message refusé\u202f: il est trop long.");
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Corriger" }).ClickAsync();
        await Expect(person.Input).ToHaveValueAsync("0123456789012345678901234");
        await Expect(person.Input).ToBeFocusedAsync();
        await Expect(person.Messages).ToHaveCountAsync(0);
        await person.SayAsync("plus court");
        await person.SeesAsync("plus court");
        await Expect(person.Pending).ToHaveCountAsync(0);
    }
}
