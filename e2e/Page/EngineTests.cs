using System.Text.Json;
using NUnit.Framework;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// The stories that differ between engines (regular expressions, layout limits, scroll bars, forms), in Firefox and in WebKit. Where one
/// is not installed its stories are skipped, with the reason. E2E_LOOK names a folder for what they looked like.
/// </summary>
[TestFixture("Firefox"), TestFixture("WebKit"), Parallelizable(ParallelScope.Self), FixtureLifeCycle(LifeCycle.SingleInstance)]
public sealed class EngineTests(string name)
{
    IEngine _engine = null!; // one for all stories: each has a server, and so an origin, of its own

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        string? missing = name == "WebKit" ? WebKitEngine.Missing : FirefoxEngine.Program is null ? "firefox-esr" : null;
        if (!OperatingSystem.IsLinux() || missing is not null)
            Assert.Ignore($"{name}: {missing ?? "only on Linux"} is not installed");
        _engine = name == "WebKit" ? await WebKitEngine.StartAsync() : await FirefoxEngine.StartAsync();
    }

    [TearDown]
    public Task LookAsync() => LookAsync(TestContext.CurrentContext.Test.MethodName!);

    [OneTimeTearDown]
    public async Task EndAsync()
    {
        if (_engine is not null)
            await _engine.DisposeAsync();
    }

    [Test, CancelAfter(180_000)]
    public async Task One_talks_with_others_and_code_is_code()
    {
        await using var server = ChatServer.Start();
        using Peer peer = await Peer.ChatAsync(server, "name=Ana");
        await OpenAsync(server);
        await _engine.UntilAsync("!document.getElementById('empty').hidden"); // an invitation
        await _engine.TypeAsync("bonjour `code`\n");
        Assert.That((string)(await peer.ReceiveMessageAsync())["text"]!, Is.EqualTo("bonjour `code`"));
        await peer.SayAsync("k", "salut (https://example.org/Foo_(bar))");
        await _engine.UntilAsync("document.querySelectorAll('#messages p').length === 2");
        Assert.That((string?)await _engine.EvaluateAsync("document.querySelector('#messages p code').textContent"), Is.EqualTo("`code`"));
        Assert.That((string?)await _engine.EvaluateAsync("document.querySelector('#messages p a').textContent"),
            Is.EqualTo("https://example.org/Foo_(bar)"));
        Assert.That((string?)await _engine.EvaluateAsync("document.querySelector('.mark').className"), Is.EqualTo("mark committed"));
        await _engine.TypeAsync("brouillon");
        await OpenAsync(server); // forms are restored in each engine's own way
        await _engine.UntilAsync("document.getElementById('input').value === 'brouillon'");
    }

    [Test, CancelAfter(180_000)]
    public async Task No_message_freezes_it_and_the_newest_is_in_reach()
    {
        await using var server = ChatServer.Start(("MessagesPerSecond", 0));
        using Peer peer = await Peer.ChatAsync(server, "name=Ana");
        await OpenAsync(server);
        string[] hostile = ["http://a" + new string('.', 65000) + "x", string.Concat(Enumerable.Repeat("*a ", 20000)), new('`', 65000),
            string.Concat(Enumerable.Repeat("http://a.b ", 5900)), "Z" + string.Concat(Enumerable.Repeat("\u0301", 30000))];
        foreach (string text in hostile)
        {
            // The best of five: a busy machine is slow, too, but not every time.
            await _engine.EvaluateAsync($"void (globalThis.hostile = {JsonSerializer.Serialize(text)})");
            double took = (double)(await _engine.EvaluateAsync("""
                Math.min(...Array.from({ length: 5 }, () => {
                  const begin = performance.now();
                  MessageText.nodes(hostile);
                  return performance.now() - begin;
                }))
                """))!;
            Assert.That(took, Is.LessThan(500), "ms, whole");
            await peer.SayAsync($"h{text.GetHashCode()}", text);
        }
        for (int i = 0; i < 24; i++)
            await peer.SayAsync($"n{i}", "x" + new string('\n', 65000));
        await peer.SayAsync("last", "le mot de la fin");
        await _engine.UntilAsync("[...document.querySelectorAll('#messages p')].at(-1)?.textContent === 'le mot de la fin'");
        await _engine.UntilAsync("[...document.querySelectorAll('#messages p')].at(-1).getBoundingClientRect().bottom <= document.querySelector('main').getBoundingClientRect().bottom");
        Assert.That((int)(await _engine.EvaluateAsync("document.querySelectorAll('#messages p').length"))!,
            Is.EqualTo(hostile.Length + 25));
        Assert.That((bool)(await _engine.EvaluateAsync("document.getElementById('log').scrollWidth === document.getElementById('log').clientWidth"))!);
    }

    [Test, CancelAfter(180_000)]
    public async Task Reading_back_keeps_the_place()
    {
        await using var server = ChatServer.Start(("MessagesPerSecond", 0));
        using Peer peer = await Peer.ChatAsync(server, "name=Ana&last=0");
        for (int i = 1; i <= 300; i++)
            await peer.SayAsync($"k{i}", $"message {i}");
        await OpenAsync(server);
        await _engine.UntilAsync("document.getElementById('m300')");
        const string Place = "document.getElementById('m260').getBoundingClientRect().top";
        await _engine.EvaluateAsync("document.getElementById('m260').scrollIntoView()");
        double before = (double)(await _engine.EvaluateAsync(Place))!;
        await _engine.UntilAsync("log.oldest <= 201");
        Assert.That((double)(await _engine.EvaluateAsync(Place))!, Is.EqualTo(before).Within(1.5));
        await _engine.EvaluateAsync("void (location.hash = '#m3')");
        await _engine.UntilAsync("document.querySelector('.pointed')?.id === 'm3'");
    }

    [Test, CancelAfter(180_000)]
    public async Task What_was_written_while_the_link_was_down_is_said_once()
    {
        var server = ChatServer.Start();
        await OpenAsync(server);
        await server.DisposeAsync();
        await _engine.UntilAsync("document.getElementById('status').dataset.state === 'waiting'");
        await _engine.TypeAsync("pendant\n");
        await _engine.UntilAsync("document.querySelector('.mark.pending')");
        await using ChatServer again = server.StartAgain();
        using Peer witness = await Peer.ChatAsync(again);
        await _engine.EvaluateAsync("connection.tryNow()");
        Assert.That((string)(await witness.ReceiveMessageAsync())["text"]!, Is.EqualTo("pendant"));
        await _engine.UntilAsync("!document.querySelector('.mark.pending') && document.querySelectorAll('#messages p').length === 1");
    }

    [Test, CancelAfter(180_000)]
    public async Task The_field_has_no_scroll_bar_below_eight_lines()
    {
        await using var server = ChatServer.Start();
        await OpenAsync(server);
        for (int lines = 1; lines <= 8; lines++)
        {
            await _engine.EvaluateAsync($"void (composer.text = {JsonSerializer.Serialize(string.Join('\n', Enumerable.Range(1, lines)))})");
            Assert.That((int)(await _engine.EvaluateAsync("document.getElementById('input').scrollHeight - document.getElementById('input').clientHeight"))!, Is.Zero, $"{lines} lines");
        }
    }

    [Test, CancelAfter(180_000)]
    public async Task Two_thousand_messages_a_second_keep_it_responsive()
    {
        await using var server = ChatServer.Start();
        await OpenAsync(server);
        await _engine.EvaluateAsync("""
            (() => {
              const count = 4_000;
              globalThis.longest = 0;
              const begin = performance.now();
              let [seq, last] = [1, begin];
              const step = () => {
                const now = performance.now();
                longest = Math.max(longest, now - last);
                const due = Math.min(count, Math.floor(2 * (now - begin)));
                for (; seq <= due; seq++) {
                  const data = JSON.stringify({ type: "message", seq, at: new Date().toISOString(), name: `n${seq % 7}`, text: `message ${seq} \`code\` https://example.org/${seq}` });
                  connection.socket.onmessage({ data });
                }
                last = performance.now();
                if (seq <= count) setTimeout(step);
                else globalThis.isOver = true;
              };
              step();
            })()
            """);
        await _engine.UntilAsync("globalThis.isOver && [...document.querySelectorAll('#messages p')].at(-1)?.textContent.startsWith('message 4000 ')");
        double longest = (double)(await _engine.EvaluateAsync("longest"))!,
            loaded = (double)(await _engine.EvaluateAsync("performance.getEntriesByType('navigation')[0].loadEventEnd"))!;
        await TestContext.Out.WriteLineAsync($"{name}: longest wait for a turn {longest:F0} ms; loaded after {loaded:F0} ms");
        Assert.That((int)(await _engine.EvaluateAsync("document.querySelectorAll('#messages p').length"))!, Is.EqualTo(400));
        Assert.That(longest, Is.LessThan(100 * BurstTests.Slack), "ms");
    }

    [Test, CancelAfter(180_000)]
    public async Task The_first_message_is_there_soon()
    {
        await using var server = ChatServer.Start();
        using Peer peer = await Peer.ChatAsync(server, "name=Ana");
        await peer.SayAsync("k", "bonjour");
        await peer.ReceiveMessageAsync();
        var times = new List<double>();
        for (int round = 0; round < 5; round++)
        {
            await _engine.OpenAsync($"{server.Http}?round={round}");
            // At most: it may have been there for a while
            await _engine.UntilAsync("document.querySelector('#messages p') && (globalThis.seenAt ??= performance.now())");
            times.Add((double)(await _engine.EvaluateAsync("seenAt"))!);
        }
        times.Sort();
        await TestContext.Out.WriteLineAsync($"{name}: first message after {times[2]:F0} ms (median of five)");
        Assert.That(times[2], Is.LessThan(300 * BurstTests.Slack));
    }

    [TestCase(1280, 800, "light"), TestCase(1280, 800, "dark"), TestCase(390, 844, "light"), TestCase(390, 844, "dark"),
        CancelAfter(180_000)]
    public async Task In_every_state_nothing_sticks_out_and_all_is_in_reach(int width, int height, string scheme)
    {
        using var folder = new ChatFolder();
        var server = ChatServer.StartWith(folder);
        await _engine.ResizeAsync(width, height);
        try
        {
            await OpenAsync(server);
            await _engine.EvaluateAsync($"void (document.documentElement.style.colorScheme = '{scheme}')");
            await _engine.UntilAsync("!document.getElementById('empty').hidden");
            await fitsAsync("empty");
            await _engine.EvaluateAsync("void [...document.querySelectorAll('#empty details')].forEach((one) => { one.open = true; })");
            await fitsAsync("programs");

            using Peer ana = await Peer.ChatAsync(server, "name=Ana"), wide = await Peer.ChatAsync(server, "name=" + new string('W', 32));
            await ana.SayAsync("a1", "Bonjour ! Voici `let a = 1;` et *ceci*, **cela**, (voir https://en.wikipedia.org/wiki/Foo_(bar)).");
            await ana.SayAsync("a2", "```js\nfor (const message of messages) {\n\tconsole.log(message.text, 'une ligne de code qui est bien plus large que ne le sera jamais un téléphone');\n}\n```");
            await ana.SayAsync("a3", string.Join('\n', Enumerable.Range(1, 60)));
            await wide.SayAsync("w1", new string('x', 500));
            await wide.SayAsync("w2", "שלום لكم 日本語 😀 https://example.org/" + new string('y', 200));
            await _engine.TypeAsync("bien reçu\n");
            await _engine.UntilAsync("document.querySelectorAll('.committed').length === 1 && document.querySelectorAll('#messages p').length === 6");
            await _engine.EvaluateAsync("void (location.hash = '#m4')");
            await _engine.UntilAsync("document.querySelector('.pointed')");
            await fitsAsync("busy");
            await _engine.EvaluateAsync("log.jumpToEnd()");
            await _engine.EvaluateAsync("void document.getElementById('menu').showPopover()");
            await fitsAsync("menu");
            await _engine.EvaluateAsync("void document.getElementById('menu').hidePopover()");
            await FindingTests.IsFoundAsync(server, "reçu", 1); // the index has seen all
            await _engine.EvaluateAsync("find()");
            await _engine.UntilAsync("document.activeElement?.id === 'sought'");
            await _engine.TypeAsync("une code est\n");
            await _engine.UntilAsync("document.querySelectorAll('#search mark').length === 3");
            await fitsAsync("search");
            await _engine.EvaluateAsync("void document.getElementById('search').hidePopover()");
            await _engine.EvaluateAsync("void document.getElementById('input').focus()");

            await server.DisposeAsync();
            await _engine.UntilAsync("document.getElementById('status').dataset.state === 'waiting'");
            await _engine.TypeAsync("en attente\n");
            await _engine.EvaluateAsync("notify(words[503])");
            await _engine.UntilAsync("document.querySelector('.pending')");
            // Whoever was at the end stays there, though the notice takes some of the view.
            await _engine.UntilAsync("document.getElementById('notice').offsetHeight > 0 && document.querySelector('.pending').getBoundingClientRect().bottom <= document.querySelector('main').getBoundingClientRect().bottom");
            await fitsAsync("disconnected");
        }
        finally
        {
            await server.DisposeAsync();
            await _engine.ResizeAsync(1280, 800);
        }

        async Task fitsAsync(string state)
        {
            await LookAsync($"{state}-{width}-{scheme}");
            string? wrong = (string?)await _engine.EvaluateAsync("""
                [
                  document.documentElement.scrollWidth > innerWidth && "the page is wider than its window",
                  document.getElementById("log").scrollWidth > document.getElementById("log").clientWidth && "the log is wider than its view",
                  ...["send", "input", "status", "room"].map((id) => {
                    const { left, right, top, bottom } = document.getElementById(id).getBoundingClientRect();
                    return (left < 0 || right > innerWidth + 0.5 || top < 0 || bottom > innerHeight + 0.5) && `${id} is out of reach`;
                  }),
                ].filter(Boolean).join()
                """);
            Assert.That(wrong, Is.Empty, state);
        }
    }

    /// <summary>Takes a picture for whoever wants to look.</summary>
    async Task LookAsync(string state)
    {
        if (Environment.GetEnvironmentVariable("E2E_LOOK") is { Length: > 0 } folder)
            await File.WriteAllBytesAsync(Path.Combine(folder, $"{name}-{state}.png"), await _engine.ScreenshotAsync());
    }

    async Task OpenAsync(ChatServer server)
    {
        await _engine.OpenAsync($"{server.Http}");
        await _engine.UntilAsync("document.getElementById('status').dataset.state === 'connected' && document.activeElement === document.getElementById('input')");
    }
}
