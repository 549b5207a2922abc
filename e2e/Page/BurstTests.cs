using System.Text.Json.Nodes;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// Much at once, and for long: what it costs the page. The figures are printed; what is asserted has room for a busy machine.
/// </summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone), NonParallelizable]
public sealed class BurstTests(Profile profile) : PageTest(profile)
{
    [Test, CancelAfter(120_000)]
    public async Task Two_thousand_messages_a_second_keep_input_responsive(CancellationToken cancel)
    {
        ChatServer server = Serve(ChatServer.Start());
        var script = new ScriptedServer();
        Person person = await OpenAsync(server, prepare: script.TakeOverAsync);
        await script.OpenedAsync(cancel);
        script.Hello("E1", 1, 1);
        await person.IsConnectedAsync();
        // The messages come from inside the page: the link of the test is not what is measured.
        JsonNode figures = JsonNode.Parse(await person.Page.EvaluateAsync<string>("""
            async () => {
              const long = [];
              new PerformanceObserver((list) => long.push(...list.getEntries().map((task) => Math.round(task.duration)))).observe({ type: "longtask" });
              const frames = [];
              let last = performance.now();
              let isRunning = true;
              const frame = (now) => {
                frames.push(now - last);
                last = now;
                if (isRunning) requestAnimationFrame(frame);
              };
              requestAnimationFrame(frame);
              const SECONDS = 2;
              const begin = performance.now();
              for (let seq = 1; seq <= 2000 * SECONDS; ) {
                const due = Math.min(2000 * SECONDS, Math.floor(2 * (performance.now() - begin)));
                for (; seq <= due; seq++) {
                  const data = JSON.stringify({ type: "message", seq, at: new Date().toISOString(), name: `n${seq % 7}`, text: `message ${seq} \`code\` https://example.org/${seq}` });
                  connection.socket.onmessage({ data });
                }
                await new Promise((done) => setTimeout(done, 2));
              }
              await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
              isRunning = false;
              frames.sort((a, b) => a - b);
              return JSON.stringify({
                shown: document.querySelectorAll("#messages p").length, last: document.querySelector("#messages .message:last-child p")?.textContent ?? "",
                longest: Math.max(0, ...long), count: long.length, p99: Math.round(frames[Math.floor(frames.length * 0.99)]), elements: document.querySelectorAll("*").length,
              });
            }
            """))!;
        await TestContext.Out.WriteLineAsync($"burst: {figures.ToJsonString()}");
        await Expect(person.Messages.Last).ToHaveTextAsync("message 4000 `code` https://example.org/4000");
        await Expect(person.Messages.Last).ToBeInViewportAsync();
        await Expect(person.Messages).ToHaveCountAsync(400);
        Assert.That((int)figures["longest"]!, Is.LessThan(100 * Slack), "ms: the longest task");
    }

    [Test, CancelAfter(240_000)]
    public async Task Fifty_thousand_messages_are_scrolled_through_and_the_last_costs_what_the_first_did(CancellationToken cancel)
    {
        int count = Environment.GetEnvironmentVariable("E2E_LONG") is { Length: > 0 } ? 50_000 : 2_000;
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using (Peer ana = await Peer.ChatAsync(server, "name=Ana&last=0"))
        {
            for (int i = 1; i <= count; i++)
                await ana.SayAsync($"k{i}", $"message {i}");
            while ((long)(await ana.ReceiveMessageAsync())["seq"]! < count)
                cancel.ThrowIfCancellationRequested();
        }
        Person reader = await OpenAsync(server);
        await Expect(reader.Messages.Last).ToHaveTextAsync($"message {count}");
        JsonNode figures = JsonNode.Parse(await reader.Page.EvaluateAsync<string>("""
            async () => {
              const view = document.getElementById("log");
              const settled = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
              let most = 0;
              const through = async (direction, isThere) => {
                const steps = [];
                while (!isThere()) {
                  const begin = performance.now();
                  view.scrollBy(0, direction * view.clientHeight);
                  await settled();
                  steps.push(performance.now() - begin);
                  most = Math.max(most, document.querySelectorAll("*").length);
                }
                const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
                const tenth = Math.max(1, Math.floor(steps.length / 10));
                return [median(steps.slice(0, tenth)), median(steps.slice(-tenth))];
              };
              const first = () => document.querySelector("#messages p").textContent === "message 1" && view.scrollTop === 0;
              const end = () => log.isAtEnd;
              const up = await through(-1, first);
              const down = await through(+1, end);
              return JSON.stringify({ up, down, most });
            }
            """))!;
        await TestContext.Out.WriteLineAsync($"{count} messages: {figures.ToJsonString()}");
        await Expect(reader.Messages.Last).ToHaveTextAsync($"message {count}");
        Assert.That((int)figures["most"]!, Is.LessThan(3000), "elements on the page, wherever it is scrolled");
        foreach (string way in (string[])["up", "down"])
            Assert.That((double)figures[way]![1]!, Is.LessThan(5 * (double)figures[way]![0]! + 50),
                $"ms a step, {way}: the last like the first");
    }

    [Test, CancelAfter(150_000)]
    public async Task The_first_message_is_there_soon(CancellationToken cancel)
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        await ana.SayAsync("k", "bonjour");
        await ana.ReceiveMessageAsync();
        var times = new List<double>();
        for (int round = 0; round < 5; round++)
        {
            Person person = await OpenAsync(server, prepare: page => page.AddInitScriptAsync("""
                new MutationObserver((_, watch) => {
                  if (!document.querySelector("#messages p")) return;
                  watch.disconnect();
                  requestAnimationFrame(() => { globalThis.firstAt = performance.now(); });
                }).observe(document, { childList: true, subtree: true });
                """));
            await person.Page.WaitForFunctionAsync("() => globalThis.firstAt");
            times.Add(await person.Page.EvaluateAsync<double>("() => globalThis.firstAt"));
            cancel.ThrowIfCancellationRequested();
        }
        times.Sort();
        await TestContext.Out.WriteLineAsync($"first message after {times[2]:F0} ms (median of five)");
        Assert.That(times[2], Is.LessThan(300 * Slack));
    }

    // What is claimed holds on a machine that does nothing else, and is asserted there (E2E_LONG); beside other work only what is far off
    // is.
    internal static int Slack => Environment.GetEnvironmentVariable("E2E_LONG") is { Length: > 0 } ? 1 : 50;
}
