using System.Text.Json.Nodes;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>What the operator reads, and what nobody can do to it.</summary>
public sealed class LogTests
{
    [Test]
    public async Task An_output_that_nobody_reads_does_not_stop_the_server()
    {
        using BuiltProcess server = Start("--Logging:LogLevel:ChatMinimal=Debug", "--Chat:MessagesPerSecond=0");
        using Peer peer = await Peer.ConnectAsync(new Uri($"ws://127.0.0.1:{await PortAsync(server)}"), null);
        string text = new('x', 200);
        for (int i = 0; i < 3000; i++) // a pipe holds 64 KiB, and the queue before it a thousand lines
            await peer.SayAsync(text);
        Assert.That(await peer.ReceiveTextsAsync(3000, plain: true), Has.All.EndsWith(text));
    }

    [TestCase("simple", "^2[0-9]{3}-[0-9]{2}-[0-9]{2} [0-9:]{8} info: .*Serveur"), TestCase("json", "^\\{\"Timestamp\":.*Serveur"),
        TestCase("systemd", "^<6>2.*Serveur")]
    public async Task Each_format_of_the_console_works_and_has_the_time(string format, string expected)
    {
        using BuiltProcess server = Start($"--Logging:Console:FormatterName={format}");
        string line = await server.ReadUntilAsync("Serveur");
        Assert.That(line, Does.Match(expected));
        if (format == "json")
            Assert.That((int)JsonNode.Parse(line)!["EventId"]!, Is.EqualTo(1));
    }

    [Test]
    public async Task A_refusal_is_logged_with_address_and_room_and_nothing_that_was_sent_is_raw()
    {
        using BuiltProcess server = Start();
        int port = await PortAsync(server);
        using (await RawPeer.RequestAsync(port, "GET /ws?room=%1b[31m%e2%80%ae%0aforged HTTP/1.1\nHost: localhost"))
            Assert.That(await server.ReadUntilAsync("Refused"), Does.EndWith(
                "Refused (426) 127.0.0.1, room '\\u001b[31m\\u202e\\u000aforged': this address is for WebSockets, version 13, over HTTP/1.1"));
        string part = "--b\nEv\u001b[31mil\n\nx\n--b--";
        using (await RawPeer.RequestAsync(port, $"POST /messages HTTP/1.1\nHost: localhost\nContent-Type: multipart/form-data; boundary=b\nContent-Length: {part.Length + 4}\n\n{part}"))
            Assert.That(await server.ReadUntilAsync("Refused"),
                Does.EndWith("Refused (400) 127.0.0.1, room '': not a form: the parts of multipart/form-data cannot be told apart"));
        using (await RawPeer.RequestAsync(port, "GET /messages HTTP/1.1\nHost: localhost\nOrigin: http://\u001b[31m"))
            Assert.That(await server.ReadUntilAsync("Refused"), Does.Not.Contain("\u001b"));
    }

    [Test]
    public void A_flood_of_refusals_is_counted_and_the_count_told_a_second_later()
    {
        var clock = new FakeTimeProvider();
        var lines = new Lines();
        var log = new OperatorLog(lines, clock);
        for (int i = 0; i < 1000; i++)
            log.GaveUp(1013, null, "salon", "too slow");
        Assert.That(lines, Has.Count.EqualTo(50));
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.That(lines[^1], Is.EqualTo("950 more like this: client given up"));
        log.GaveUp(1013, null, "salon", "too slow");
        log.Disconnected(1);
        Assert.That(lines.TakeLast(2),
            Is.EqualTo(new[] { "Gave up (1013) on a unix socket, room 'salon': too slow", "Client déconnecté. Total clients : 1" }),
                "each kind has its own");
        clock.Advance(TimeSpan.FromHours(1));
        Assert.That(lines, Has.Count.EqualTo(53));
    }

    [TestCase("a\nb\u001b", "a\\u000ab\\u001b"), TestCase("\u202e\u2028\u200b", "\\u202e\\u2028\\u200b"), TestCase("é😀", "é😀")]
    public void Whatever_could_forge_turn_or_hide_a_line_is_escaped(string sent, string logged) =>
        Assert.That(ChatMinimal.Log.OneLine(sent), Is.EqualTo(logged));

    [TestCase("8765"), TestCase("http://localhost:99999"), TestCase("http://10.255.255.1:21399"), TestCase("ftp://localhost")]
    public async Task An_address_that_cannot_be_listened_on_is_told_in_one_line(string address)
    {
        using var server = BuiltProcess.Server("Production", "--urls", address, "--Chat:Database=");
        (int code, _, string error) = await server.EndAsync();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.StartWith("chatminimal: ").And.Contain(address));
        Assert.That(error.TrimEnd('\n'), Does.Not.Contain("\n"));
    }

    static BuiltProcess Start(params string[] options) =>
        BuiltProcess.Server("Production", ["--urls", "http://127.0.0.1:0", "--Chat:Database=", .. options]);

    static async Task<int> PortAsync(BuiltProcess server) => new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]).Port;

    sealed class Lines : List<string>, Microsoft.Extensions.Logging.ILogger<OperatorLog>
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(Microsoft.Extensions.Logging.LogLevel logLevel) => true;

        public void Log<TState>(Microsoft.Extensions.Logging.LogLevel logLevel, Microsoft.Extensions.Logging.EventId eventId, TState state,
            Exception? exception, Func<TState, Exception?, string> formatter) =>
            Add(formatter(state, exception));
    }
}
