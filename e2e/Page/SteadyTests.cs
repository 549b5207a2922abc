using System.Globalization;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>A page that stays open: clocks that are set, midnights, full storage, a link of a few bytes a second.</summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class SteadyTests(Profile profile) : PageTest(profile)
{
    [SetUp]
    public void LinksAreCut() => Expected = NoConnection;

    [Test]
    public async Task A_clock_set_back_an_hour_does_not_keep_a_dead_link_alive()
    {
        ChatServer server = Serve(ChatServer.Start());
        var cut = new WebSocketCut();
        Person person = await OpenAsync(server, prepare: async page =>
        {
            await page.RouteWebSocketAsync("**/ws?*", cut.Handle);
            await page.Clock.InstallAsync();
        });
        await person.IsConnectedAsync();
        cut.Silence();
        await person.SayAsync("dans le vide");
        await person.Page.Clock.SetSystemTimeAsync(DateTime.UtcNow.AddHours(-1));
        cut.Mend();
        await person.Page.Clock.FastForwardAsync("00:40");
        await person.Page.Clock.RunForAsync(2000);
        await Expect(person.Pending).ToHaveCountAsync(0);
        await person.SeesAsync("dans le vide");
    }

    [Test]
    public async Task Of_two_clocks_the_one_that_says_more_is_believed()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        double[] elapsed = await person.Page.EvaluateAsync<double[]>("""
            () => {
              const [now, steady] = [Date.now, performance.now.bind(performance)];
              const measure = (wall, ran) => {
                const watch = new Stopwatch();
                Date.now = () => now() + wall;
                performance.now = () => steady() + ran;
                const { elapsed } = watch;
                Date.now = now;
                performance.now = steady;
                return Math.round(elapsed / 1000);
              };
              return [measure(-3600_000, 40_000), measure(60_000, 0)];
            }
            """);
        Assert.That(elapsed, Is.EqualTo(new double[] { 40, 60 }), "set back an hour; slept a minute");
    }

    [Test]
    public async Task At_midnight_the_words_for_days_are_renewed()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        Person person = await OpenAsync(server, "", new() { TimezoneId = "UTC" }, page => page.Clock.InstallAsync());
        await person.IsConnectedAsync();
        await ana.SayAsync("k1", "hier");
        string at = (string)(await ana.ReceiveMessageAsync())["at"]!;
        DateTime today = DateTimeOffset.Parse(at, CultureInfo.InvariantCulture).UtcDateTime.Date;
        await person.SeesAsync("hier");
        await Expect(person.Dividers).ToHaveCountAsync(0); // it is today's
        await person.Page.Clock.SetSystemTimeAsync(today.AddDays(1).AddHours(1));
        await person.Page.Clock.RunForAsync(1000);
        string yesterday = await person.Page.EvaluateAsync<string>("(day) => new Date(day).toLocaleDateString('fr-FR', { dateStyle: 'full' })", today.ToString("O"));
        await Expect(person.Dividers).ToHaveTextAsync([yesterday]);
    }

    [Test]
    public async Task A_full_store_is_told()
    {
        Expected = [.. NoConnection];
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.Page.EvaluateAsync("""
            () => {
              for (let size = 1 << 20; size > 0; size >>= 1) {
                for (let i = 0; ; i++) {
                  try {
                    localStorage.setItem(`fill ${size} ${i}`, "x".repeat(size));
                  } catch {
                    break;
                  }
                }
              }
            }
            """);
        await person.SayAsync("sans place");
        await Expect(person.Notice).ToContainTextAsync("Le stockage du navigateur est plein\u202f: ce qui est en attente sera perdu");
        await person.SeesAsync("sans place"); // and goes out all the same
        await Expect(person.Pending).ToHaveCountAsync(0);
    }

    [Test]
    public async Task A_slow_link_finishes_and_a_failure_makes_the_next_step_smaller()
    {
        Expected = ["503"];
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana&last=0");
        for (int i = 1; i <= 120; i++)
        {
            await ana.SayAsync($"k{i}", $"message {i}");
            await ana.ReceiveMessageAsync();
        }
        Person person = await OpenAsync(server);
        await Expect(person.Messages).ToHaveCountAsync(50);
        var asked = new List<string>();
        await person.Page.RouteAsync("**/messages?*", async route =>
        {
            asked.Add(System.Text.RegularExpressions.Regex.Match(route.Request.Url, "last=(\\d+)").Groups[1].Value);
            if (asked.Count <= 2)
                await route.FulfillAsync(new() { Status = 503, Body = "" });
            else
                await route.ContinueAsync();
        });
        await person.Page.EvaluateAsync("""
            async () => {
              globalThis.scrollback = new Scrollback(connection);
              for (let i = 0; i < 3; i++) await scrollback.older(71);
            }
            """);
        Assert.That(asked, Is.EqualTo(["50", "25", "12"]));

        // A link that brings a byte every so often, in a time of the test's own.
        int[] shown = await person.Page.EvaluateAsync<int[]>("""
            async () => {
              let now = 0;
              const timers = new Map(); // number -> {work, at}
              globalThis.setTimeout = (work, wait) => timers.set(timers.size + 1, { work, at: now + wait }).size;
              globalThis.clearTimeout = (number) => timers.has(number) && timers.set(number, { at: Infinity });
              const all = new TextEncoder().encode(JSON.stringify({ epoch: connection.epoch, first: 1, next: 121, messages: [1, 2, 3] }));
              const readOver = async (pause) => {
                let sent = 0;
                globalThis.fetch = async (_, { signal }) => new Response(new ReadableStream({
                  start: (stream) => signal.addEventListener("abort", () => stream.error(new Error("given up"))),
                  pull(stream) {
                    now += pause;
                    for (const { work, at } of timers.values()) if (at <= now) return work();
                    if (sent < all.length) stream.enqueue(Uint8Array.of(all[sent++]));
                    else stream.close();
                  },
                }, { highWaterMark: 0 }));
                const page = await scrollback.older(71);
                timers.clear();
                return page?.messages.length ?? 0;
              };
              return [await readOver(ChatConnection.PATIENCE - 1), await readOver(ChatConnection.PATIENCE + 1)];
            }
            """);
        Assert.That(shown, Is.EqualTo([3, 0]), "progress, and none");
    }

    [Test]
    public async Task A_socket_on_a_slow_link_is_given_more_time_after_each_failure()
    {
        ChatServer server = Serve(ChatServer.Start());
        var script = new ScriptedServer();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        Person person = await OpenAsync(server, prepare: async page =>
        {
            await script.TakeOverAsync(page);
            await page.Clock.InstallAsync();
            await page.Clock.PauseAtAsync(DateTime.UtcNow.AddHours(1)); // from here on it is the test's
        });
        Assert.That((await script.OpenedAsync(limit.Token))["last"], Is.EqualTo("50"));
        await person.Page.Clock.RunForAsync(12_000); // nothing came in ten seconds
        await person.Page.Clock.RunForAsync(2_000);
        Assert.That((await script.OpenedAsync(limit.Token))["last"], Is.EqualTo("25"));
        await person.Page.Clock.RunForAsync(12_000); // now twenty are allowed
        script.Hello("E1", 1, 1);
        await person.IsConnectedAsync();
    }
}
