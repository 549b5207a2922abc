using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class ReadingBackTests(Profile profile) : PageTest(profile)
{
    const int Step = 50; // messages, as the page asks for them
    const string Address = "**/messages?*";
    const string Loading = "Messages antérieurs…";

    [Test]
    public async Task One_reads_back_to_the_first_message_and_keeps_the_place()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await TalkerAsync(server, 300);
        Person reader = await OpenAsync(server);
        await Expect(reader.Messages).ToHaveCountAsync(Step);
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
        var gate = new Gate();
        await reader.Page.RouteAsync(Address, gate.PassAsync);

        int news = 0, shown = Step;
        while (shown < 300)
        {
            await ScrollToAsync(reader, news % 2 == 0 ? 250 : 0); // near the top, and at the very top
            string asked = await gate.AskedAsync();
            Assert.That(asked, Does.Contain($"before={300 - shown + 1}&"), "each message is asked for once");
            await Expect(reader.Page.GetByText(Loading)).ToHaveCountAsync(1);
            ILocator read = reader.Messages.Filter(new() { HasTextRegex = new($"^message {300 - shown + 15}$") });
            await Expect(read).ToBeInViewportAsync();
            double place = await PlaceOfAsync(read);
            news++;
            await ana.SayAsync($"n{news}", $"message {300 + news}");
            await Expect(reader.Newer).ToHaveTextAsync(new Regex($"^{news} nouveau"));
            Assert.That(await PlaceOfAsync(read), Is.EqualTo(place), "what is new does not move what is read");

            // More where it came soon
            shown = Math.Min(300, shown + int.Parse(Regex.Match(asked, "last=(\\d+)").Groups[1].Value, CultureInfo.InvariantCulture));
            gate.LetPass();
            await Expect(reader.Messages).ToHaveCountAsync(shown + news);
            await Expect(reader.Page.GetByText(Loading)).ToHaveCountAsync(0);
            Assert.That(await PlaceOfAsync(read), Is.EqualTo(place).Within(1), "nor does what is old"); // a view scrolls by whole pixels
        }

        await reader.SeesAsync(Messages(1, 300 + news));
        await ScrollToAsync(reader, 0);
        await Expect(reader.Page.GetByText("Début du salon")).ToBeInViewportAsync();
        await Expect(reader.Page.Locator(".author")).ToHaveTextAsync(["Ana"]); // one group, wherever the pages ended
        await reader.Newer.ClickAsync();
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
    }

    [Test]
    public async Task A_view_that_is_not_filled_is_filled()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await TalkerAsync(server, 300);
        Person reader = await OpenAsync(server, "", new() { ViewportSize = new() { Width = 800, Height = 6000 } });
        await Expect(reader.Messages.Nth(4 * Step)).ToBeAttachedAsync();
        await Expect(reader.Messages.Last).ToHaveTextAsync("message 300");
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
        await Expect(reader.Log).ToHaveJSPropertyAsync("ariaBusy", "false");
    }

    [Test]
    public async Task The_page_holds_a_bounded_number_of_messages_wherever_it_is_scrolled()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0), ("KeepMessages", 300)));
        using Peer ana = await TalkerAsync(server, 320);
        Person reader = await OpenAsync(server);
        await Expect(reader.Messages).ToHaveCountAsync(Step);
        await reader.Page.EvaluateAsync("() => { MessageLog.LONGEST = 120; }");
        ILocator trimmed = reader.Page.GetByText("Messages antérieurs non conservés");
        int most = Step;
        async Task scrollUntilAsync(int direction, ILocator seen)
        {
            await reader.Log.HoverAsync();
            while (!await IsInViewAsync(seen))
            {
                await reader.Log.EvaluateAsync("(log, direction) => log.scrollBy(0, direction * log.clientHeight)", direction);
                most = Math.Max(most, await reader.Messages.CountAsync());
            }
        }
        await scrollUntilAsync(-1, trimmed);
        await Expect(reader.Messages.First).ToHaveTextAsync("message 21");
        await ana.SayAsync("n1", "message 321"); // while the end is not on the page
        await Expect(reader.Newer).ToHaveTextAsync("1 nouveau message");
        await scrollUntilAsync(+1, reader.Messages.Filter(new() { HasTextRegex = new("^message 321$") }));
        Assert.That(most, Is.LessThanOrEqualTo(120));
        await SeesUpToAsync(reader, 321);
        await Expect(reader.Newer).ToBeHiddenAsync();

        await scrollUntilAsync(-1, trimmed);
        await reader.SayAsync("message 322"); // goes to the end, which is read first
        await Expect(reader.Messages.Last).ToHaveTextAsync("message 322");
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
        await ana.SayAsync("n2", "message 323"); // and follows again
        await Expect(reader.Messages.Last).ToHaveTextAsync("message 323");
        await Expect(reader.Messages.Last).ToBeInViewportAsync();
        await SeesUpToAsync(reader, 323);
    }

    [Test]
    public async Task What_could_not_be_had_is_had_when_one_scrolls_again()
    {
        Expected = ["503"];
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await TalkerAsync(server, 80);
        Person reader = await OpenAsync(server);
        await Expect(reader.Messages).ToHaveCountAsync(Step);
        await reader.Page.RouteAsync(Address, route => route.FulfillAsync(new() { Status = 503 }));
        await ScrollToAsync(reader, 0);
        await Expect(reader.Page.GetByText("Messages antérieurs indisponibles")).ToBeInViewportAsync();
        await Expect(reader.Messages).ToHaveCountAsync(Step);

        await reader.Page.UnrouteAsync(Address);
        await reader.Log.HoverAsync();
        while (await reader.Messages.CountAsync() == Step) // it pauses for a second after a failure
            await reader.Page.Mouse.WheelAsync(0, -100);
        await reader.SeesAsync(Messages(1, 80));
        await ScrollToAsync(reader, 0);
        await Expect(reader.Page.GetByText("Début du salon")).ToBeInViewportAsync();
    }

    [Test]
    public async Task Each_day_is_told_once_where_it_begins()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer ana = await TalkerAsync(server, 150);
        Person reader = await OpenAsync(server, "", new() { TimezoneId = "UTC" });
        await Expect(reader.Messages).ToHaveCountAsync(Step);
        // As if the first 25 had been said two days ago, and the next 50 yesterday.
        await reader.Page.RouteAsync(Address, async route =>
        {
            IAPIResponse response = await route.FetchAsync();
            JsonObject page = JsonNode.Parse(await response.TextAsync())!.AsObject();
            foreach (JsonNode? message in page["messages"]!.AsArray())
            {
                int days = (long)message!["seq"]! switch { <= 25 => 2, <= 75 => 1, _ => 0 };
                message["at"] = DateTimeOffset.Parse((string)message["at"]!, CultureInfo.InvariantCulture).AddDays(-days).ToString("O");
            }
            await route.FulfillAsync(new() { Response = response, Body = page.ToJsonString() });
        });
        string[] days = await reader.Page.EvaluateAsync<string[]>(
            "() => [2, 1].map((days) => new Date(Date.now() - days * 86400000).toLocaleDateString('fr-FR', { dateStyle: 'full' }))");
        ILocator dividers = reader.Page.Locator(".divider");
        await Expect(dividers).ToHaveCountAsync(0);

        await ScrollToAsync(reader, 0);
        await Expect(reader.Messages).ToHaveCountAsync(2 * Step);
        await Expect(dividers).ToHaveTextAsync([days[1], "Aujourd’hui"]);
        await ScrollToAsync(reader, 0);
        await reader.SeesAsync(Messages(1, 150));
        await Expect(dividers).ToHaveTextAsync([days[0], days[1], "Aujourd’hui"]);
        await Expect(reader.Page.Locator(".author")).ToHaveCountAsync(3); // a group a day
    }

    static async Task<Peer> TalkerAsync(ChatServer server, int count)
    {
        Peer ana = await Peer.ChatAsync(server, "name=Ana&last=0");
        foreach (string text in Messages(1, count))
            await ana.SayAsync($"k{text[8..]}", text);
        JsonObject heard;
        do
            heard = await ana.ReceiveMessageAsync();
        while ((long)heard["seq"]! < count); // not all of them where retention overtakes it
        return ana;
    }

    static IEnumerable<string> Messages(int first, int last) =>
        Enumerable.Range(first, last - first + 1).Select(number => $"message {number}");

    static async Task ScrollToAsync(Person reader, int pixels) =>
        await reader.Log.EvaluateAsync("(log, pixels) => { log.scrollTop = pixels; }", pixels);

    // However many: it may be reading back just now.
    static async Task SeesUpToAsync(Person reader, int last)
    {
        string[] shown = [.. await reader.Messages.AllTextContentsAsync()];
        Assert.That(shown, Is.EqualTo(Messages(last - shown.Length + 1, last)));
    }

    // Of one that is there at this moment: it may come and go while one scrolls.
    static Task<bool> IsInViewAsync(ILocator element) => element.EvaluateAllAsync<bool>("""
        (elements) => elements.some((element) => {
          const [box, log] = [element.getBoundingClientRect(), document.getElementById("log").getBoundingClientRect()];
          return box.height > 0 && box.bottom > log.top && box.top < log.bottom;
        })
        """);

    static async Task<double> PlaceOfAsync(ILocator message) => (await message.BoundingBoxAsync())!.Y;

    /// <summary>Requests wait at it until they are let pass, one by one.</summary>
    sealed class Gate
    {
        readonly Channel<string> _asked = Channel.CreateUnbounded<string>();
        readonly Channel<bool> _passes = Channel.CreateUnbounded<bool>();

        /// <summary>The query of the next request that has come.</summary>
        public async Task<string> AskedAsync()
        {
            using CancellationTokenSource limit = Rig.Patience();
            return await _asked.Reader.ReadAsync(limit.Token);
        }

        public void LetPass() => _passes.Writer.TryWrite(true);

        public async Task PassAsync(IRoute route)
        {
            _asked.Writer.TryWrite(new Uri(route.Request.Url).Query);
            await _passes.Reader.ReadAsync();
            await route.ContinueAsync();
        }
    }
}
