using System.Text.RegularExpressions;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>Coming in, bringing others in, coming back.</summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class ArrivingTests(Profile profile) : PageTest(profile)
{
    [Test]
    public async Task An_empty_room_says_how_to_bring_others_in_and_how_programs_come_in()
    {
        ChatServer server = Serve(ChatServer.Start(("InviteKey", "sésame")));
        Person person = await OpenAsync(server, $"?room=cours&invite={Uri.EscapeDataString("sésame")}");
        ILocator empty = person.Page.Locator("#empty");
        string address = $"{server.Http}?room=cours&invite=s%C3%A9same";
        await Expect(empty.Locator(".address code")).ToHaveTextAsync(address);
        await Expect(empty).ToContainTextAsync("Cette adresse ne vaut que sur cette machine."); // 127.0.0.1
        await person.Page.Context.GrantPermissionsAsync(["clipboard-read", "clipboard-write"]);
        await person.Page.EvaluateAsync(StopTime); // it says so for a moment only
        await empty.Locator(".address").GetByRole(AriaRole.Button, new() { Name = "Copier" }).ClickAsync();
        await Expect(empty.GetByRole(AriaRole.Button, new() { Name = "Copié" })).ToBeVisibleAsync();
        Assert.That(await person.Page.EvaluateAsync<string>("() => navigator.clipboard.readText()"), Is.EqualTo(address));

        await empty.GetByText("Python").ClickAsync();
        await Expect(empty.Locator("pre").First).ToBeVisibleAsync();
        Match python = Regex.Match(await empty.Locator("pre").First.InnerTextAsync(), "connect\\(\"(.*)\"\\)");
        using (Peer plain = await Peer.ConnectAsync(new Uri(python.Groups[1].Value.Split('?')[0]), null,
            python.Groups[1].Value.Split('?')[1]))
            await plain.SayAsync("Hello, WebSocket Server!"); // with the address as it is given
        await person.SeesAsync("Hello, WebSocket Server!");
        await Expect(empty).ToBeHiddenAsync();
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "cours" }).ClickAsync(); // from now on in the room's menu
        await Expect(person.Page.Locator("#menu .address code")).ToHaveTextAsync(address);
    }

    [Test]
    public async Task Where_others_can_come_to_the_address_has_a_code_to_scan()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        bool[] isDrawn = await person.Page.EvaluateAsync<bool[]>("""
            async () => {
              await load("qr-code.js", "invitation.js");
              const drawn = invitation("https://chat.example/?room=cours", connection).querySelector("svg[role=img] path + path");
              const tooLong = invitation("https://chat.example/" + "x".repeat(300), connection).querySelector("svg");
              return [drawn.getAttribute("d").length > 1000, tooLong === null];
            }
            """);
        Assert.That(isDrawn, Is.EqualTo([true, true]));
    }

    [Test]
    public async Task Where_localhost_would_not_do_the_address_of_this_machine_is_given()
    {
        Expected = NoConnection; // it ends before the page does
        using var server = BuiltProcess.Server("Development", "--urls=http://*:0", "--Chat:Database=");
        int port = new Uri("http" + (await server.ReadUntilAsync("démarré sur ws")).Split("sur ws")[1]).Port;
        server.Ignore();
        using var http = new HttpClient();
        string[] addresses = (await http.GetStringAsync($"http://127.0.0.1:{port}/lan")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(addresses, Is.All.Match($@"^http://\d+\.\d+\.\d+\.\d+:{port}$").And.None.Contain("127.0.0.1"));
        Person person = await OpenAsync($"http://127.0.0.1:{port}/?room=cours");
        await Expect(person.Page.Locator("#empty .address code"))
            .ToHaveTextAsync($"{(addresses.Length > 0 ? addresses[0] : $"http://127.0.0.1:{port}")}/?room=cours");
        await Expect(person.Page.Locator("#empty svg")).ToHaveCountAsync(addresses.Length > 0 ? 1 : 0);
        string given = addresses.Length > 0 ? addresses[0] : $"http://127.0.0.1:{port}";
        string[] programs = [.. await person.Page.Locator("#empty pre").AllTextContentsAsync()];
        Assert.That(programs[..2], Is.All.Contain($"\"ws{given[4..]}/ws?room=cours\""), "others use them on their machines");
        Assert.That(programs[2], Is.EqualTo($"curl -d \"text=Bonjour\" \"{given}/messages?room=cours\""));
    }

    // The codes that zbarimg 0.23 was shown, and read as these texts: one block and version 3; five blocks and version 9.
    [TestCase("http://192.168.1.20:8765/?room=cours-3", "8C94C1A3")]
    [TestCase("https://chat.example/?room=cours&invite=KEY", "73CD26BF")]
    public async Task The_code_is_the_one_that_a_reader_understands(string text, string hash)
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        text = text.Replace("KEY", new string('k', 120), StringComparison.Ordinal);
        string rows = await person.Page.EvaluateAsync<string>("async (text) => (await load('qr-code.js')) && qrCode(text).map((row) => row.map(Number).join('')).join('')", text);
        Assert.That(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(rows)))[..8],
            Is.EqualTo(hash));
    }

    [Test]
    public async Task A_name_is_asked_for_once_and_the_list_marks_oneself()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer zoe = await Peer.ChatAsync(server, "name=Zo%C3%A9");
        Person person = await OpenAsync(server);
        await Expect(person.Name).ToBeVisibleAsync();
        await person.Name.FillAsync("  Ana ");
        await person.SayAsync("bonjour"); // a name that is typed and not yet confirmed counts
        await Expect(person.Me).ToHaveTextAsync("Ana");
        await Expect(person.Name).ToBeHiddenAsync();
        await Expect(person.Authors).ToHaveTextAsync(["Ana"]);
        await person.Online.ClickAsync();
        await Expect(person.Page.GetByRole(AriaRole.Listitem)).ToHaveTextAsync(["Zoé", "Ana (vous)"], new() { IgnoreCase = false });
        await person.Page.Locator("h1").ClickAsync(new() { Position = new() { X = 2, Y = 2 }, Force = true }); // a click beside closes it
        await Expect(person.Page.GetByRole(AriaRole.Listitem)).ToHaveCountAsync(0);
        await person.Page.ReloadAsync();
        await Expect(person.Me).ToHaveTextAsync("Ana");

        Person nameless = await OpenAsync(server);
        await nameless.SayAsync("sans nom");
        await Expect(nameless.Me).ToHaveTextAsync("Anonyme");
        await nameless.Page.ReloadAsync();
        await Expect(nameless.Name).ToBeHiddenAsync();
        foreach (string bad in (string[])["\u200B", "\u3164", new string('x', 33), "Ana\u202E", "A\u0301\u0301\u0301\u0301\u0301"])
        {
            await nameless.CallThemselvesAsync(bad);
            await Expect(nameless.Page.GetByText("Un nom visible, 32 caractères au plus, sur une ligne.")).ToBeVisibleAsync();
        }
        await nameless.Name.PressAsync("Escape");
        await Expect(nameless.Me).ToHaveTextAsync("Anonyme");
    }

    [Test]
    public async Task A_name_set_before_hello_reaches_the_server()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer witness = await Peer.ChatAsync(server);
        var gate = new TaskCompletionSource();
        Person person = await OpenAsync(server, prepare: page => page.RouteWebSocketAsync("**/ws?*", socket =>
        {
            IWebSocketRoute up = socket.ConnectToServer();
            up.OnMessage(async frame =>
            {
                await gate.Task; // a slow link
                socket.Send(frame.Text!);
            });
        }));
        await person.CallThemselvesAsync("Ana");
        gate.SetResult();
        await person.IsConnectedAsync();
        await person.SayAsync("c'est moi");
        Assert.That((string?)(await witness.ReceiveMessageAsync())["name"], Is.EqualTo("Ana"));
    }

    [Test]
    public async Task Rooms_one_has_been_in_are_in_the_menu_and_another_is_a_word_away()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server, "?room=un");
        await person.IsConnectedAsync();
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "un", Exact = true }).ClickAsync();
        await person.Page.GetByLabel("Autre salon").FillAsync("deux");
        await person.Page.GetByLabel("Autre salon").PressAsync("Enter");
        await Expect(person.Page.GetByRole(AriaRole.Heading)).ToHaveTextAsync("deux");
        await person.IsConnectedAsync();
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "deux", Exact = true }).ClickAsync();
        await person.Page.GetByRole(AriaRole.Link, new() { Name = "un", Exact = true }).ClickAsync();
        await Expect(person.Page.GetByRole(AriaRole.Heading)).ToHaveTextAsync("un");
    }

    [Test]
    public async Task What_is_new_since_one_was_away_is_marked_and_counted()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        await ana.SayAsync("k0", "vu");
        Person person = await OpenAsync(server);
        await person.SeesAsync("vu");
        await Expect(person.Dividers).ToHaveCountAsync(0);
        await HideAsync(person, true);
        await ana.SayAsync("k1", "pas vu");
        await ana.SayAsync("k2", "ni celui-ci");
        await Expect(person.Page).ToHaveTitleAsync("(2) salon · ChatMinimal");
        await Expect(person.Page.Locator("#icon")).ToHaveAttributeAsync("href", new Regex("^data:image/svg.xml,.*%3E2%3C%2Ftext%3E"));
        await HideAsync(person, false);
        await Expect(person.Page).ToHaveTitleAsync("salon · ChatMinimal");
        await Expect(person.Page.Locator("#icon")).ToHaveAttributeAsync("href", "favicon.svg");
        await Expect(person.Page.Locator("#m2 .divider")).ToHaveTextAsync("Nouveau depuis votre dernier passage");
        await Expect(person.Dividers).ToHaveCountAsync(1);

        await person.Page.GotoAsync("about:blank"); // away, for longer
        for (int i = 0; i < 70; i++)
            await ana.SayAsync($"n{i}", $"message {i}");
        while ((string)(await ana.ReceiveMessageAsync())["text"]! != "message 69") { }
        await person.Page.GotoAsync($"{server.Http}");
        await Expect(person.Messages.Last).ToHaveTextAsync("message 69");
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "70 nouveaux depuis votre dernier passage" }).ClickAsync();
        await Expect(person.Page.Locator("#m4 .divider")).ToHaveTextAsync("Nouveau depuis votre dernier passage");
        await Expect(person.Page.Locator("#m4")).ToBeInViewportAsync();
        await Expect(person.Messages.Filter(new() { HasTextRegex = new("^message 0$") })).ToBeInViewportAsync();
    }

    [Test]
    public async Task A_message_has_an_address_that_loads_what_surrounds_it()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0), ("KeepMessages", 900)));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana&last=0");
        for (int i = 1; i <= 1000; i++)
            await ana.SayAsync($"k{i}", $"message {i}");
        Person writer = await OpenAsync(server);
        await Expect(writer.Messages.Last).ToHaveTextAsync("message 1000");
        Assert.That(await writer.Page.Locator("#m990 .permalink").EvaluateAsync<string>("(link) => link.href"),
            Is.EqualTo($"{server.Http}#m990"));

        Person reader = await OpenAsync(server, "#m431");
        await Expect(reader.Page.Locator("#m431")).ToBeInViewportAsync();
        await Expect(reader.Page.Locator(".pointed p")).ToHaveTextAsync("message 431");
        await Expect(reader.Messages.Last).Not.ToHaveTextAsync("message 1000"); // the end is not on the page
        await reader.Page.EvaluateAsync("() => { location.hash = '#m980'; }");
        await Expect(reader.Page.Locator("#m980")).ToBeInViewportAsync();
        await Expect(reader.Page.Locator(".pointed p")).ToHaveTextAsync("message 980");
        await reader.Page.EvaluateAsync("() => { location.hash = '#m5'; }"); // no longer kept
        await Expect(reader.Page.GetByText("Ce message n’est pas (ou plus) dans ce salon.")).ToBeVisibleAsync();
        await reader.Page.EvaluateAsync("() => { location.hash = '#m300'; }");
        await Expect(reader.Page.Locator("#m300")).ToBeInViewportAsync();
        await reader.Newer.ClickAsync();
        await Expect(reader.Messages.Last).ToHaveTextAsync("message 1000");
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
    }

    [Test]
    public async Task One_jumps_to_a_date()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana&last=0");
        for (int i = 1; i <= 600; i++)
            await ana.SayAsync($"k{i}", $"message {i}");
        Person reader = await OpenAsync(server, "", new() { TimezoneId = "Europe/Paris" }, async page =>
            // As if message n had been said n hours after New Year, in Paris.
            await page.AddInitScriptAsync("""
                const at = ({ seq }) => new Date(2026, 0, 1, seq).toISOString();
                const parse = JSON.parse;
                JSON.parse = (text) => {
                  const said = parse(text);
                  for (const message of said?.messages ?? [said]) if (message?.at && message.seq) message.at = at(message);
                  return said;
                };
                """));
        await Expect(reader.Messages.Last).ToHaveTextAsync("message 600");
        await reader.Page.GetByRole(AriaRole.Button, new() { Name = "salon", Exact = true }).ClickAsync();
        await reader.Page.GetByLabel("Aller à une date").FillAsync("2026-01-11");
        await reader.Page.GetByLabel("Aller à une date").PressAsync("Enter");
        await Expect(reader.Page.Locator(".pointed p")).ToHaveTextAsync("message 240");
        await Expect(reader.Page.Locator(".pointed")).ToBeInViewportAsync();
        await Expect(reader.Page.Locator(".pointed .divider")).ToHaveTextAsync("dimanche 11 janvier 2026");
    }

    static async Task HideAsync(Person person, bool isHidden) => await person.Page.EvaluateAsync("""
        (isHidden) => {
          Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }
        """, isHidden);
}
