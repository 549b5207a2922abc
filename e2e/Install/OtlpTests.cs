using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>Metrics that the server pushes to a collector, as OpenTelemetry's variables say.</summary>
public sealed class OtlpTests
{
    [TestCase("http/protobuf"), TestCase("grpc")]
    public async Task A_collector_gets_what_metrics_shows(string protocol)
    {
        using var folder = new ChatFolder();
        await using var collector = await Collector.StartAsync(protocol);
        using BuiltProcess server = Start(["--Chat:Database", folder.File], ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol));
        using var http = new HttpClient { BaseAddress = await AddressAsync(server) };
        (await http.PostAsync("/messages", new StringContent("Bonjour"))).EnsureSuccessStatusCode().Dispose();
        (await http.GetAsync("/messages?room=a%20b")).Dispose(); // refused
        string[] shown = [.. (await http.GetStringAsync("/metrics")).Split('\n')
            .Where(line => line.StartsWith("chatminimal_", StringComparison.Ordinal) && !line.EndsWith(" 0", StringComparison.Ordinal))
            .Select(line => line.Split('{', ' ')[0])];
        Assert.That(shown, Is.SupersetOf(new[] { "chatminimal_refusals_total", "chatminimal_commit_duration_seconds_count" }));
        Export export;
        do
            export = await collector.NextAsync();
        while (!shown.All(name => export.Metrics.Any(metric => name.StartsWith(metric.Replace('.', '_'), StringComparison.Ordinal))));
        Assert.That(export.Metrics, Is.SupersetOf(new[] { "kestrel.active_connections", "dotnet.gc.collections" }),
            "Kestrel's and the runtime's are beside them");
        Assert.That(export.Path,
            Is.EqualTo(protocol == "grpc" ? "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" : "/v1/metrics"));
        Assert.That(export.Resource["service.name"], Is.EqualTo("chatminimal"));
        Assert.That(export.Resource["service.version"], Is.EqualTo(ProgramVersion.Text));
        if (OperatingSystem.IsLinux() && !BuiltProcess.HasPublishedServer)
            Assert.That(File.ReadAllText($"/proc/{server.Id}/maps"), Does.Contain("OpenTelemetry"));
        server.Ignore();
        await server.StopAsync();
    }

    [Test]
    public async Task What_is_said_for_metrics_wins_and_the_service_has_the_name_that_it_is_given()
    {
        await using var collector = await Collector.StartAsync("http/protobuf");
        using BuiltProcess server = Start(["--Chat:Database="],
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", collector.Address + "/as/it/is"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "who=all"), ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "who=metrics"),
            ("OTEL_SERVICE_NAME", "cours"), ("OTEL_RESOURCE_ATTRIBUTES", "service.version=7,room=B12"));
        Export export;
        do
            export = await collector.NextAsync();
        while (export.Metrics is []); // the first one may come before there are any
        Assert.That((export.Path, export.Who), Is.EqualTo(("/as/it/is", "metrics")));
        Assert.That((export.Resource["service.name"], export.Resource["service.version"], export.Resource["room"]),
            Is.EqualTo(("cours", "7", "B12")));
    }

    [TestCase("OTEL_SDK_DISABLED=true"), TestCase("OTEL_METRICS_EXPORTER=none"), TestCase("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=")]
    public async Task Unless_it_is_asked_for_nothing_of_it_is_there(string off)
    {
        await using var collector = await Collector.StartAsync("http/protobuf");
        string[] variable = off.Split('=');
        using BuiltProcess server = Start(["--Chat:Database="], ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", collector.Address),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"), (variable[0], variable[1]));
        using var http = new HttpClient { BaseAddress = await AddressAsync(server) };
        Assert.That(await http.GetStringAsync("/metrics"), Does.Contain("chatminimal_clients 0"));
        if (OperatingSystem.IsLinux() && !BuiltProcess.HasPublishedServer)
            Assert.That(File.ReadAllText($"/proc/{server.Id}/maps"), Does.Not.Contain("OpenTelemetry"));
        server.Ignore();
        await server.StopAsync(); // which exports
        Assert.That(collector.Exports, Is.Zero);
    }

    [Test]
    public async Task A_collector_that_never_answers_delays_neither_the_chat_nor_its_end()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        using BuiltProcess server = Start(["--Chat:Database="], ("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://{silent.LocalEndpoint}"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"), ("OTEL_METRIC_EXPORT_TIMEOUT", "600000"));
        using var http = new HttpClient { BaseAddress = await AddressAsync(server) };
        server.Ignore();
        using Socket export = await silent.AcceptSocketAsync(TestContext.CurrentContext.CancellationToken);
        (await http.PostAsync("/messages", new StringContent("Bonjour"))).EnsureSuccessStatusCode().Dispose();
        await server.StopAsync();
    }

    [Test]
    public async Task The_operator_is_told_when_the_collector_does_not_take_them_and_when_it_does()
    {
        await using var collector = await Collector.StartAsync("http/protobuf");
        collector.Answer = HttpStatusCode.ServiceUnavailable;
        using BuiltProcess server = Start(["--Chat:Database="],
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address.Replace("//", "//ana:hush@")), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"));
        Assert.That(await server.ReadUntilAsync("[25]"), Does.EndWith($"Metrics do not reach {collector.Address}"), "and keeps the secret");
        collector.Answer = HttpStatusCode.OK;
        Assert.That(await server.ReadUntilAsync("Metrics "), Does.EndWith($"[24] Metrics are exported to {collector.Address}"),
            "the next line about them, however many exports failed");
    }

    [TestCase("OTEL_METRICS_EXPORTER=prometheus", "OTEL_METRICS_EXPORTER: 'prometheus' is not otlp or none")]
    [TestCase("OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317",
        "OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' is not an address, such as http://localhost:4317")]
    [TestCase("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=ftp://collector",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'ftp://collector' is not an address, such as http://localhost:4317")]
    [TestCase("OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' is not grpc or http/protobuf")]
    [TestCase("OTEL_EXPORTER_OTLP_COMPRESSION=brotli", "OTEL_EXPORTER_OTLP_COMPRESSION: 'brotli' is not none or gzip")]
    [TestCase("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '10s' is not a number from 1 on (milliseconds)")]
    [TestCase("OTEL_METRIC_EXPORT_INTERVAL=0", "OTEL_METRIC_EXPORT_INTERVAL: '0' is not a number from 1 on (milliseconds)")]
    [TestCase("OTEL_EXPORTER_OTLP_HEADERS=hush", "OTEL_EXPORTER_OTLP_HEADERS: its value is not NAME=VALUE, with commas between several")]
    [TestCase("OTEL_RESOURCE_ATTRIBUTES=a=b,c", "OTEL_RESOURCE_ATTRIBUTES: 'a=b,c' is not NAME=VALUE, with commas between several")]
    [TestCase("OTEL_EXPORTER_OTLP_CERTIFICATE=/none.pem", "OTEL_EXPORTER_OTLP_CERTIFICATE: '/none.pem' is not a file")]
    [TestCase("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=7",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: '7' is not cumulative, delta or lowmemory")]
    public async Task What_cannot_be_used_is_one_line_and_exit_code_1(string given, string line)
    {
        string[] variable = given.Split('=', 2);
        using BuiltProcess server = Start(["--Chat:Database="],
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), (variable[0], variable[1]));
        Assert.That(await server.EndAsync(), Is.EqualTo((1, "", $"chatminimal: {line}\n")));
    }

    static BuiltProcess Start(string[] options, params (string Name, string Value)[] variables) => BuiltProcess.ServerWith(start =>
    {
        start.Environment["OTEL_METRIC_EXPORT_INTERVAL"] = "50"; // milliseconds
        foreach ((string name, string value) in variables)
            start.Environment[name] = value;
    }, ["--urls=http://127.0.0.1:0", .. options]);

    static async Task<Uri> AddressAsync(BuiltProcess server) => new((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]);
}
