using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Proxies;

/// <summary>
/// What the README says to put in front of the server works: the page, sockets of both dialects, events, POST, the page's Origin, TLS.
/// </summary>
[TestFixture("nginx"), TestFixture("caddy"), TestFixture("haproxy"), TestFixture("apache"),
    Platform(Exclude = "Win", Reason = "as Debian has them")]
public sealed class ProxyTests(string kind) : IDisposable
{
    /// <summary>
    /// Seconds without a message; E2E_SILENCE=75 for what a proxy's own time-outs of 60 must survive. Shorter: everything is, by the same
    /// factor.
    /// </summary>
    static readonly int s_silence = int.Parse(Environment.GetEnvironmentVariable("E2E_SILENCE") ?? "5", CultureInfo.InvariantCulture);
    static readonly int s_shorter = Math.Max(1, 75 / s_silence);

    readonly ChatFolder _folder = new();
    ChatServer? _server;
    Proxy? _proxy;
    SocketsHttpHandler? _handler;
    HttpClient? _http;

    [SetUp]
    public async Task StartAsync()
    {
        string folder = Path.GetDirectoryName(_folder.File)!;
        Certificate certificate = await Certificate.MakeAsync(folder);
        _server = ChatServer.StartIn("Production", ("KeepAliveSeconds", Math.Max(1, 15 / s_shorter)));
        _proxy = await Proxy.StartAsync(kind, certificate, folder, _server.Port, s_shorter);
        _handler = new SocketsHttpHandler { UseProxy = false, ConnectCallback = ConnectAsync };
        _handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == certificate.Thumbprint;
        _http = new HttpClient(_handler) { BaseAddress = new Uri($"https://chat.example:{_proxy.Port}") };
    }

    public void Dispose()
    {
        _http?.Dispose();
        _proxy?.Dispose();
        _server?.Dispose();
        _folder.Dispose();
    }

    // There is no such name: it is here.
    static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancel);
        return new NetworkStream(socket, ownsSocket: true);
    }

    [Test]
    public async Task The_page_sockets_of_both_dialects_events_and_POST_come_through()
    {
        Assert.That(await _http!.GetStringAsync("/"), Does.Contain("<title>"));
        using Peer plain = await SocketAsync(null), chat = await SocketAsync("chat.v1");
        using StreamReader events = new(await _http.GetStreamAsync("/events?last=0"));

        await plain.SayAsync("by a socket");
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : by a socket"));
        Assert.That((string)(await chat.ReceiveMessageAsync())["text"]!, Is.EqualTo("by a socket"));
        Assert.That(await NextEventAsync(events), Is.EqualTo("by a socket"));

        string longest = new('x', 60_000);
        await chat.SayAsync("k", longest);
        Assert.That(await plain.ReceiveAsync(), Does.EndWith(longest));
        Assert.That(await NextEventAsync(events), Is.EqualTo(longest));

        using HttpResponseMessage posted =
            await _http.PostAsync("/messages", new FormUrlEncodedContent([new("text", "by a form"), new("name", "Ana")]));
        Assert.That(posted.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client (Ana) : by a form"));
        Assert.That(await NextEventAsync(events), Is.EqualTo("by a form"));

        await chat.CloseAsync();
        Assert.That(chat.CloseStatus, Is.EqualTo(WebSocketCloseStatus.NormalClosure), "the server's answer comes through, too");
    }

    [Test]
    public async Task The_servers_own_page_may_connect_and_others_may_not()
    {
        string own = _http!.BaseAddress!.GetLeftPart(UriPartial.Authority);
        using (Peer peer = await SocketAsync(null, own))
        {
            await peer.SayAsync("from the page");
            Assert.That(await peer.ReceiveAsync(), Is.EqualTo("Message d'un client : from the page"));
        }
        foreach (string foreign in (string[])["https://elsewhere.example", "https://chat.example.elsewhere.example", "null"])
            Assert.That(async () => await SocketAsync(null, foreign), Throws.InstanceOf<WebSocketException>().With.Message.Contain("403"));
        foreach ((string origin, HttpStatusCode status) in ((string, HttpStatusCode)[])[(own, HttpStatusCode.Created),
            ("https://elsewhere.example", HttpStatusCode.Forbidden)])
        {
            using var post = new HttpRequestMessage(HttpMethod.Post, "/messages") { Content = new StringContent("x") };
            post.Headers.Add("Origin", origin);
            Assert.That((await _http.SendAsync(post)).StatusCode, Is.EqualTo(status), origin);
        }
    }

    [Test]
    public async Task Silence_is_survived_by_sockets_and_events()
    {
        using Peer plain = await SocketAsync(null), chat = await SocketAsync("chat.v1");
        using StreamReader events = new(await _http!.GetStreamAsync("/events?last=0"));
        Task<string?> heard = plain.ReceiveAsync(TimeSpan.FromSeconds(s_silence + 20)); // a pending receive answers pings
        Task<JsonObject> told = chat.ReceiveAsync(TimeSpan.FromSeconds(s_silence + 20), "message");
        using (var silence = new PeriodicTimer(TimeSpan.FromSeconds(s_silence))) // what is tested
            await silence.WaitForNextTickAsync();
        await plain.SayAsync("still there?");
        Assert.That(await heard, Is.EqualTo("Message d'un client : still there?"));
        Assert.That((string)(await told)["text"]!, Is.EqualTo("still there?"));
        Assert.That(await NextEventAsync(events), Is.EqualTo("still there?"));
    }

    Task<Peer> SocketAsync(string? subprotocol, string? origin = null) =>
        Peer.ConnectAsync(new Uri($"wss://chat.example:{_proxy!.Port}/ws"), subprotocol, origin: origin,
            through: new HttpMessageInvoker(_handler!, disposeHandler: false));

    // The text of the next message; heartbeats are passed over.
    static async Task<string> NextEventAsync(StreamReader events)
    {
        using CancellationTokenSource limit = Rig.Patience();
        while (await events.ReadLineAsync(limit.Token) is { } line)
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return (string)JsonNode.Parse(line[6..])!["text"]!;
        throw new EndOfStreamException();
    }
}
