using System.Net;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>The page without its server, and the reader without the page: what the browser keeps, and what it tells.</summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class InstalledTests(Profile profile) : PageTest(profile)
{
    const string Kept = "() => navigator.serviceWorker.ready.then(() => caches.match('./')).then((page) => page !== undefined)";

    [Test]
    public async Task The_page_opens_without_its_server_says_so_and_sends_later_what_is_written()
    {
        Expected = NoConnection;
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenRetainedAsync(server, "?room=cours");
        await server.DisposeAsync();

        await person.Page.ReloadAsync();
        await Expect(person.Notice)
            .ToHaveTextAsync("Le serveur ne répond pas. Ce que vous écrivez est gardé ici et part dès qu’il répond.");
        await Expect(person.Page.GetByRole(AriaRole.Heading)).ToHaveTextAsync("cours");
        await person.SayAsync("sans serveur");
        await Expect(person.Pending).ToHaveCountAsync(1);
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "cours" }).ClickAsync(); // and what it loads when it is opened
        await Expect(person.Page.Locator("#menu .address code")).ToBeVisibleAsync();
        await person.Page.Keyboard.PressAsync("Escape");

        ChatServer again = Serve(server.StartAgain());
        using Peer witness = await Peer.ChatAsync(again, "room=cours");
        await person.Page.WaitForFunctionAsync("() => connection.tryNow() || connection.isReady");
        Assert.That((string?)(await witness.ReceiveMessageAsync())["text"], Is.EqualTo("sans serveur"));
        await Expect(person.Pending).ToHaveCountAsync(0);
        await Expect(person.Notice).ToBeHiddenAsync();
    }

    [Test]
    public async Task While_the_server_is_there_no_old_page_is_shown_and_behind_a_proxy_that_has_lost_it_one_is()
    {
        Expected = [.. NoConnection, "status of 502"];
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenRetainedAsync(server);
        await person.Page.EvaluateAsync("() => caches.open('page').then((cache) => cache.put('./', new Response('old')))");
        await person.Page.ReloadAsync();
        await person.IsConnectedAsync();
        await person.Page.WaitForFunctionAsync("() => caches.match('./').then((page) => page.text()).then((text) => text.includes('composer'))");

        await server.DisposeAsync();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, server.Http.Port));
        await using WebApplication proxy = builder.Build();
        proxy.Run(http =>
        {
            http.Response.StatusCode = StatusCodes.Status502BadGateway;
            return Task.CompletedTask;
        });
        await proxy.StartAsync();
        await person.Page.ReloadAsync();
        await Expect(person.Notice).ToContainTextAsync("Le serveur ne répond pas.");
    }

    [Test]
    public async Task What_is_said_does_not_pass_through_the_service_worker_nor_an_invitation_into_what_it_keeps()
    {
        ChatServer server = Serve(ChatServer.Start(("InviteKey", "secret")));
        Person person = await OpenRetainedAsync(server, "?invite=secret", bypassCsp: true);
        string?[] kept = await person.Page.EvaluateAsync<string?[]>("""
            async () => {
              const addressToKeep = new Function(`${await (await fetch("service-worker.js")).text()}; return addressToKeep;`)();
              return ["./?room=a&invite=b", "index.html", "chat.js?v=1", "ws?room=a", "events?room=a", "messages?room=a", "export", "lan", "lab/events", "a/chat.js",
                "minimal.html", "http://elsewhere.example/chat.js"].map((address) => addressToKeep(new Request(new URL(address, location))));
            }
            """);
        Assert.That(kept, Is.EqualTo(new[] { $"{server.Http}", $"{server.Http}",
            $"{server.Http}chat.js" }.Concat(Enumerable.Repeat<string?>(null, 9))));
        string[] inCache = await person.Page.EvaluateAsync<string[]>("() => caches.open('page').then((cache) => cache.keys()).then((all) => all.map(({ url }) => url))");
        Assert.That(inCache, Has.None.Contains("secret"));
        Assert.That(inCache,
            Is.SupersetOf(new[] { "chat.js", "chat.css", "invitation.js", "manifest.webmanifest" }.Select(file => $"{server.Http}{file}")
                .Append($"{server.Http}")));
    }

    [Test]
    public async Task As_an_application_it_opens_where_one_was_last()
    {
        ChatServer server = Serve(ChatServer.Start(("InviteKey", "secret")));
        Person person = await OpenAsync(server, "?room=cours&invite=secret");
        await person.IsConnectedAsync();
        string start = await person.Page.EvaluateAsync<string>("""
            async () => {
              const link = document.querySelector("link[rel=manifest]");
              const manifest = await (await fetch(link.href)).json();
              for (const { src } of manifest.icons) if (!(await fetch(src)).ok) throw new Error(src);
              return new URL(manifest.start_url, link.href).href;
            }
            """);
        await person.Page.GotoAsync(start);
        await person.IsConnectedAsync();
        await Expect(person.Page).ToHaveURLAsync($"{server.Http}?room=cours&invite=secret");
        await Expect(person.Page.GetByRole(AriaRole.Heading)).ToHaveTextAsync("cours");
    }

    [Test]
    public async Task A_mention_of_ones_name_marks_the_title_and_the_icon()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.CallThemselvesAsync("Zoé");
        await HideAsync(person, true);
        await ana.SayAsync("k1", "zoétrope, mézoé");
        await Expect(person.Page).ToHaveTitleAsync("(1) salon · ChatMinimal");
        await ana.SayAsync("k2", "dis, ZOE?");
        await Expect(person.Page).ToHaveTitleAsync("(@2) salon · ChatMinimal");
        await Expect(person.Page.Locator("#icon")).ToHaveAttributeAsync("href", new Regex("^data:image/svg.xml,.*%3E%40%3C%2Ftext%3E"));
        await ana.SayAsync("k3", "rien de plus");
        await Expect(person.Page).ToHaveTitleAsync("(@3) salon · ChatMinimal");
        await HideAsync(person, false);
        await Expect(person.Page).ToHaveTitleAsync("salon · ChatMinimal");
        await HideAsync(person, true);
        await ana.SayAsync("k4", "et encore");
        await Expect(person.Page).ToHaveTitleAsync("(1) salon · ChatMinimal");
    }

    [Test]
    public async Task What_is_said_elsewhere_is_notified_once_it_is_asked_for()
    {
        ChatServer server = Serve(ChatServer.Start());
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        Person person = await OpenRetainedAsync(server, prepare: async page =>
        {
            // A headless browser has nobody to ask and nothing to show it with: it is seen what the page asks for.
            await page.AddInitScriptAsync("""
                Object.defineProperty(Notification, "permission", { value: "granted" });
                Notification.requestPermission = async () => "granted";
                globalThis.shown = [];
                ServiceWorkerRegistration.prototype.showNotification = async (title, options) => void shown.push(`${title}: ${options.body} ${options.renotify}`);
                """);
        });
        await person.CallThemselvesAsync("Zoé");
        await HideAsync(person, true);
        await ana.SayAsync("k1", "sans être demandé");
        await Expect(person.Page).ToHaveTitleAsync(new Regex("^.1."));
        await HideAsync(person, false);

        await person.Page.GetByRole(AriaRole.Button, new() { Name = "salon", Exact = true }).ClickAsync();
        ILocator box = person.Page.GetByRole(AriaRole.Checkbox, new() { Name = "Me prévenir de ce qui est dit quand je suis ailleurs" });
        await box.CheckAsync();
        await person.Page.Keyboard.PressAsync("Escape");
        await ana.SayAsync("k2", "devant ses yeux");
        await Expect(person.Messages).ToHaveCountAsync(2);
        await HideAsync(person, true);
        await ana.SayAsync("k3", "demandé");
        await ana.SayAsync("k4", "Zoé, " + new string('x', 1000));
        await person.Page.WaitForFunctionAsync("() => shown.length === 2");
        Assert.That(await person.Page.EvaluateAsync<string[]>("() => shown"),
            Is.EqualTo(["Ana · salon: demandé false", $"Ana · salon: Zoé, {new string('x', 195)} true"]));

        await HideAsync(person, false);
        await person.Page.ReloadAsync();
        await person.IsConnectedAsync();
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "salon", Exact = true }).ClickAsync();
        await Expect(box).ToBeCheckedAsync();
        await box.UncheckAsync();
        await person.Page.ReloadAsync();
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "salon", Exact = true }).ClickAsync();
        await Expect(box).Not.ToBeCheckedAsync();
    }

    [Test]
    public async Task Where_notifications_cannot_be_they_are_not_offered_and_where_they_are_forbidden_that_is_told()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person forbidden = await OpenAsync(server,
            prepare: page => page.AddInitScriptAsync("Notification.requestPermission = async () => 'denied';"));
        Person insecure = await OpenAsync(server,
            prepare: page => page.AddInitScriptAsync("Object.defineProperty(globalThis, 'isSecureContext', { value: false });"));
        string fromDisk = new Uri(Path.Combine(BuiltProcess.PathOf("Root"), "web", "index.html")).AbsoluteUri;
        Person disk = await OpenAsync($"{fromDisk}?server=127.0.0.1:{server.Port}", new() { ServiceWorkers = ServiceWorkerPolicy.Allow });
        foreach (Person person in (Person[])[forbidden, insecure, disk])
        {
            await person.IsConnectedAsync();
            await person.Page.GetByRole(AriaRole.Button, new() { Name = "salon", Exact = true }).ClickAsync();
            await Expect(person.Page.Locator("#menu").GetByRole(AriaRole.Checkbox))
                .ToBeVisibleAsync(new() { Visible = person == forbidden });
        }
        await forbidden.Page.GetByRole(AriaRole.Checkbox).ClickAsync();
        await Expect(forbidden.Page.GetByText("Ce navigateur ne le permet pas à cette page.")).ToBeVisibleAsync();
        await Expect(forbidden.Page.GetByRole(AriaRole.Checkbox)).Not.ToBeCheckedAsync();
    }

    async Task<Person> OpenRetainedAsync(ChatServer server, string query = "", Func<IPage, Task>? prepare = null, bool bypassCsp = false)
    {
        Person person = await OpenAsync(server, query, new() { ServiceWorkers = ServiceWorkerPolicy.Allow, BypassCSP = bypassCsp },
            prepare);
        await person.IsConnectedAsync();
        await person.Page.WaitForFunctionAsync(Kept);
        return person;
    }

    static async Task HideAsync(Person person, bool isHidden) => await person.Page.EvaluateAsync("""
        (isHidden) => {
          Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }
        """, isHidden);
}
