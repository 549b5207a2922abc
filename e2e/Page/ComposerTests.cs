using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class ComposerTests(Profile profile) : PageTest(profile)
{
    [Test]
    public async Task The_field_grows_with_the_text_without_a_scroll_bar_below_eight_lines()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        Task<int> hiddenAsync() => person.Input.EvaluateAsync<int>("(field) => field.scrollHeight - field.clientHeight");
        for (int lines = 1; lines <= 8; lines++)
        {
            await person.Input.FillAsync(string.Join('\n', Enumerable.Range(1, lines)));
            Assert.That(await hiddenAsync(), Is.Zero, $"{lines} lines");
        }
        await person.Input.FillAsync(string.Join('\n', Enumerable.Range(1, 9)));
        Assert.That(await hiddenAsync(), Is.Positive, "nine");

        await person.Input.FillAsync(new string('m', 40));
        double wide = (await person.Input.BoundingBoxAsync())!.Height;
        await person.Page.SetViewportSizeAsync(320, 844);
        await person.Page.WaitForFunctionAsync("(wide) => document.getElementById('input').offsetHeight > wide", wide);
        Assert.That(await hiddenAsync(), Is.Zero, "right again when the width changes");
        await Expect(person.Input).ToHaveAttributeAsync("dir", "auto");
        await person.Input.FillAsync("שלום");
        await Expect(person.Input).ToHaveCSSAsync("direction", "rtl");
    }

    [Test]
    public async Task At_any_small_height_one_can_read_and_write()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer peer = await Peer.ChatAsync(server);
        // 1280 x 1024 at 400 %
        Person person = await OpenAsync(server, options: new() { ViewportSize = new() { Width = 320, Height = 256 } });
        await peer.SayAsync("k", "bonjour");
        await Expect(person.Messages.Last).ToBeInViewportAsync(new() { Ratio = 1 });
        await person.Input.FillAsync("1\n2\n3\n4\n5\n6");
        await Expect(person.Input).ToBeInViewportAsync(new() { Ratio = 1 });
        await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Envoyer" })).ToBeInViewportAsync(new() { Ratio = 1 });
        await Expect(person.Messages.Last).ToBeInViewportAsync(new() { Ratio = 1 });
        Assert.That(await person.Page.EvaluateAsync<bool>("() => document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"));
    }

    [Test]
    public async Task Nothing_typed_is_lost_however_early()
    {
        ChatServer server = Serve(ChatServer.Start());
        var gate = new TaskCompletionSource();
        Person person = await OpenAsync(server, prepare: async page =>
        {
            await page.RouteAsync("**/chat.js", async route =>
            {
                await gate.Task;
                await route.ContinueAsync();
            });
            _ = page.GotoAsync($"{server.Http}").ContinueWith(_ => { }, TaskScheduler.Default);
            await page.Locator("#input").FillAsync("tapé avant le script");
            await Expect(page.Locator("#send")).ToBeDisabledAsync(); // nothing can be sent to nowhere
            gate.SetResult();
            await Expect(page.Locator("#send")).ToBeEnabledAsync();
            await Expect(page.Locator("#input")).ToHaveValueAsync("tapé avant le script");
        });
        await Expect(person.Input).ToHaveValueAsync("tapé avant le script"); // that page was left: this one has its draft
        await person.Input.PressAsync("Enter");
        await person.SeesAsync("tapé avant le script");
        await person.Page.ReloadAsync();
        await Expect(person.Input).ToHaveValueAsync("");
    }

    [Test]
    public async Task Each_room_keeps_its_draft()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server, "?room=un");
        await person.Input.FillAsync("brouillon un");
        await person.Page.GotoAsync($"{server.Http}?room=deux");
        await Expect(person.Input).ToHaveValueAsync("");
        await person.Input.FillAsync("brouillon deux");
        await person.Page.GotoAsync($"{server.Http}?room=un");
        await Expect(person.Input).ToHaveValueAsync("brouillon un");
        await person.Page.GotoAsync($"{server.Http}?room=deux");
        await Expect(person.Input).ToHaveValueAsync("brouillon deux");
    }

    [Test]
    public async Task The_keys_mean_the_talk_wherever_the_focus_is()
    {
        ChatServer server = Serve(ChatServer.Start(("MessagesPerSecond", 0)));
        using Peer peer = await Peer.ChatAsync(server);
        for (int i = 0; i < 60; i++)
            await peer.SayAsync($"k{i}", $"message {i}");
        Person person = await OpenAsync(server);
        await Expect(person.Messages.Last).ToHaveTextAsync("message 59");
        await person.SayAsync("à reprendre");
        await Expect(person.Pending).ToHaveCountAsync(0);
        await person.Page.Keyboard.PressAsync("ArrowUp");
        await Expect(person.Input).ToHaveValueAsync("à reprendre");
        await person.Page.Keyboard.PressAsync("ArrowUp"); // now it moves in the text
        await person.Input.FillAsync("");

        await person.Page.Keyboard.PressAsync("PageUp");
        await Expect(person.Messages.Last).Not.ToBeInViewportAsync();
        await Expect(person.Input).ToBeFocusedAsync();
        await person.Page.Keyboard.PressAsync("PageDown");
        await Expect(person.Messages.Last).ToBeInViewportAsync();

        await person.Log.FocusAsync();
        await person.Page.Keyboard.TypeAsync("tapé n'importe où");
        await Expect(person.Input).ToHaveValueAsync("tapé n'importe où");
        await person.Log.FocusAsync();
        await person.Log.EvaluateAsync("""
            (log) => {
              const clipboardData = new DataTransfer();
              clipboardData.setData("text/plain", " et collé");
              log.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
            }
            """);
        await Expect(person.Input).ToHaveValueAsync("tapé n'importe où et collé");
    }

    [TestCase("paste"), TestCase("drop")]
    public async Task A_picture_is_told_to_be_impossible(string way)
    {
        Person person = await OpenAsync(Serve(ChatServer.Start()));
        await person.Input.FillAsync("voici :");
        bool isPrevented = await person.Input.EvaluateAsync<bool>("""
            (field, way) => {
              const data = new DataTransfer();
              data.items.add(new File(["x"], "x.png", { type: "image/png" }));
              const event = way === "paste"
                ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
                : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
              return !field.dispatchEvent(event);
            }
            """, way);
        Assert.That(isPrevented, "the browser does not open it in the page's place");
        await Expect(person.Page.GetByText("Les images ne s’envoient pas ici\u202f: collez plutôt un lien.")).ToBeVisibleAsync();
        await Expect(person.Input).ToHaveValueAsync("voici :");
        await person.Input.PressSequentiallyAsync("x");
        await Expect(person.Page.GetByText("Les images ne s’envoient pas ici")).ToHaveCountAsync(0);
    }

    [Test]
    public async Task The_limit_is_an_alarm_once_and_the_count_is_none()
    {
        Person person = await OpenAsync(Serve(ChatServer.Start(("MaxMessageBytes", 20))));
        await person.IsConnectedAsync();
        await person.Page.EvaluateAsync("""
            () => {
              globalThis.alarms = [];
              const watch = new MutationObserver((changes) => alarms.push(changes[0].target.textContent));
              for (const alarm of document.querySelectorAll("#composer [role=alert]")) watch.observe(alarm, { childList: true });
            }
            """);
        await person.Input.PressSequentiallyAsync("0123456789012345678901234");
        await Expect(person.Page.GetByText("25 / 20 octets")).ToBeVisibleAsync();
        Assert.That(await person.Page.EvaluateAsync<string[]>("() => alarms"), Is.EqualTo(["Trop long\u202f: raccourcissez."]));
        await Expect(person.Page.GetByText("25 / 20 octets")).ToHaveAttributeAsync("aria-hidden", "true");
    }
}
