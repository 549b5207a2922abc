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
        Assert.That((string)(await peer.HearMessageAsync())["text"]!, Is.EqualTo("bonjour `code`"));
        await peer.SayAsync("k", "salut (https://example.org/Foo_(bar))");
        await _engine.UntilAsync("document.querySelectorAll('#messages p').length === 2");
        Assert.That((string?)await _engine.EvaluateAsync("document.querySelector('#messages p code').textContent"), Is.EqualTo("`code`"));
        Assert.That((string?)await _engine.EvaluateAsync("document.querySelector('#messages p a').textContent"), Is.EqualTo("https://example.org/Foo_(bar)"));
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
        string[] hostile = ["http://a" + new string('.', 65000) + "x", string.Concat(Enumerable.Repeat("*a ", 20000)), new('`', 65000), string.Concat(Enumerable.Repeat("http://a.b ", 5900)), "Z" + string.Concat(Enumerable.Repeat("\u0301", 30000))];
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
        Assert.That((int)(await _engine.EvaluateAsync("document.querySelectorAll('#messages p').length"))!, Is.EqualTo(hostile.Length + 25));
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
        Assert.That((string)(await witness.HearMessageAsync())["text"]!, Is.EqualTo("pendant"));
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
        double longest = (double)(await _engine.EvaluateAsync("longest"))!, loaded = (double)(await _engine.EvaluateAsync("performance.getEntriesByType('navigation')[0].loadEventEnd"))!;
        await TestContext.Out.WriteLineAsync($"{name}: longest wait for a turn {longest:F0} ms; loaded after {loaded:F0} ms");
        Assert.That((int)(await _engine.EvaluateAsync("document.querySelectorAll('#messages p').length"))!, Is.EqualTo(400));
        Assert.That(longest, Is.LessThan(100 * BurstTests.Slack), "ms");
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
