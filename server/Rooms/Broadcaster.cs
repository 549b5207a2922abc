namespace ChatMinimal;

/// <summary>
/// The broadcaster is the pumps: as many threads as there are cores to spare, started before the first connection and stopped after the
/// last. With one of them everything below is the same, only that nobody shares its work.
/// </summary>
sealed class Broadcaster : IHostedService, IDisposable
{
    const int MostPumps = 8; // unless told otherwise: from there on the memory bus and the kernel are the limit, and not the walk

    readonly Pump[] _pumps;

    public Broadcaster(ChatOptions options, TimeProvider clock, ILogger<Broadcaster> log)
    {
        // One core is for those who receive, parse and commit.
        int count = options.Pumps > 0 ? options.Pumps : Math.Clamp(Environment.ProcessorCount - 1, 1, MostPumps);
        _pumps = [.. Enumerable.Range(1, count).Select(number => new Pump(count == 1 ? "pump" : $"pump {number}", clock, log))];
    }

    /// <summary>Starts the pumps: before the first connection, and after the store.</summary>
    public Task StartAsync(CancellationToken cancel)
    {
        foreach (Pump pump in _pumps)
            pump.Start();
        return Task.CompletedTask;
    }

    /// <summary>Ends them: after the last connection.</summary>
    public Task StopAsync(CancellationToken cancel)
    {
        Dispose();
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        foreach (Pump pump in _pumps)
            pump.Dispose();
    }

    /// <summary>Who serves this slice of a room: rooms are spread by their names, the slices of one over one pump after another.</summary>
    public Pump PumpOf(string room, int slice) =>
        _pumps[(int)(((uint)room.GetHashCode(StringComparison.Ordinal) % _pumps.Length + slice) % _pumps.Length)];

    /// <summary>A second is over, for everyone in these rooms.</summary>
    public void Sweep(Room[] rooms)
    {
        foreach (Pump pump in _pumps)
            pump.Sweep(rooms);
    }
}
