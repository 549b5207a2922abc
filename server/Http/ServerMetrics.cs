using System.Diagnostics.Metrics;

namespace ChatMinimal;

/// <summary>
/// What can be seen of this server at any moment, beside what <see cref="Metrics"/> counts: who is here, and how much room is left.
/// </summary>
sealed class ServerMetrics
{
    public ServerMetrics(IMeterFactory meters, Admission admission, Links links, Rooms rooms, ChatOptions options)
    {
        Meter meter = meters.Create(Metrics.MeterName, ProgramVersion.Text);
        meter.CreateObservableGauge("chatminimal.clients", () => admission.Clients, "{client}",
            "Sockets and event streams that are connected.");
        meter.CreateObservableGauge("chatminimal.connections", () => links.Open, "{connection}", "TCP connections, whatever they are for.");
        meter.CreateObservableGauge("chatminimal.rooms", () => rooms.All.Length, "{room}", "Rooms that somebody is in.");
        meter.CreateObservableCounter("chatminimal.messages", () => rooms.Appended, "{message}",
            "Messages appended to the rooms that somebody was in.");
        if (options.Database != "" && Path.GetDirectoryName(Path.GetFullPath(options.Database)) is { } folder)
            meter.CreateObservableGauge("chatminimal.disk.free", () => FreeBytes(folder), "By", "Bytes free on the database's disk.");
    }

    static Measurement<long>[] FreeBytes(string folder)
    {
        try
        {
            return [new(new DriveInfo(folder).AvailableFreeSpace)];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return []; // the disk is gone: no number is better than a wrong one
        }
    }
}
