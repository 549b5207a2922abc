namespace ChatMinimal.Postgres;

/// <summary>
/// Retention deletes what is older than the options say, now and then, whichever server comes by. A key outlives its message, which
/// may be sent again.
/// </summary>
sealed class Retention(Database database, ChatOptions options, CancellationToken stopping) : IDisposable
{
    public const int KeysKept = 100_000; // a room: sent again even after a long time offline, a message is in the log once

    static readonly TimeSpan s_every = TimeSpan.FromHours(1); // how long a message may stay beyond KeepDays

    ITimer? _sweep;

    /// <summary>How many messages of a room are shown.</summary>
    public long Keep => options.KeepMessages == 0 ? long.MaxValue : options.KeepMessages;

    TimeSpan? Age => options.KeepDays > 0 ? TimeSpan.FromDays(options.KeepDays) : null;

    /// <summary>What is no longer retained may not be deleted yet; it is no longer shown.</summary>
    public LogHead Clip(LogHead head) =>
        options.KeepMessages == 0 ? head : head with { First = Math.Max(head.First, head.Next - options.KeepMessages) };

    public void Begin(TimeProvider clock)
    {
        if (Age is not null)
            _sweep = clock.CreateTimer(_ => _ = SweepAsync(), null, TimeSpan.Zero, s_every);
    }

    public async Task TrimAsync(string room, bool withKeys)
    {
        try
        {
            await database.UseAsync(async (connection, cancel) =>
            {
                await Queries.TrimAsync(connection, room, options.KeepMessages, Age, withKeys ? KeysKept : 0, cancel);
                return true;
            }, stopping);
        }
        catch (StoreUnavailableException) { } // later, then
    }

    public void Dispose() => _sweep?.Dispose();

    // Messages grow old in rooms that nobody writes to, too.
    async Task SweepAsync()
    {
        try
        {
            for (string last = ""; ;)
            {
                string[] rooms = await database.UseAsync((connection, cancel) => Queries.RoomsAfterAsync(connection, last, cancel),
                    stopping);
                if (rooms is [])
                    return;
                foreach (string room in rooms)
                    await TrimAsync(room, withKeys: true);
                last = rooms[^1];
            }
        }
        catch (Exception error) when (error is StoreUnavailableException or OperationCanceledException) { } // in an hour, then
    }
}
