using System.Diagnostics.Metrics;

namespace ChatMinimal;

/// <summary>
/// What the server counts as it works: the instruments of the meter "ChatMinimal". Those on a hot path are plain numbers that are looked at
/// when somebody asks; the others happen once a batch, or seldom. One process is one server, so they are static.
/// </summary>
static class Metrics
{
    static readonly Meter s_meter = new("ChatMinimal", ProgramVersion.Text);

    static readonly Counter<long> s_refusals =
        s_meter.CreateCounter<long>("chatminimal.refusals", "{refusal}",
            "Requests and messages refused, by HTTP status or reason of chat.v1.");
    static readonly Counter<long> s_givenUp =
        s_meter.CreateCounter<long>("chatminimal.given_up", "{client}",
            "Clients given up because they were slow, silent or wrong, by close code.");
    static readonly Counter<long> s_gaps =
        s_meter.CreateCounter<long>("chatminimal.gaps", "{gap}", "Gaps told to clients: what they missed was no longer retained.");
    static readonly Counter<long> s_failures =
        s_meter.CreateCounter<long>("chatminimal.failures", "{failure}", "Connections ended by something unexpected.");
    static readonly Counter<long> s_commitFailures =
        s_meter.CreateCounter<long>("chatminimal.commit.failures", "{batch}", "Batches that were rolled back and refused.");
    static readonly Histogram<double> s_commitDuration =
        s_meter.CreateHistogram("chatminimal.commit.duration", "s", "Time from the begin of a transaction to its commit.",
        tags: null, new InstrumentAdvice<double>
        {
            HistogramBucketBoundaries =
            [.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5]
        });
    static readonly Histogram<long> s_commitMessages =
        s_meter.CreateHistogram("chatminimal.commit.messages", "{message}", "Messages committed in one batch (group commit).",
        tags: null, new InstrumentAdvice<long>
        {
            HistogramBucketBoundaries =
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]
        });

    static long s_deliveries, s_sentBytes, s_queueBytes, s_walBytes;

    static Metrics()
    {
        s_meter.CreateObservableCounter("chatminimal.deliveries", () => Volatile.Read(ref s_deliveries), "{message}",
            "Messages sent to clients from the rooms' windows: one for each receiver.");
        s_meter.CreateObservableCounter("chatminimal.sent", () => Volatile.Read(ref s_sentBytes), "By",
            "Bytes of frames written to sockets.");
        s_meter.CreateObservableGauge("chatminimal.queue", () => Volatile.Read(ref s_queueBytes), "By",
            "Bytes of messages that wait for the disk.");
        s_meter.CreateObservableGauge("chatminimal.wal", () => Volatile.Read(ref s_walBytes), "By", "Bytes of the database's WAL.");
        s_meter.CreateObservableGauge("chatminimal.memory", () => Environment.WorkingSet, "By", "Memory of the process.");
    }

    /// <summary>The meter's. Whoever asks for it has all instruments there, whether anything has been counted or not.</summary>
    public static string MeterName => s_meter.Name;

    /// <summary>What we show: ours, Kestrel's and the runtime's.</summary>
    public static string[] Meters { get; } = [MeterName, "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    /// <summary>So many messages of a log go out to one client.</summary>
    public static void Delivered(long messages) => Interlocked.Add(ref s_deliveries, messages);

    /// <summary>So many bytes go out to one client.</summary>
    public static void Sent(int bytes) => Interlocked.Add(ref s_sentBytes, bytes);

    public static void Refused(string reason) => s_refusals.Add(1, new KeyValuePair<string, object?>("reason", reason));

    public static void GaveUp(string code) => s_givenUp.Add(1, new KeyValuePair<string, object?>("code", code));

    public static void Gap() => s_gaps.Add(1);

    public static void Failed() => s_failures.Add(1);

    public static void Committed(long messages, TimeSpan duration, long walBytes)
    {
        s_commitDuration.Record(duration.TotalSeconds);
        s_commitMessages.Record(messages);
        Volatile.Write(ref s_walBytes, walBytes);
    }

    public static void CommitFailed() => s_commitFailures.Add(1);

    public static void Queued(long bytes) => Volatile.Write(ref s_queueBytes, bytes);
}
