using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// The numbers of our meter, Kestrel's and the runtime's, in Prometheus' text format (version 0.0.4); names and units become what
/// OpenTelemetry's exporters make of them.
/// </summary>
/// <remarks>By hand, since OpenTelemetry's exporter is a beta, and prometheus-net has instruments of its own.</remarks>
sealed class PrometheusText : IDisposable
{
    readonly string[] _meters = Metrics.Meters; // before anything is published, which making them does

    readonly MeterListener _listener = new();
    readonly ConcurrentDictionary<Instrument, Family> _families = new();
    readonly Lock _lock = new(); // one collection at a time

    public PrometheusText(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            // Ours or the process's; not those of another server in this process, which a test may have.
            if (_meters.Contains(instrument.Meter.Name)
                && (instrument.Meter.Scope is null || ReferenceEquals(instrument.Meter.Scope, meters)))
                listener.EnableMeasurementEvents(instrument, _families.GetOrAdd(instrument, static instrument => new Family(instrument)));
        };
        _listener.MeasurementsCompleted = (instrument, _) => _families.TryRemove(instrument, out Family? _);
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, family) => ((Family)family!).Record(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, family) => ((Family)family!).Record(value, tags));
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, family) => ((Family)family!).Record(value, tags));
        _listener.Start();
    }

    public string Collect()
    {
        var text = new StringBuilder();
        lock (_lock)
        {
            _listener.RecordObservableInstruments();
            foreach (Family family in _families.Values.OrderBy(family => family.Name, StringComparer.Ordinal))
                family.Write(text);
        }
        return text.ToString();
    }

    public void Dispose() => _listener.Dispose();

    /// <summary>All series of one instrument.</summary>
    sealed class Family
    {
        const int MostSeries = 200; // an instrument of somebody else's may have tags that a peer chooses

        readonly string _type, _help;
        readonly bool _isAbsolute;    // what is recorded is the value itself
        readonly double[]? _bounds;   // of a histogram
        readonly Lock _lock = new();
        readonly Dictionary<string, Series> _series = [];

        public string Name { get; }

        public Family(Instrument instrument)
        {
            Type kind = instrument.GetType().GetGenericTypeDefinition();
            bool isHistogram = kind == typeof(Histogram<>), isCounter = kind == typeof(Counter<>) || kind == typeof(ObservableCounter<>);
            _type = isHistogram ? "histogram" : isCounter ? "counter" : "gauge";
            _isAbsolute = instrument.IsObservable || kind == typeof(Gauge<>);
            _bounds = !isHistogram ? null : instrument switch
            {
                Histogram<double> { Advice.HistogramBucketBoundaries: { } bounds } => [.. bounds],
                Histogram<long> { Advice.HistogramBucketBoundaries: { } bounds } => [.. bounds],
                _ => [],
            };
            _help = (instrument.Description ?? "").Replace("\\", "\\\\").Replace("\n", "\\n");
            string unit = instrument.Unit switch { "By" => "_bytes", "s" => "_seconds", _ => "" };
            string name = instrument.Name.Replace('.', '_');
            Name = (name.EndsWith(unit, StringComparison.Ordinal) ? name : name + unit) + (isCounter ? "_total" : "");
            if (instrument.Meter.Name == Metrics.MeterName && !instrument.IsObservable && !isHistogram
                && Name is not ("chatminimal_refusals_total" or "chatminimal_given_up_total"))
                _series[""] = new Series(null); // nothing yet is 0
        }

        public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            string labels = tags.IsEmpty ? "" : Labels(tags);
            lock (_lock)
            {
                if (!_series.TryGetValue(labels, out Series? series))
                {
                    if (_series.Count == MostSeries)
                        return;
                    _series[labels] = series = new Series(_bounds);
                }
                series.Record(value, _isAbsolute, _bounds);
            }
        }

        public void Write(StringBuilder text)
        {
            lock (_lock)
            {
                if (_series.Count == 0)
                    return;
                text.Append($"# HELP {Name} {_help}\n# TYPE {Name} {_type}\n");
                foreach ((string labels, Series series) in _series)
                    series.Write(text, Name, labels, _bounds);
            }
        }

        static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var labels = new StringBuilder();
            foreach ((string name, object? value) in tags)
            {
                string text = string.Create(CultureInfo.InvariantCulture, $"{value}").Replace("\\", "\\\\").Replace("\"", "\\\"")
                    .Replace("\n", "\\n");
                labels.Append(labels.Length == 0 ? "" : ",").Append(name.Replace('.', '_')).Append("=\"").Append(text).Append('"');
            }
            return labels.ToString();
        }
    }

    /// <summary>One number, or one histogram; under its family's lock.</summary>
    sealed class Series(double[]? bounds)
    {
        readonly long[] _buckets = new long[bounds?.Length ?? 0]; // each with those above its own bound only
        double _sum;
        long _count;

        public void Record(double value, bool isAbsolute, double[]? bounds)
        {
            _sum = isAbsolute ? value : _sum + value;
            if (bounds is null)
                return;
            _count++;
            int at = Array.BinarySearch(bounds, value);
            if ((at < 0 ? ~at : at) is var bucket && bucket < _buckets.Length)
                _buckets[bucket]++;
        }

        public void Write(StringBuilder text, string name, string labels, double[]? bounds)
        {
            if (bounds is null)
            {
                Line(text, name, labels, _sum);
                return;
            }
            string before = labels == "" ? "" : labels + ",";
            long below = 0;
            for (int i = 0; i < bounds.Length; i++)
                Line(text, name + "_bucket", $"{before}le=\"{Format(bounds[i])}\"", below += _buckets[i]);
            Line(text, name + "_bucket", $"{before}le=\"+Inf\"", _count);
            Line(text, name + "_sum", labels, _sum);
            Line(text, name + "_count", labels, _count);
        }

        static void Line(StringBuilder text, string name, string labels, double value) =>
            text.Append(name).Append(labels == "" ? "" : $"{{{labels}}}").Append(' ').Append(Format(value)).Append('\n');

        static string Format(double value) => value.ToString("R", CultureInfo.InvariantCulture);
    }
}
