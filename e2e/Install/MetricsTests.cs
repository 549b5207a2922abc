using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>What somebody who watches over the server sees: /metrics, the dashboard and the alerts, during a load.</summary>
public sealed class MetricsTests
{
    static readonly string[] s_ours =
    [
        "chatminimal_clients", "chatminimal_connections", "chatminimal_rooms", "chatminimal_messages_total",
            "chatminimal_deliveries_total", "chatminimal_sent_bytes_total",
        "chatminimal_refusals_total", "chatminimal_given_up_total", "chatminimal_gaps_total", "chatminimal_failures_total",
            "chatminimal_commit_duration_seconds",
        "chatminimal_commit_messages", "chatminimal_commit_failures_total", "chatminimal_queue_bytes", "chatminimal_wal_bytes",
            "chatminimal_disk_free_bytes", "chatminimal_memory_bytes",
    ];

    [Test]
    public async Task Every_metric_is_there_during_a_load_and_the_dashboard_and_the_alerts_ask_for_nothing_else()
    {
        using var folder = new ChatFolder();
        using BuiltProcess server =
            Start("--Chat:Database", folder.File, "--Chat:KeepMessages=10", "--Chat:MessagesPerSecond=0", "--Chat:WindowBytes=1024");
        var address = new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]);
        server.Ignore();
        using var http = new HttpClient { BaseAddress = address };
        using Peer ana = await Peer.ConnectAsync(WebSocketOf(address), "chat.v1");
        using Peer bob = await Peer.ConnectAsync(WebSocketOf(address), "chat.v1");
        for (int i = 0; i < 100; i++)
        {
            await ana.SayAsync($"k{i}", $"message {i}");
            await ana.ReceiveMessageAsync();
        }
        await bob.ReceiveTextsAsync(100);
        await ana.SayAsync("empty", "");
        await ana.ReceiveAsync("refused");
        (await http.GetAsync("/messages?room=a%20b")).Dispose();
        string epoch = ana.Epoch;
        using Peer late = await Peer.ConnectAsync(WebSocketOf(address), "chat.v1", $"after=1&epoch={epoch}");
        await late.ReceiveAsync("gap");
        // Given up: it lags in the plain dialect, or breaks the protocol
        using (Peer wrong = await Peer.ConnectAsync(WebSocketOf(address), null))
            await wrong.SayAsync(new byte[] { 1 }, System.Net.WebSockets.WebSocketMessageType.Binary);

        Dictionary<string, double> series = Read(await http.GetStringAsync("/metrics"));
        string[] names = [.. series.Keys.Select(name => Regex.Replace(name.Split('{')[0], "_(bucket|sum|count)$", "")).Distinct()];
        Assert.That(names, Is.SupersetOf(s_ours.Except(["chatminimal_given_up_total"])), "what nobody gave reason for is not there yet");
        Assert.That(series["chatminimal_messages_total"], Is.EqualTo(100));
        Assert.That(series["chatminimal_deliveries_total"], Is.AtLeast(200), "each to both");
        Assert.That(series["chatminimal_sent_bytes_total"], Is.AtLeast(200 * "message 00".Length));
        Assert.That(series["chatminimal_gaps_total"], Is.AtLeast(1));
        Assert.That(series["chatminimal_refusals_total{reason=\"empty\"}"], Is.EqualTo(1));
        Assert.That(series["chatminimal_refusals_total{reason=\"400\"}"], Is.EqualTo(1));
        Assert.That(series["chatminimal_commit_duration_seconds_count"],
            Is.EqualTo(series["chatminimal_commit_messages_count"]).And.AtLeast(1));
        Assert.That(series["chatminimal_commit_messages_sum"], Is.EqualTo(100));
        Assert.That(series["chatminimal_commit_messages_bucket{le=\"+Inf\"}"], Is.EqualTo(series["chatminimal_commit_messages_count"]));
        Assert.That(series["chatminimal_disk_free_bytes"], Is.Positive);
        Assert.That(series["chatminimal_memory_bytes"], Is.Positive);
        Assert.That(names, Does.Contain("kestrel_active_connections").And.Contain("dotnet_gc_collections_total"),
            "Kestrel's and the runtime's are beside them");

        foreach (string file in (string[])["dashboard.json", "alerts.yaml"])
        {
            string[] asked = [.. Expressions(file).SelectMany(query =>
            Regex.Matches(query, @"\b(?:chatminimal|dotnet|kestrel)_\w+").Select(match => match.Value))];
            Assert.That(asked, Is.Not.Empty);
            foreach (string name in asked.Except(["chatminimal_given_up_total"]))
                Assert.That(series.Keys.Any(key => key.Split('{')[0] == name), Is.True, $"{file} asks for {name}");
        }
    }

    [Test]
    public async Task A_slow_reader_that_is_given_up_is_counted_by_its_code()
    {
        using BuiltProcess server = Start("--Chat:Database=", "--Chat:KeepAliveSeconds=1");
        var address = new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]);
        using RawPeer silent = await RawPeer.UpgradeAsync(address.Port); // answers no ping
        await server.ReadUntilAsync("Gave up (");
        server.Ignore();
        using var http = new HttpClient { BaseAddress = address };
        Assert.That(Read(await http.GetStringAsync("/metrics"))
            .Where(series => series.Key.StartsWith("chatminimal_given_up_total{code=", StringComparison.Ordinal))
                .Sum(series => series.Value), Is.EqualTo(1));
    }

    [Test]
    public void Every_metric_is_in_the_README()
    {
        string readme = File.ReadAllText(Path.Combine(BuiltProcess.PathOf("Root"), "README.md"));
        foreach (string name in s_ours)
            Assert.That(readme, Does.Contain($"`{name}`"));
    }

    static IEnumerable<string> Expressions(string file)
    {
        string text = File.ReadAllText(Path.Combine(BuiltProcess.PathOf("Root"), "server", "deploy", file));
        return file.EndsWith(".json", StringComparison.Ordinal)
            ? JsonNode.Parse(text)!["panels"]!.AsArray().SelectMany(panel => panel!["targets"]!.AsArray())
                .Select(target => (string)target!["expr"]!)
            : text.Split('\n').Where(line => line.Contains("expr:", StringComparison.Ordinal));
    }

    static BuiltProcess Start(params string[] options) => BuiltProcess.Server("Production", ["--urls=http://127.0.0.1:0", .. options]);

    static Uri WebSocketOf(Uri address) => new($"ws://{address.Authority}/ws");

    // Prometheus' text format, strictly: each line is a comment or a series and a number, each family is announced once.
    static Dictionary<string, double> Read(string text)
    {
        var series = new Dictionary<string, double>();
        var types = new HashSet<string>();
        foreach (string line in text.TrimEnd('\n').Split('\n'))
        {
            Match match = Regex.Match(line, @"^(?:# HELP (?<help>\w+) .*|# TYPE (?<type>\w+) (?:counter|gauge|histogram)|(?<series>[a-z_]\w*(?:\{(?:\w+=""(?:[^""\\\n]|\\.)*"",?)+\})?) (?<value>[-+\w.]+))$");
            Assert.That(match.Success, Is.True, line);
            if (match.Groups["type"].Success)
                Assert.That(types.Add(match.Groups["type"].Value), Is.True, line);
            if (match.Groups["series"].Success)
                series.Add(match.Groups["series"].Value, double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture));
        }
        return series;
    }
}
