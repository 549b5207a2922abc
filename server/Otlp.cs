using System.Globalization;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;

namespace ChatMinimal;

/// <summary>
/// What /metrics shows, pushed to a collector by OpenTelemetry's protocol (OTLP), where the variables of its specification ask for it.
/// Where they do not, nothing of this is made.
/// </summary>
static class Otlp
{
    const string General = "OTEL_EXPORTER_OTLP_", Own = General + "METRICS_"; // the latter wins
    const int ShutdownMilliseconds = 200; // for the last export: what the host's 1.8 s leave of the two in which the process is gone

    static readonly string[] s_optionsOfBoth =
        ["PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"];

    // Those that we or the library read; the library would ignore a value that it cannot use.
    static readonly (string[] Names, string MayBe, Func<string, bool> IsUsable)[] s_variables =
    [
        (["OTEL_METRICS_EXPORTER"], "otlp or none", value => value == "otlp"),
        (Both("ENDPOINT"), "an address, such as http://localhost:4317",
            value => Uri.TryCreate(value, UriKind.Absolute, out Uri? address) && address.Scheme is "http" or "https"),
        (Both("PROTOCOL"), "grpc or http/protobuf", value => value is "grpc" or "http/protobuf"),
        (Both("COMPRESSION"), "none or gzip", value => value is "none" or "gzip"),
        ([.. Both("TIMEOUT"), "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"], "a number from 1 on (milliseconds)",
            value => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int milliseconds) && milliseconds > 0),
        ([.. Both("HEADERS"), "OTEL_RESOURCE_ATTRIBUTES"], "NAME=VALUE, with commas between several", ArePairs),
        ([.. Both("CERTIFICATE"), .. Both("CLIENT_CERTIFICATE"), .. Both("CLIENT_KEY")], "a file", File.Exists),
        ([Own + "TEMPORALITY_PREFERENCE"], "cumulative, delta or lowmemory",
            value => value.ToLowerInvariant() is "cumulative" or "delta" or "lowmemory"),
        ([Own + "DEFAULT_HISTOGRAM_AGGREGATION"], "explicit_bucket_histogram", value => value == "explicit_bucket_histogram"),
        (["OTEL_METRICS_EXEMPLAR_FILTER"], "always_on, always_off or trace_based",
            value => value is "always_on" or "always_off" or "trace_based"),
    ];

    public static bool IsAsked =>
        !"true".Equals(Given("OTEL_SDK_DISABLED"), StringComparison.OrdinalIgnoreCase)
        && Given("OTEL_METRICS_EXPORTER") is var exporter && exporter != "none"
        && (exporter ?? Given(Own + "ENDPOINT") ?? Given(General + "ENDPOINT")) is not null;

    /// <exception cref="StartException">Export is asked for, and cannot be done as it is.</exception>
    public static void Check()
    {
        if (!IsAsked)
            return;
        foreach ((string[] names, string mayBe, Func<string, bool> isUsable) in s_variables)
            foreach (string name in names)
                if (Given(name) is { } value && !isUsable(value))
                    throw new StartException($"{name}: {(name.EndsWith("HEADERS", StringComparison.Ordinal) ? "its value" : $"'{value}'")} is not {mayBe}");
    }

    /// <summary>Exports from now on, until the server has stopped.</summary>
    public static void Start(WebApplication app)
    {
        // Neither traces nor logs are exported, so what is said for metrics may as well be said for all, which is what the library reads.
        foreach (string option in s_optionsOfBoth)
            if (Given(Own + option) is { } value)
                Environment.SetEnvironmentVariable(General + option, value);
        var options = new OtlpExporterOptions();
        if (Given(Own + "ENDPOINT") is { } endpoint)
            options.Endpoint = new Uri(endpoint); // as it is; to the general one the library appends /v1/metrics
        var period = new PeriodicExportingMetricReaderOptions();
        MeterProvider provider = Sdk.CreateMeterProviderBuilder()
            .ConfigureResource(resource => resource
                .AddService("chatminimal", serviceVersion: ProgramVersion.Text)
                .AddEnvironmentVariableDetector()) // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
            .AddMeter(Metrics.Meters)
            .AddReader(new PeriodicExportingMetricReader(new Exporter(options, app.Logger),
                period.ExportIntervalMilliseconds ?? 60_000, period.ExportTimeoutMilliseconds ?? 30_000)
            {
                TemporalityPreference = Enum.Parse<MetricReaderTemporalityPreference>(
                    Given(Own + "TEMPORALITY_PREFERENCE") ?? nameof(MetricReaderTemporalityPreference.Cumulative), ignoreCase: true),
            })
            .Build();
        app.Lifetime.ApplicationStopped.Register(() => provider.Shutdown(ShutdownMilliseconds));
    }

    static string[] Both(string option) => [General + option, Own + option];

    // An empty one is as good as none, says the specification.
    static string? Given(string name) => Environment.GetEnvironmentVariable(name)?.Trim() is { Length: > 0 } value ? value : null;

    static bool ArePairs(string list) => list.Split(',').All(pair => pair.Split('=', 2) is [var name, _] && IsToken(name.Trim()));

    static bool IsToken(string word) =>
        word != "" && word.All(letter => char.IsAsciiLetterOrDigit(letter) || "!#$%&'*+-.^_`|~".Contains(letter)); // RFC 9110, 5.6.2

    /// <summary>Tells the operator at first, and whenever it changes, whether the collector takes what it is sent.</summary>
    sealed class Exporter(OtlpExporterOptions options, ILogger log) : OtlpMetricExporter(options)
    {
        readonly string _collector = options.Endpoint.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped); // and no secret
        bool? _isTaken;

        public override ExportResult Export(in Batch<Metric> metrics)
        {
            ExportResult result = base.Export(metrics);
            bool isTaken = result == ExportResult.Success;
            if (isTaken && _isTaken != true)
                log.Exported(_collector);
            else if (!isTaken && _isTaken != false)
                log.NotExported(_collector);
            _isTaken = isTaken;
            return result;
        }
    }
}
