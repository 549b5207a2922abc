using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>A handshake that was refused is not a lost link: the page says why, and what to do.</summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class RefusalTests(Profile profile) : PageTest(profile)
{
    [SetUp]
    public void TheBrowserReportsIt() => Expected = [.. NoConnection, "Failed to load resource", "has been blocked by CORS policy"];

    [TestCase(400, "vérifiez le nom du salon", false), TestCase(401, "sur invitation\u202f: ouvrez-la avec l’adresse complète", false)]
    [TestCase(403, "n’accepte pas les pages venues d’ici", false), TestCase(429, "Trop de connexions depuis votre adresse", true),
        TestCase(503, "complet ou s’arrête", true)]
    public async Task A_refusal_is_told_in_plain_words_and_only_what_may_pass_is_tried_again(int status, string words, bool isTried)
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server, prepare: async page =>
        {
            // A browser does not tell a page about a handshake that failed: neither does this one.
            await page.AddInitScriptAsync("""
                globalThis.refuses = true;
                globalThis.WebSocket = class extends WebSocket {
                  constructor(address, ...others) {
                    super(refuses ? address.replace("/ws", "/nowhere") : address, ...others);
                  }
                };
                """);
            await page.RouteAsync("**/events?*", route => route.FulfillAsync(new()
            {
                Status = status,
                ContentType = "application/problem+json",
                Headers = new Dictionary<string, string> { ["Retry-After"] = "600" },
                Body = new JsonObject { ["status"] = status, ["detail"] = "because" }.ToJsonString(),
            }));
        });
        await Expect(person.Notice).ToContainTextAsync(words);
        await Expect(person.Notice).ToContainTextAsync("(because)");
        await Expect(person.Status).ToHaveTextAsync(new Regex(isTried ? @"^Reconnexion dans [56]\d\d s$" : "^Refusé$"));
        await person.SayAsync("gardé");
        await Expect(person.Pending).ToHaveCountAsync(1);

        await person.Page.EvaluateAsync("() => { globalThis.refuses = false; }");
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Réessayer" }).ClickAsync();
        await person.IsConnectedAsync();
        await Expect(person.Notice).ToBeHiddenAsync();
        await Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Réessayer" })).ToBeHiddenAsync();
        await person.SeesAsync("gardé");
        await Expect(person.Pending).ToHaveCountAsync(0);
    }

    [Test]
    public async Task A_page_from_disk_that_the_server_does_not_accept_says_what_to_open_instead()
    {
        ChatServer server = Serve(ChatServer.StartIn("Production"));
        string page = new Uri(Path.Combine(BuiltProcess.PathOf("Root"), "web", "index.html")).AbsoluteUri;
        Person person = await OpenAsync($"{page}?server=127.0.0.1:{server.Port}");
        await Expect(person.Notice)
            .ToContainTextAsync($"ouvrez plutôt http://127.0.0.1:{server.Port}/, ou demandez que Chat:AllowedOrigins");
        await Expect(person.Status).ToHaveTextAsync("Refusé");
        using MinimalPage file = new($"ws://127.0.0.1:{server.Port}");
        Person minimal = await OpenAsync(file.Address);
        await Expect(minimal.Status).ToContainTextAsync("Refusé : pages opened from disk may not connect here");
    }

    [Test]
    public async Task A_chat_by_invitation_says_so_and_lets_in_with_the_whole_address()
    {
        ChatServer server = Serve(ChatServer.Start(("InviteKey", "sésame")));
        Person person = await OpenAsync(server);
        await Expect(person.Notice).ToContainTextAsync("Cette discussion est sur invitation");
        await Expect(person.Status).ToHaveTextAsync("Refusé");
        Person minimal = await OpenAsync($"{server.Http}minimal.html");
        await Expect(minimal.Status).ToContainTextAsync("Refusé : this chat is by invitation");
        await person.Page.GotoAsync($"{server.Http}?invite={Uri.EscapeDataString("sésame")}");
        await person.IsConnectedAsync();
        await Expect(person.Notice).ToBeHiddenAsync();
    }

    [Test]
    public async Task A_full_server_is_told_and_let_in_when_there_is_room()
    {
        ChatServer server = Serve(ChatServer.Start(("MaxConnections", 1), ("MaxTcpConnections", 50)));
        Peer first = await Peer.ChatAsync(server);
        Person person = await OpenAsync(server);
        await Expect(person.Notice).ToContainTextAsync("Le serveur est complet ou s’arrête\u202f: la page réessaie d’elle-même.");
        await Expect(person.Status).ToHaveTextAsync(new Regex("Connexion|Reconnexion"));
        await first.CloseAsync();
        first.Dispose();
        // The page tries by itself when it was told to; the server may need a moment to see that the first has gone.
        await person.Page.WaitForFunctionAsync("() => connection.tryNow() || connection.isReady");
        await person.IsConnectedAsync();
        await Expect(person.Notice).ToBeHiddenAsync();
    }

    [Test]
    public async Task The_status_is_not_said_again_at_each_attempt()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.Page.EvaluateAsync("""
            () => {
              globalThis.said = [];
              globalThis.attempts = 0;
              connection.addEventListener("state", ({ detail }) => { if (detail.state === "connecting") attempts++; });
              new MutationObserver(() => said.push(document.getElementById("state").textContent))
                .observe(document.getElementById("state"), { childList: true, characterData: true, subtree: true });
              globalThis.retries = [];
              new MutationObserver(() => retries.push(!document.getElementById("retry").hidden))
                .observe(document.getElementById("retry"), { attributeFilter: ["hidden"] });
            }
            """);
        await server.DisposeAsync();
        await person.Page.WaitForFunctionAsync("() => attempts >= 5");
        Assert.That(await person.Page.EvaluateAsync<string[]>("() => said"), Is.EqualTo(["Reconnexion"]));
        Assert.That(await person.Page.EvaluateAsync<bool[]>("() => retries"), Is.All.True, "nor does what is beside it come and go");
        Assert.That(await person.Page.EvaluateAsync<string>("() => byId('countdown').textContent"), Does.Match(@"^ dans \d+ s$"));
        await Expect(person.Page.Locator("#countdown")).ToHaveAttributeAsync("aria-hidden", "true");
        Serve(server.StartAgain());
        await person.IsConnectedAsync();
        Assert.That(await person.Page.EvaluateAsync<string[]>("() => said"), Is.EqualTo(["Reconnexion", "Connecté"]));
    }
}
