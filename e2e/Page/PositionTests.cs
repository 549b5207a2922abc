using System.Text.Json.Nodes;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>What the page does with its position (epoch, seq, at) and its outbox, whatever the server says.</summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class PositionTests(Profile profile) : PageTest(profile)
{
    const string NewLog = "Le salon a recommencé à zéro";

    readonly ScriptedServer _script = new();

    [SetUp]
    public void SocketsAreCut() => Expected = NoConnection;

    async Task<Person> OpenAsync() => await OpenAsync(Serve(ChatServer.Start()), prepare: _script.TakeOverAsync);

    [Test, CancelAfter(150_000)]
    public async Task A_resume_says_epoch_seq_and_the_time_exactly_as_it_was_told(CancellationToken cancel)
    {
        Person person = await OpenAsync();
        Dictionary<string, string> first = await _script.OpenedAsync(cancel);
        Assert.That(first.Keys, Has.None.AnyOf("epoch", "after", "at"));
        _script.Hello("E1", 1, 3);
        _script.Message(1, "un");
        _script.Message(2, "deux", at: "2026-01-02T03:04:05.6789012+00:00");
        await person.SeesAsync("un", "deux");

        await _script.CutAsync();
        Dictionary<string, string> second = await _script.OpenedAsync(cancel);
        Assert.That((second["epoch"], second["after"], second["at"]), Is.EqualTo(("E1", "2", "2026-01-02T03:04:05.6789012+00:00")));
        _script.Hello("E1", 1, 4, resumed: true);
        _script.Message(3, "trois");
        await person.SeesAsync("un", "deux", "trois");
        await Expect(person.Log).Not.ToContainTextAsync(NewLog);
    }

    [TestCase("E1", 5, false), TestCase("E1", 5, null), TestCase("E2", 5, null), TestCase("E1", 2, true), CancelAfter(150_000)]
    public async Task A_position_that_did_not_hold_starts_over_says_so_and_keeps_the_outbox(string epoch, int next, bool? resumed,
        CancellationToken cancel)
    {
        Person person = await OpenAsync();
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 3);
        _script.Message(1, "un");
        _script.Message(2, "deux");
        await person.SeesAsync("un", "deux");
        await person.SayAsync("en chemin");
        string key = (string)(await _script.ReceivedAsync("say", cancel))["key"]!;

        await _script.CutAsync();
        await _script.OpenedAsync(cancel);
        _script.Hello(epoch, 1, next, resumed);
        for (int seq = 1; seq < next; seq++)
            _script.Message(seq, $"autre {seq}");
        await Expect(person.Dividers.Filter(new() { HasText = NewLog })).ToHaveCountAsync(1);
        Assert.That((string)(await _script.ReceivedAsync("say", cancel))["key"]!, Is.EqualTo(key), "the outbox is kept, key and all");
        _script.Message(next, "en chemin", key, name: null);
        await person.SeesAsync(["un", "deux", .. Enumerable.Range(1, next - 1).Select(seq => $"autre {seq}"), "en chemin"]);
        await Expect(person.Pending).ToHaveCountAsync(0);
    }

    [Test, CancelAfter(150_000)]
    public async Task Hello_said_again_on_an_open_socket_is_another_log(CancellationToken cancel)
    {
        Person person = await OpenAsync();
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 2);
        _script.Message(1, "un");
        await person.SeesAsync("un");
        _script.Hello("E1", 1, 2); // nothing has changed
        _script.Message(2, "deux");
        await person.SeesAsync("un", "deux");
        _script.Hello("E2", 1, 2);
        _script.Message(1, "ailleurs");
        await person.SeesAsync("un", "deux", "ailleurs");
        await Expect(person.Dividers.Filter(new() { HasText = NewLog })).ToHaveCountAsync(1);
        await _script.CutAsync();
        Dictionary<string, string> again = await _script.OpenedAsync(cancel);
        Assert.That((again["epoch"], again["after"]), Is.EqualTo(("E2", "1")));
    }

    [Test, CancelAfter(150_000)]
    public async Task A_key_that_is_taken_is_a_refused_text_that_goes_out_under_a_new_key(CancellationToken cancel)
    {
        Person person = await OpenAsync();
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 1);
        await person.SayAsync("deux fois");
        string key = (string)(await _script.ReceivedAsync("say", cancel))["key"]!;
        _script.Send(new JsonObject
        {
            ["type"] = "refused",
            ["key"] = key,
            ["reason"] = "key_taken",
            ["detail"] = "this key is another message's"
        });
        await Expect(person.Log).ToContainTextAsync("un autre porte déjà son numéro");
        _script.Message(1, "celui qui l'avait", key);
        await person.SeesAsync("celui qui l'avait", "deux fois");
        await Expect(person.Authors).ToHaveTextAsync(["Zoé", "Anonyme"]);

        await person.Page.ReloadAsync(); // refused is not lost, and not said again by itself
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 1);
        await Expect(person.Log).ToContainTextAsync("un autre porte déjà son numéro");
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Corriger" }).ClickAsync();
        await Expect(person.Input).ToHaveValueAsync("deux fois");
        await person.Input.PressAsync("Enter");
        JsonObject again = await _script.ReceivedAsync("say", cancel);
        Assert.That(((string)again["text"]!, (string)again["key"]! == key), Is.EqualTo(("deux fois", false)));
    }

    [Test, CancelAfter(150_000)]
    public async Task Each_message_goes_out_under_the_name_it_was_written_with(CancellationToken cancel)
    {
        Person person = await OpenAsync();
        await _script.OpenedAsync(cancel);
        await person.CallThemselvesAsync("Ana"); // before hello: the socket's address did not say it
        await person.SayAsync("d'Ana");
        await person.CallThemselvesAsync("Béa");
        await person.SayAsync("de Béa");
        _script.Hello("E1", 1, 1);
        var order = new List<string>();
        foreach (string type in (string[])["name", "say", "name", "say"])
            order.Add((string)(await _script.ReceivedAsync(type, cancel))[type == "say" ? "text" : "name"]!);
        Assert.That(order, Is.EqualTo(["Ana", "d'Ana", "Béa", "de Béa"]));
        await Expect(person.Authors).ToHaveTextAsync(["Ana", "Béa"]);
    }

    [Test, CancelAfter(150_000)]
    public async Task Up_to_three_who_type_are_named_in_either_form(CancellationToken cancel)
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()), prepare: async page =>
        {
            await _script.TakeOverAsync(page);
            await page.Clock.InstallAsync();
            await page.Clock.PauseAtAsync(DateTime.UtcNow.AddHours(1)); // it is shown for a moment only
        });
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 1);
        ILocator typing = person.Page.Locator("#typing");
        _script.Send(new JsonObject { ["type"] = "typing", ["names"] = new JsonArray("Ana", "Zoé", "") });
        await Expect(typing).ToHaveTextAsync("Ana, Zoé, Quelqu’un écrivent…");
        await person.Page.Clock.RunForAsync(5_000);
        await Expect(typing).ToHaveTextAsync("");
        _script.Send(new JsonObject { ["type"] = "typing", ["name"] = "Luc" });
        await Expect(typing).ToHaveTextAsync("Luc écrit…");
    }

    [Test, CancelAfter(150_000)]
    public async Task What_came_while_the_link_was_down_is_news_and_a_gap_is_what_it_is(CancellationToken cancel)
    {
        Person person = await OpenAsync();
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 2);
        _script.Message(1, "un");
        await person.SeesAsync("un");
        await Expect(person.Page.Locator("#m1")).ToHaveAttributeAsync("aria-live", "off"); // history is not read aloud
        await _script.CutAsync();
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 6, 7, resumed: true);
        _script.Send(new JsonObject { ["type"] = "gap", ["from"] = 2, ["to"] = 5 });
        _script.Message(6, "six");
        await person.SeesAsync("un", "six");
        await Expect(person.Dividers.Filter(new() { HasText = "4 messages ne sont plus conservés" })).ToHaveCountAsync(1);
        await Expect(person.Page.Locator("#m6")).Not.ToHaveAttributeAsync("aria-live", "off");
    }

    [Test, CancelAfter(150_000)]
    public async Task What_was_read_over_HTTP_before_the_socket_brings_it_is_shown_once(CancellationToken cancel)
    {
        Person person = await OpenAsync();
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 2);
        _script.Message(1, "un");
        await person.SeesAsync("un");
        await person.SayAsync("deux");
        string key = (string)(await _script.ReceivedAsync("say", cancel))["key"]!;
        await person.Page.EvaluateAsync("(key) => log.extend([{ seq: 2, at: '2026-01-02T03:04:05Z', text: 'deux', key }], (key) => connection.isMine(key))", key);
        _script.Message(2, "deux", key, name: null);
        _script.Message(3, "trois");
        await person.SeesAsync("un", "deux", "trois");
        await Expect(person.Pending).ToHaveCountAsync(0);
    }

    [Test, CancelAfter(150_000)]
    public async Task What_one_server_has_not_taken_is_never_said_to_another(CancellationToken cancel)
    {
        string page = new Uri(Path.Combine(BuiltProcess.PathOf("Root"), "web", "index.html")).AbsoluteUri;
        Person person = await OpenAsync($"{page}?server=127.0.0.1:1", prepare: _script.TakeOverAsync);
        await _script.OpenedAsync(cancel);
        await person.SayAsync("pour A seulement");
        await Expect(person.Pending).ToHaveCountAsync(1);
        await person.Input.FillAsync("un brouillon pour A");

        await person.Page.GotoAsync($"{page}?server=127.0.0.1:2");
        await _script.OpenedAsync(cancel);
        _script.Hello("E1", 1, 1);
        await person.IsConnectedAsync();
        await Expect(person.Pending).ToHaveCountAsync(0);
        await Expect(person.Input).ToHaveValueAsync("");
        await person.SayAsync("pour B");
        Assert.That((string)(await _script.ReceivedAsync("say", cancel))["text"]!, Is.EqualTo("pour B"));

        await person.Page.GotoAsync($"{page}?server=127.0.0.1:1");
        await _script.OpenedAsync(cancel);
        await Expect(person.Input).ToHaveValueAsync("un brouillon pour A");
        _script.Hello("E9", 1, 1);
        Assert.That((string)(await _script.ReceivedAsync("say", cancel))["text"]!, Is.EqualTo("pour A seulement"));
    }

    [Test, CancelAfter(150_000)]
    public async Task Two_tabs_keep_apart_what_is_pending_and_the_next_takes_over_what_a_closed_one_left(CancellationToken cancel)
    {
        Person one = await OpenAsync();
        await _script.OpenedAsync(cancel);
        IPage other = await one.Page.Context.NewPageAsync();
        await _script.TakeOverAsync(other);
        await other.GotoAsync(one.Page.Url);
        await _script.OpenedAsync(cancel);
        var two = new Person(other);
        await one.SayAsync("du premier");
        await two.SayAsync("du second");
        await one.SayAsync("encore du premier");
        await two.Input.FillAsync("un brouillon");
        await other.CloseAsync(new() { RunBeforeUnload = true });

        await one.Page.ReloadAsync();
        await _script.OpenedAsync(cancel);
        await one.SeesAsync("du premier", "du second", "encore du premier");
        await Expect(one.Pending).ToHaveCountAsync(3);
        await Expect(one.Input).ToHaveValueAsync("un brouillon");
        _script.Hello("E1", 1, 1);
        foreach (string text in (string[])["du premier", "du second", "encore du premier"])
            Assert.That((string)(await _script.ReceivedAsync("say", cancel))["text"]!, Is.EqualTo(text));
    }
}
