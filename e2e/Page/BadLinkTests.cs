using System.Text.RegularExpressions;
using Microsoft.Playwright;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class BadLinkTests(Profile profile) : PageTest(profile)
{
    [SetUp]
    public void AConnectionThatFailsIsReportedByTheBrowser() => Expected = NoConnection;

    [Test]
    public async Task After_a_restart_of_the_server_the_talk_goes_on_with_nothing_lost_or_twice()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person ana = await OpenAsync(server), zoe = await OpenAsync(server);
        await ana.IsConnectedAsync();
        await zoe.IsConnectedAsync();
        await ana.SayAsync("avant");
        await zoe.SeesAsync("avant");

        await server.DisposeAsync();
        await Expect(ana.Status).ToHaveTextAsync(new Regex("Reconnexion|Connexion"));
        await ana.SayAsync("pendant 1");
        await ana.SayAsync("pendant 2");
        await Expect(ana.Pending).ToHaveCountAsync(2);
        Serve(server.StartAgain());

        await ana.IsConnectedAsync();
        await zoe.IsConnectedAsync();
        await ana.SeesAsync("avant", "pendant 1", "pendant 2");
        await zoe.SeesAsync("avant", "pendant 1", "pendant 2");
        await Expect(ana.Pending).ToHaveCountAsync(0);
        await Expect(zoe.Log).ToContainTextAsync("Le salon a recommencé à zéro"); // memory forgets, and says so
        await zoe.SayAsync("après");
        await ana.SeesAsync("avant", "pendant 1", "pendant 2", "après");
    }

    [Test]
    public async Task What_was_typed_while_the_link_was_down_survives_a_reload_and_is_said_once()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person witness = await OpenAsync(server), person = await OpenAsync(server);
        await person.IsConnectedAsync();
        var cut = new WebSocketCut();
        await person.Page.RouteWebSocketAsync("**/ws?*", cut.Handle);
        await person.Page.ReloadAsync(); // from here on through the cut
        await person.IsConnectedAsync();
        await person.SayAsync("en ligne");
        await witness.SeesAsync("en ligne");

        await cut.CutAsync();
        await Expect(person.Status).ToHaveTextAsync(new Regex("Reconnexion|Connexion"));
        await person.SayAsync("un");
        await person.SayAsync("deux");
        await Expect(person.Pending).ToHaveCountAsync(2);
        await person.Input.FillAsync("un brouillon");
        await person.Page.ReloadAsync();
        await Expect(person.Pending).ToHaveCountAsync(2);
        await Expect(person.Input).ToHaveValueAsync("un brouillon");
        await person.SayAsync("trois");
        await Expect(person.Pending).ToHaveCountAsync(3);

        cut.Mend();
        await person.IsConnectedAsync();
        await person.SeesAsync("en ligne", "un", "deux", "trois");
        await witness.SeesAsync("en ligne", "un", "deux", "trois");
        await Expect(person.Pending).ToHaveCountAsync(0);
        Assert.That(await person.Page.EvaluateAsync<int>("() => Object.keys(localStorage).filter((key) => key.includes('outbox')).length"),
            Is.Zero);
    }

    [Test]
    public async Task What_others_said_while_the_link_was_down_is_there_once_it_is_back()
    {
        ChatServer server = Serve(ChatServer.Start());
        var cut = new WebSocketCut();
        Person person = await OpenAsync(server);
        await person.Page.RouteWebSocketAsync("**/ws?*", cut.Handle);
        await person.Page.ReloadAsync();
        await person.IsConnectedAsync();
        using Peer other = await Peer.ChatAsync(server, "name=Ana");
        for (int round = 0; round < 3; round++)
        {
            await other.SayAsync($"a{round}", $"vu {round}");
            await Expect(person.Messages.Last).ToHaveTextAsync($"vu {round}");
            await cut.CutAsync();
            await Expect(person.Status).ToHaveTextAsync(new Regex("Reconnexion|Connexion"));
            await other.SayAsync($"b{round}", $"manqué {round}");
            cut.Mend();
            await Expect(person.Messages.Last).ToHaveTextAsync($"manqué {round}");
        }
        await person.SeesAsync("vu 0", "manqué 0", "vu 1", "manqué 1", "vu 2", "manqué 2");
    }

    [Test]
    public async Task Offline_is_shown_and_online_reconnects_at_once()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        await person.IsConnectedAsync();
        await person.Page.Context.SetOfflineAsync(true);
        await Expect(person.Status).ToHaveTextAsync(new Regex("Hors ligne"));
        await person.SayAsync("plus tard");
        await Expect(person.Pending).ToBeVisibleAsync();
        await person.Page.Context.SetOfflineAsync(false);
        await person.IsConnectedAsync();
        await person.SeesAsync("plus tard");
        await Expect(person.Pending).ToHaveCountAsync(0);
    }

    [Test]
    public async Task A_link_that_is_silent_for_two_beats_is_treated_as_dead()
    {
        ChatServer server = Serve(ChatServer.Start());
        Person person = await OpenAsync(server);
        var cut = new WebSocketCut();
        await person.Page.RouteWebSocketAsync("**/ws?*", cut.Handle);
        await person.Page.Clock.InstallAsync();
        await person.Page.ReloadAsync();
        await person.IsConnectedAsync();
        cut.Silence(); // open, and nothing comes through, as behind a router that forgot
        await person.SayAsync("dans le vide");
        await person.Page.Clock.FastForwardAsync("00:15");
        await person.IsConnectedAsync();
        cut.Mend();
        await person.Page.Clock.FastForwardAsync("00:25");
        await person.Page.Clock.RunForAsync(2000);
        await person.SeesAsync("dans le vide");
        await Expect(person.Pending).ToHaveCountAsync(0);
    }
}

/// <summary>A link between the page and the server that can be cut, or left open and deaf.</summary>
sealed class WebSocketCut
{
    readonly Lock _lock = new();
    IWebSocketRoute? _open;
    bool _isCut;
    volatile bool _isSilent;

    public void Handle(IWebSocketRoute route)
    {
        lock (_lock)
        {
            if (_isCut)
            {
                _ = route.CloseAsync(new() { Code = 4000 });
                return;
            }
            _open = route;
        }
        bool mine() => !_isSilent;
        IWebSocketRoute server = route.ConnectToServer();
        bool deaf = false;
        route.OnMessage(frame =>
        {
            deaf |= !mine();
            if (!deaf)
                server.Send(frame.Text!);
        });
        server.OnMessage(frame =>
        {
            deaf |= !mine();
            if (!deaf)
                route.Send(frame.Text!);
        });
    }

    public async Task CutAsync()
    {
        IWebSocketRoute? open;
        lock (_lock)
        {
            _isCut = true;
            open = _open;
        }
        if (open is not null)
            await open.CloseAsync(new() { Code = 4000 });
    }

    /// <summary>From now on nothing passes over what is open.</summary>
    public void Silence() => _isSilent = true;

    public void Mend()
    {
        lock (_lock)
            _isCut = false;
        _isSilent = false;
    }
}
