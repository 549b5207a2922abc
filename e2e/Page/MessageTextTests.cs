using CsCheck;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>Other people's text on the page: formatted, linked, bounded.</summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class MessageTextTests(Profile profile) : PageTest(profile)
{
    static readonly string[] s_pieces =
    [
        "`", "```", "```js\n", "\n```\n", "*", "**", "_", "\n", "\n\n", " ", "a", "mot", "https://", "http://a.example/", "(", ")", "[",
            "]", ".", "...", "、", "é", "\U0001F600",
        "\u202E", "\u0301", "<b>", "&amp;", "javascript:", "https://example.org/Foo_(bar)", "https://пример.example/", "\\", "'", "\"",
            "\0", "\r\n", "\uFEFF", "😀*x*",
    ];

    [Test]
    public async Task The_text_content_of_any_message_is_the_message()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        var texts = new List<string>();
        Gen.Int[0, s_pieces.Length - 1].Select(piece => s_pieces[piece]).Array[0, 40].Select(string.Concat)
            .Sample(texts.Add, iter: 2000, threads: 1);
        string[] changed = await person.Page.EvaluateAsync<string[]>("""
            (texts) => texts.filter((text) => {
              const element = document.createElement("p");
              element.append(...MessageText.nodes(text));
              const isAllowed = [...element.querySelectorAll("*")].every((one) => one.matches("a[href^=http], code, em, strong, .syntax, .fence, .copy"));
              return element.textContent !== text || !isAllowed;
            })
            """, texts);
        Assert.That(changed, Is.Empty);
    }

    [TestCase("(see https://en.wikipedia.org/wiki/Foo_(bar))", "https://en.wikipedia.org/wiki/Foo_(bar)")]
    [TestCase("[https://example.org/a]", "https://example.org/a")]
    [TestCase("voir https://example.org/a?b=c&d=(e). ou (http://example.org/f), pas", "https://example.org/a?b=c&d=(e)",
        "http://example.org/f")]
    [TestCase("見て：https://example.org/a。次は（https://example.org/b）、", "https://example.org/a", "https://example.org/b")]
    [TestCase("«\u00A0https://example.org/a\u00A0» “https://example.org/b” https://example.org/c…", "https://example.org/a",
        "https://example.org/b", "https://example.org/c")]
    [TestCase("pas ftp://x.example ni javascript:alert(1) ni https:// ni http://[")]
    public async Task Links_end_where_people_expect(string text, params string[] expected)
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        await person.SayAsync(text);
        await Expect(person.Messages.GetByRole(AriaRole.Link)).ToHaveTextAsync(expected);
        await person.SeesAsync(text);
    }

    [Test]
    public async Task An_address_that_could_mislead_is_shown_as_the_address_it_is()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        await person.SayAsync("https://аррle.com/login et https://example.org/\u202Egpj.exe et https://example.org/é");
        string[] shown = await person.Messages.GetByRole(AriaRole.Link)
            .EvaluateAllAsync<string[]>("(links) => links.map((link) => getComputedStyle(link, '::after').content)");
        Assert.That(shown, Is.EqualTo(["\" (xn--le-6kc8da.com)\"", "\" (https://example.org/%E2%80%AEgpj.exe)\"", "none"]));
    }

    [Test]
    public async Task Code_is_shown_as_code_and_copied_as_it_is_over_http_too()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server,
            prepare: page => page.AddInitScriptAsync("Object.defineProperty(navigator, 'clipboard', { value: undefined });"));
        await person.SayAsync("essayez `let a = *1*;` et *ceci* **cela** :\n```js\nif (a) {\n\tb(`*`);\n}\n```\nvoilà");
        ILocator message = person.Messages.First;
        await Expect(message.Locator("code")).ToHaveTextAsync(["`let a = *1*;`", "if (a) {\n\tb(`*`);\n}"]);
        await Expect(message.Locator("em")).ToHaveTextAsync("*ceci*");
        await Expect(message.Locator("strong")).ToHaveTextAsync("**cela**");
        Assert.That(await message.InnerTextAsync(), Does.StartWith("essayez let a = *1*; et ceci cela :").And.EndsWith("voilà"),
            "what only marks is not shown");
        await person.Page.EvaluateAsync(StopTime); // it says so for a moment only
        await message.GetByRole(AriaRole.Button, new() { Name = "Copier" }).ClickAsync();
        await Expect(message.GetByRole(AriaRole.Button, new() { Name = "Copié" })).ToBeVisibleAsync();
        await person.Input.FocusAsync();
        await person.Page.Keyboard.PressAsync("Control+V");
        await Expect(person.Input).ToHaveValueAsync("if (a) {\n\tb(`*`);\n}");
    }

    [Test]
    public async Task No_message_is_too_much()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer peer = await Peer.ChatAsync(server, "name=Zoe");
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        string[] hostile =
        [
            "http://a" + new string('.', 65000) + "x", string.Concat(Enumerable.Repeat("*a ", 20000)), new('`', 65000),
                string.Concat(Enumerable.Repeat("```\n", 16000)),
            string.Concat(Enumerable.Repeat("http://a.b ", 5900)), "http://a/" + new string('(', 65000),
                string.Concat(Enumerable.Repeat("\u0647\u200D", 13000)), "Z" + string.Concat(Enumerable.Repeat("\u0301", 30000)),
            new('W', 65000), string.Concat(Enumerable.Repeat("\u202E", 20000)) + "x",
        ];
        for (int i = 0; i < hostile.Length; i++)
            await peer.SayAsync($"h{i}", hostile[i]);
        for (int i = 0; i < 24; i++)
            await peer.SayAsync($"n{i}", "x" + new string('\n', 65000));
        await peer.SayAsync("last", "le mot de la fin");
        await Expect(person.Messages.Last).ToHaveTextAsync("le mot de la fin");
        await Expect(person.Messages.Last).ToBeInViewportAsync(new() { Ratio = 1 });
        await Expect(person.Messages).ToHaveCountAsync(hostile.Length + 25);
        int[] most = await person.Log.EvaluateAsync<int[]>("""
            (log) => [
              log.scrollWidth - log.clientWidth,
              Math.max(...[...log.querySelectorAll(".message")].map((one) => one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).fontSize))),
              Math.max(...[...log.querySelectorAll("p")].map((one) => one.querySelectorAll("*").length)),
            ]
            """);
        Assert.That(most[0], Is.Zero, "no wider than the view");
        Assert.That(most[1], Is.LessThan(300), "nor higher than a few views, in em");
        Assert.That(most[2], Is.LessThan(700), "nor more elements than a page of text has");

        ILocator long_ = person.Page.Locator("#m9"); // 65,000 W
        await long_.GetByRole(AriaRole.Button, new() { NameRegex = new("^Tout afficher") }).ClickAsync();
        await Expect(long_.Locator("p")).ToHaveTextAsync(hostile[8]);
        Assert.That((await long_.BoundingBoxAsync())!.Height, Is.LessThan(844), "unfolded, it scrolls in a box of its own");
    }

    [Test]
    public async Task A_long_text_that_was_refused_is_folded_and_edited_whole()
    {
        ChatServer server = Serve(ChatServer.Start(("MaxMessageBytes", 1000)));
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.Page.EvaluateAsync("() => { composer.limit = 100000; }");
        string text = string.Join('\n', Enumerable.Range(1, 400));
        await person.SayAsync(text);
        await Expect(person.Messages.First).ToHaveTextAsync("1\n2\n3\n4");
        await Expect(person.Log.GetByRole(AriaRole.Img, new() { Name = "Refusé" })).ToBeVisibleAsync();
        await person.Page.ReloadAsync(); // still refused, still folded
        await Expect(person.Messages.First).ToHaveTextAsync("1\n2\n3\n4");
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Corriger" }).ClickAsync();
        await Expect(person.Input).ToHaveValueAsync(text);
        await person.Page.ReloadAsync();
        await Expect(person.Input).ToHaveValueAsync(text);
        await Expect(person.Messages).ToHaveCountAsync(0);
    }

    [Test]
    public async Task Whatever_throws_while_a_message_is_shown_costs_its_links_and_nothing_else()
    {
        Expected = ["Error: not today"];
        ChatServer server = Serve(ChatServer.Start());
        using Peer peer = await Peer.ChatAsync(server);
        Person person = await OpenAsync(server,
            prepare: page => page.AddInitScriptAsync("URL.canParse = () => { throw new Error('not today'); };"));
        await person.IsConnectedAsync();
        await peer.SayAsync("a", "avant");
        await peer.SayAsync("b", "voir https://example.org/ là");
        await peer.SayAsync("c", "après");
        await person.SeesAsync("avant", "voir https://example.org/ là", "après");
    }
}
