using Npgsql;

namespace ChatMinimal.Postgres;

/// <summary>
/// The neighbours are the other servers of this chat. Each says in a table who is in its rooms, when that changes and every few
/// seconds; one that has been silent for longer is dead, and nobody is there.
/// </summary>
sealed class Neighbours(PostgresStore store)
{
    static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(1);
    static readonly TimeSpan s_tellEvery = TimeSpan.FromSeconds(5);
    static readonly TimeSpan s_deadAfter = TimeSpan.FromSeconds(15);

    Dictionary<string, Attendance> _told = [], _heard = [];
    Task _looping = Task.CompletedTask;
    volatile bool _isOld; // another server has told that something changed

    public void Begin(Func<IReadOnlyDictionary<string, Attendance>> here, Action<string, Attendance> there) =>
        _looping = LoopAsync(here, there);

    /// <summary>A neighbour's room has changed.</summary>
    public void Hear() => _isOld = true;

    /// <summary>Whoever was here is gone, and the others need not wait to find out.</summary>
    public async Task LeaveAsync()
    {
        await _looping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await ExecuteAsync("DELETE FROM chat.presence WHERE server = $1", default, Queries.Of(store.Id));
        }
        catch (StoreUnavailableException) { } // they find out
    }

    async Task LoopAsync(Func<IReadOnlyDictionary<string, Attendance>> here, Action<string, Attendance> there)
    {
        long? toldAt = null;
        while (!store.Stopping.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(s_lookEvery, store.Clock, store.Stopping);
                IReadOnlyDictionary<string, Attendance> rooms = here();
                bool isTime = toldAt is not { } at || store.Clock.GetElapsedTime(at) >= s_tellEvery;
                await TellAsync(rooms, isTime, store.Stopping);
                if (isTime)
                    toldAt = store.Clock.GetTimestamp();
                if (isTime || _isOld)
                    await AskAsync(rooms, there, store.Stopping);
            }
            catch (Exception error) when (error is OperationCanceledException or StoreUnavailableException)
            {
                // We are stopping, or in a second
            }
            catch (Exception error) // a bug
            {
                store.Log.LoopFailed(error);
            }
        }
    }

    async Task TellAsync(IReadOnlyDictionary<string, Attendance> rooms, bool all, CancellationToken cancel)
    {
        string[] changed = [.. rooms.Keys.Where(room => !_told.TryGetValue(room, out Attendance before) || !IsSame(before, rooms[room]))];
        string[] left = [.. _told.Keys.Where(room => !rooms.ContainsKey(room))];
        string[] told = all ? [.. rooms.Keys] : changed;
        if (left.Length > 0)
            await ExecuteAsync("DELETE FROM chat.presence WHERE server = $1 AND room = ANY ($2)", cancel, Queries.Of(store.Id),
                Queries.Of(left));
        if (told.Length > 0)
            await ExecuteAsync("""
                INSERT INTO chat.presence AS p (server, room, online, names, seen)
                  SELECT $1, u.room, u.online, u.names, clock_timestamp() FROM unnest($2, $3, $4) AS u (room, online, names)
                ON CONFLICT (server, room) DO UPDATE SET online = excluded.online, names = excluded.names, seen = excluded.seen
                """, cancel, Queries.Of(store.Id), Queries.Of(told), Queries.Of(told.Select(room => rooms[room].Online).ToArray()),
                Queries.Of(told.Select(room => string.Join('\n', rooms[room].Names)).ToArray()));
        if (all)
            await ExecuteAsync("DELETE FROM chat.presence WHERE seen < clock_timestamp() - make_interval(secs => $1)", cancel,
                Queries.Of(2 * s_deadAfter.TotalSeconds));
        _told = rooms.ToDictionary();
        foreach (string room in changed.Concat(left))
            store.News.Tell(News.IsPresent, room, "");
    }

    async Task AskAsync(IReadOnlyDictionary<string, Attendance> rooms, Action<string, Attendance> there, CancellationToken cancel)
    {
        const string sql = """
            SELECT room, sum(online)::int, string_agg(nullif(names, ''), E'\n') FROM chat.presence
            WHERE server <> $1 AND room = ANY ($2) AND seen > clock_timestamp() - make_interval(secs => $3) GROUP BY room
            """;
        _isOld = false;
        Dictionary<string, Attendance> heard = await store.Database.UseAsync(async (connection, cancel) =>
        {
            await using var command = new NpgsqlCommand(sql, connection)
            {
                Parameters = { Queries.Of(store.Id), Queries.Of(rooms.Keys.ToArray()), Queries.Of(s_deadAfter.TotalSeconds) },
            };
            await using NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel);
            var found = new Dictionary<string, Attendance>();
            while (await rows.ReadAsync(cancel))
                found[rows.GetString(0)] = new Attendance(rows.GetInt32(1), rows.IsDBNull(2) ? [] : rows.GetString(2).Split('\n'));
            return found;
        }, cancel);
        foreach (string room in rooms.Keys)
        {
            Attendance who = heard.GetValueOrDefault(room, new Attendance(0, []));
            if (!IsSame(who, _heard.GetValueOrDefault(room, new Attendance(0, []))) || !_heard.ContainsKey(room))
                there(room, who);
        }
        _heard = rooms.Keys.ToDictionary(room => room, room => heard.GetValueOrDefault(room, new Attendance(0, [])));
    }

    static bool IsSame(Attendance one, Attendance other) => one.Online == other.Online && one.Names.SequenceEqual(other.Names);

    Task<int> ExecuteAsync(string sql, CancellationToken cancel, params NpgsqlParameter[] parameters) =>
        store.Database.UseAsync(async (connection, cancel) =>
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.AddRange(parameters);
        return await command.ExecuteNonQueryAsync(cancel);
    }, cancel);
}
