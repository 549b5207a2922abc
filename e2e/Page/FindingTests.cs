using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>Finding what was said, and taking it along.</summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class FindingTests(Profile profile) : PageTest(profile)
{
    const string Searches = "**/messages?*search=*";

    [Test]
    public async Task One_finds_a_message_by_its_words_and_goes_there()
    {
        using var folder = new ChatFolder();
        ChatServer server = Serve(ChatServer.StartWith(folder, ("MessagesPerSecond", 0)));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana&last=0");
        await ana.SayAsync("k1", "L’ÉTÉ dernier, un <b>café</b> crème");
        for (int i = 2; i <= 150; i++)
            await ana.SayAsync($"k{i}", $"message {i}");
        await ana.SayAsync("k151", "un été sans rien"); // not all of the words
        await IsFoundAsync(server, "ete cafe", 1);
        await IsFoundAsync(server, "sans", 1); // the index has seen all

        Person person = await OpenAsync(server);
        await Expect(person.Messages.Last).ToHaveTextAsync("un été sans rien");
        await Expect(person.Page.Locator("#m1")).ToHaveCountAsync(0); // not on the page
        await OpenMenuAsync(person);
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Chercher dans ce salon" }).ClickAsync();
        await Expect(Field(person)).ToBeFocusedAsync();
        await Field(person).FillAsync("ete caf");
        await Field(person).PressAsync("Enter");
        await Expect(Results(person)).ToHaveCountAsync(1);
        await Expect(Results(person).Locator(".author")).ToHaveTextAsync("Ana");
        await Expect(Results(person).Locator("time")).ToHaveTextAsync(new Regex(@"\d\d:\d\d"));
        await Expect(Results(person).Locator(".excerpt")).ToHaveTextAsync("L’ÉTÉ dernier, un <b>café</b> crème");
        await Expect(Results(person).Locator("mark")).ToHaveTextAsync(["ÉTÉ", "café"]);
        await Expect(Panel(person)).ToContainTextAsync("1 message");

        await Results(person).Locator("a").PressAsync("Enter");
        await Expect(Panel(person)).ToBeHiddenAsync();
        await Expect(person.Page.Locator("#m1.pointed")).ToBeInViewportAsync();
        await Expect(person.Page.Locator("#m1 .permalink")).ToBeFocusedAsync();
        await Expect(person.Page).ToHaveURLAsync($"{server.Http}#m1");
        await person.Page.Keyboard.PressAsync("Control+k"); // again, with what was found
        await Expect(Field(person)).ToHaveValueAsync("ete caf");
        await Results(person).Locator("a").ClickAsync(); // the address is that already
        await Expect(Panel(person)).ToBeHiddenAsync();
        await Expect(person.Page.Locator("#m1.pointed")).ToBeInViewportAsync();
    }

    [Test]
    public async Task Older_results_are_read_page_by_page_to_the_first()
    {
        using var folder = new ChatFolder();
        ChatServer server = Serve(ChatServer.StartWith(folder, ("MessagesPerSecond", 0), ("InviteKey", "sésame")));
        string invite = "invite=" + Uri.EscapeDataString("sésame");
        using Peer ana = await Peer.ChatAsync(server, $"name=Ana&last=0&{invite}");
        for (int i = 1; i <= 45; i++)
            await ana.SayAsync($"k{i}", $"cerise {i}");
        await IsFoundAsync(server, "cerise", 45, invite);
        Person person = await OpenAsync(server, "?" + invite);
        await person.IsConnectedAsync();
        await person.Input.PressAsync("Control+k");
        await Field(person).FillAsync("cerise");
        await Field(person).PressAsync("Enter");
        await SeesAsync(45, 26);
        await Expect(Panel(person)).ToContainTextAsync("Les 20 derniers messages qui ont ces mots");
        ILocator older = Panel(person).GetByRole(AriaRole.Button, new() { Name = "Plus anciens" });
        await older.PressAsync("Enter");
        await SeesAsync(45, 6);
        await Expect(Results(person).Nth(20).Locator("a")).ToBeFocusedAsync();
        await older.ClickAsync();
        await SeesAsync(45, 1);
        await Expect(older).ToBeHiddenAsync();
        await Expect(Panel(person)).ToContainTextAsync("45 messages");
        await person.Page.Keyboard.PressAsync("Escape");
        await Expect(Panel(person)).ToBeHiddenAsync();

        Task SeesAsync(int first, int last) => Expect(Results(person).Locator(".excerpt"))
            .ToHaveTextAsync(Enumerable.Range(last, first - last + 1).Reverse().Select(number => $"cerise {number}"));
    }

    [Test]
    public async Task What_is_not_found_or_cannot_be_searched_is_told()
    {
        Expected = ["status of 501", "status of 503", "net::ERR_FAILED"];
        Person person = await OpenAsync(Serve(ChatServer.Start())); // in memory only
        await person.IsConnectedAsync();
        await SearchAsync("cerise");
        await Expect(Panel(person)).ToContainTextAsync("Ce serveur ne sait pas chercher");

        string[] answers = ["abort", "503", "none", "late", "some"];
        var late = new TaskCompletionSource();
        await person.Page.RouteAsync(Searches, async route =>
        {
            string answer = new Uri(route.Request.Url).Query.Contains("search=late", StringComparison.Ordinal) ? "late" : answers[0];
            if (answer == "abort")
            {
                await route.AbortAsync();
                return;
            }
            if (answer == "late")
                await late.Task;
            JsonObject page = Page(answer is "some" or "late" ? [(7, $"{answer} cerise")] : []);
            await route.FulfillAsync(new()
            {
                Status = answer == "503" ? 503 : 200,
                ContentType = "application/json",
                Body = page.ToJsonString()
            });
        });
        await SearchAsync("cerise");
        await Expect(Panel(person)).ToContainTextAsync("La recherche n’est pas possible pour le moment.");
        answers[0] = "none";
        await SearchAsync("cerise");
        await Expect(Panel(person)).ToContainTextAsync("Aucun message n’a tous ces mots.");
        answers[0] = "503";
        await SearchAsync("cerise");
        await Expect(Panel(person)).ToContainTextAsync("La recherche n’est pas possible pour le moment.");
        await SearchAsync("late");
        await Expect(Panel(person)).ToContainTextAsync("Recherche…");
        answers[0] = "some";
        await SearchAsync("cerise");
        await Expect(Results(person).Locator(".excerpt")).ToHaveTextAsync(["some cerise"]);
        Task<IResponse> answered =
            person.Page.WaitForResponseAsync(response => response.Url.Contains("search=late", StringComparison.Ordinal));
        late.SetResult(); // another one has been asked for since
        await (await answered).FinishedAsync();
        await SearchAsync("cerise");
        await Expect(Results(person).Locator(".excerpt")).ToHaveTextAsync(["some cerise"]);

        async Task SearchAsync(string words)
        {
            if (!await Panel(person).IsVisibleAsync())
                await person.Input.PressAsync("Control+k");
            await Field(person).FillAsync(words);
            await Field(person).PressAsync("Enter");
        }
    }

    [Test]
    public async Task What_was_found_is_marked_in_any_script_and_in_linear_time()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        await person.Page.EvaluateAsync("() => load('search.css', 'search.js')");
        Assert.That(await MarkedAsync("un cafe\u0301 CAFÉ cafétéria décaféiné", "cafe"),
            Is.EqualTo("un [cafe\u0301] [CAFÉ] [cafétéria] décaféiné"));
        Assert.That(await MarkedAsync("la mer, le mercredi, amer", "mer la"), Is.EqualTo("[la] [mer], le mercredi, amer"));
        Assert.That(await MarkedAsync("привет МИР, Ещё", "мир еще"), Is.EqualTo("привет [МИР], [Ещё]"));
        Assert.That(await MarkedAsync("rien", "!?"), Is.EqualTo("rien"));
        string far = await MarkedAsync(string.Concat(Enumerable.Repeat("loin ", 1000)) + "ici "
            + string.Concat(Enumerable.Repeat("après ", 1000)), "ici");
        Assert.That(far, Does.StartWith("… loin ").And.Contain("loin [ici] après").And.EndWith(" après …").And.Length.LessThan(300));
        Assert.That(await MarkedAsync(string.Concat(Enumerable.Repeat("😀", 200)), "ici"),
            Is.EqualTo(string.Concat(Enumerable.Repeat("😀", 120)) + " …"));
        Assert.That(await MarkedAsync("a" + string.Concat(Enumerable.Repeat("😀", 200)), "ici"),
            Is.EqualTo("a" + string.Concat(Enumerable.Repeat("😀", 119)) + " …"), "no half of a pair");
        Assert.That(Regex.Count(await MarkedAsync(string.Concat(Enumerable.Repeat("a ", 30000)), "a"), @"\["), Is.LessThanOrEqualTo(51));
        // The best of five: a busy machine is slow, too, but not every time.
        double took = await person.Page.EvaluateAsync<double>("""
            () => {
              const hostile = ["x".repeat(65000), "e\u0301".repeat(21000), "a ".repeat(32000), "\u0301".repeat(32000)];
              return Math.max(...hostile.map((text) => Math.min(...Array.from({ length: 5 }, () => {
                const begin = performance.now();
                markedExcerpt(text, soughtIn("zzz"));
                return performance.now() - begin;
              }))));
            }
            """);
        Assert.That(took, Is.LessThan(500), "ms");

        Task<string> MarkedAsync(string text, string sought) => person.Page.EvaluateAsync<string>("""
            ([text, sought]) => {
              const nodes = markedExcerpt(text, soughtIn(sought));
              return nodes.map((node) => (node.nodeName === "MARK" ? `[${node.textContent}]` : node)).join("");
            }
            """, new[] { text, sought });
    }

    [TestCase(ColorScheme.Light), TestCase(ColorScheme.Dark)]
    public async Task Axe_finds_nothing_in_what_was_found(ColorScheme scheme)
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()), "", new() { BypassCSP = true, ColorScheme = scheme, Locale = "en-GB" });
        await person.IsConnectedAsync();
        await person.Page.RouteAsync(Searches, route => route.FulfillAsync(new()
        {
            ContentType = "application/json",
            Body = Page([.. Enumerable.Range(1, 20)
                .Select(seq => ((long)seq, $"some *words* {new string('w', 300)} and https://example.org/{seq}"))]).ToJsonString(),
        }));
        await person.Input.PressAsync("Control+k");
        ILocator field = person.Page.GetByLabel("Search this room").And(person.Page.Locator("input"));
        await field.FillAsync("words");
        await field.PressAsync("Enter");
        await Expect(Results(person)).ToHaveCountAsync(20);
        Assert.That(await Panel(person).EvaluateAsync<bool>("(panel) => panel.scrollWidth <= panel.clientWidth && document.documentElement.scrollWidth <= innerWidth"));
        AxeResult result = await person.Page.RunAxe();
        Assert.That(result.Violations.Select(violation => $"{violation.Id}: {violation.Nodes[0].Html}"), Is.Empty);
    }

    [Test]
    public async Task One_takes_a_room_along_as_lines_or_as_text_with_the_invitation()
    {
        ChatServer server = Serve(ChatServer.Start(("InviteKey", "sésame")));
        string query = $"?room=cours&invite={Uri.EscapeDataString("sésame")}";
        Person person = await OpenAsync(server, query);
        await person.CallThemselvesAsync("Ana");
        await person.SayAsync("à emporter");
        await Expect(person.Pending).ToHaveCountAsync(0);
        await OpenMenuAsync(person, "cours");
        IDownload lines = await person.Page.RunAndWaitForDownloadAsync(() => person.Page.GetByRole(AriaRole.Link,
            new() { Name = "JSON Lines" }).ClickAsync());
        Assert.That(lines.SuggestedFilename, Is.EqualTo("cours.jsonl"));
        JsonNode line = JsonNode.Parse(await File.ReadAllTextAsync(await lines.PathAsync()))!;
        Assert.That(((long)line["seq"]!, (string?)line["name"], (string?)line["text"]), Is.EqualTo((1L, "Ana", "à emporter")));
        IDownload text = await person.Page.RunAndWaitForDownloadAsync(() => person.Page.GetByRole(AriaRole.Link, new() { Name = "texte" })
            .ClickAsync());
        Assert.That(text.SuggestedFilename, Is.EqualTo("cours.txt"));
        Assert.That(await File.ReadAllTextAsync(await text.PathAsync()), Does.Contain("Ana").And.Contain("à emporter"));
        await Expect(person.Messages).ToHaveCountAsync(1); // the page has stayed
    }

    static Task OpenMenuAsync(Person person, string room = "salon") =>
        person.Page.GetByRole(AriaRole.Button, new() { Name = room, Exact = true }).ClickAsync();

    static ILocator Panel(Person person) => person.Page.Locator("#search");
    static ILocator Field(Person person) => person.Page.GetByRole(AriaRole.Searchbox, new() { Name = "Chercher dans ce salon" });
    static ILocator Results(Person person) => Panel(person).GetByRole(AriaRole.Listitem);

    static JsonObject Page(params (long Seq, string Text)[] messages) => new()
    {
        ["epoch"] = "e",
        ["first"] = 1,
        ["next"] = 100,
        ["messages"] = new JsonArray([.. messages.Select(message => (JsonNode)new JsonObject
            { ["seq"] = message.Seq, ["at"] = "2026-01-02T03:04:05.678Z", ["name"] = "Zoé", ["text"] = message.Text })]),
    };

    // What was just said is in the index a little later.
    internal static async Task IsFoundAsync(ChatServer server, string words, int count, string more = "")
    {
        using CancellationTokenSource limit = Rig.Patience();
        using var http = new HttpClient();
        JsonObject? page;
        do
            page = await http.GetFromJsonAsync<JsonObject>($"{server.Http}messages?last=100&search={Uri.EscapeDataString(words)}&{more}",
                limit.Token);
        while (page!["messages"]!.AsArray().Count != count);
    }
}
