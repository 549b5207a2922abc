using Npgsql;
using NpgsqlTypes;

namespace ChatMinimal.Postgres;

/// <summary>What is asked of the database; each question is one statement, and so one snapshot.</summary>
static class Queries
{
    const int MostRows = 128; // pages read at once

    /// <summary>Where a log is, and when the message before the mark was committed (without one: the last message).</summary>
    public readonly record struct Found(LogHead Head, DateTime? MarkAt);

    /// <summary>One for each room, in their order.</summary>
    public static async Task<Found[]> FindAsync(NpgsqlConnection connection, string[] rooms, long[] marks, CancellationToken cancel)
    {
        const string sql = """
            SELECT coalesce(r.epoch, s.epoch), coalesce(r.first, 1), coalesce(r.next, 1), chat.at_of(r.id, coalesce(nullif(n.mark, 0), r.next) - 1)
            FROM chat.state AS s CROSS JOIN unnest($1, $2) WITH ORDINALITY AS n (name, mark, place) LEFT JOIN chat.room AS r ON r.name = n.name
            ORDER BY n.place
            """;
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { Of(rooms), Of(marks) } };
        await using NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel);
        var found = new List<Found>(rooms.Length);
        while (await rows.ReadAsync(cancel))
            found.Add(new Found(new LogHead(rows.GetString(0), rows.GetInt64(1), rows.GetInt64(2)), At(rows, 3)));
        return found.Count == rooms.Length
            ? [.. found]
            : throw new StoreUnavailableException("chat.state is empty: who made this database?");
    }

    /// <summary>
    /// A log from a seq on, as much as the limit lets and of the newest <c>keep</c> messages, and the same as above about the mark.
    /// </summary>
    public static async Task<(Found Found, List<Page> Pages)> ReadAsync(NpgsqlConnection connection, string room, long from, long mark,
        long keep, Limit limit, CancellationToken cancel)
    {
        const string sql = """
            SELECT coalesce(r.epoch, s.epoch), coalesce(r.first, 1), coalesce(r.next, 1), chat.at_of(r.id, $3 - 1), p.last, p.count, p.at, p.said
            FROM chat.state AS s LEFT JOIN chat.room AS r ON r.name = $1 LEFT JOIN LATERAL (
              SELECT last, count, at, said, sum(octet_length(said)) OVER (ORDER BY last) - octet_length(said) AS before
              FROM (SELECT last, count, at, said FROM chat.page WHERE room = r.id AND last >= greatest($2, r.first, r.next - $6) ORDER BY last LIMIT $4) AS x
            ) AS p ON p.before < $5
            ORDER BY p.last
            """;
        await using var command =
            new NpgsqlCommand(sql,
                connection)
            { Parameters = { Of(room), Of(from), Of(mark), Of((long)MostRows), Of((long)limit.Bytes), Of(keep) } };
        await using NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel);
        Found? found = null;
        var pages = new List<Page>();
        while (await rows.ReadAsync(cancel))
        {
            found ??= new Found(new LogHead(rows.GetString(0), rows.GetInt64(1), rows.GetInt64(2)), At(rows, 3));
            if (!rows.IsDBNull(4))
                pages.Add(PageOf(rows));
        }
        return (found ?? throw new StoreUnavailableException("chat.state is empty: who made this database?"), pages);
    }

    // Somebody's table.
    static Page PageOf(NpgsqlDataReader row) =>
        new(row.GetInt64(4), row.GetDateTime(6),
            PageText.Read(row.GetFieldValue<byte[]>(7)) is { } entries && entries.Count == row.GetInt32(5) ? entries : []);

    /// <summary>What became of an attempt to add messages. Known: the keys that the log has already; then nothing was added.</summary>
    public readonly record struct Added(LogHead Head, DateTime At, string[] Known, long[] Seqs);

    public static async Task<Added> AddAsync(NpgsqlConnection connection, string room, Mark mark, string newEpoch,
        string[] keys, int[] counts, string[] said, long keysKept, TimeSpan lockTimeout, CancellationToken cancel)
    {
        const string sql = "SELECT epoch, first, next, at, known, seqs FROM chat.submit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        await using var command = new NpgsqlCommand(sql, connection)
        {
            Parameters = { Of(room), Of(mark.Epoch), Of(mark.Next), Of(mark.At), Of(newEpoch), Of(keys), Of(counts), Of(said),
                Of(keysKept), Of($"{(long)lockTimeout.TotalMilliseconds}ms") },
        };
        await using NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel);
        await rows.ReadAsync(cancel);
        var head = new LogHead(rows.GetString(0), rows.GetInt64(1), rows.GetInt64(2));
        return rows.IsDBNull(4)
            ? new Added(head, At(rows, 3) ?? default, [], [])
            : new Added(head, default, rows.GetFieldValue<string[]>(4), rows.GetFieldValue<long[]>(5));
    }

    /// <summary>Gives a log that was rolled back another epoch, unless another server was faster.</summary>
    public static async Task RenewAsync(NpgsqlConnection connection, string room, Mark mark, string newEpoch, CancellationToken cancel)
    {
        const string sql = """
            INSERT INTO chat.room AS r (name, epoch) VALUES ($1, $5)
            ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch WHERE r.epoch = $2 AND (r.next < $3 OR chat.at_of(r.id, $3 - 1) <> $4)
            """;
        await using var command =
            new NpgsqlCommand(sql, connection) { Parameters = { Of(room), Of(mark.Epoch), Of(mark.Next), Of(mark.At), Of(newEpoch) } };
        await command.ExecuteNonQueryAsync(cancel);
    }

    public static async Task TrimAsync(NpgsqlConnection connection, string room, long keep, TimeSpan? age, long keysKept,
        CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand("SELECT chat.trim($1, $2, make_interval(secs => $3), $4)", connection)
        {
            Parameters = { Of(room), Of(keep),
                new NpgsqlParameter { Value = age is { } time ? time.TotalSeconds : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Double },
                    Of(keysKept) },
        };
        await command.ExecuteNonQueryAsync(cancel);
    }

    /// <summary>Rooms by name, a few at a time.</summary>
    public static async Task<string[]> RoomsAfterAsync(NpgsqlConnection connection, string last, CancellationToken cancel)
    {
        await using var command =
            new NpgsqlCommand("SELECT name FROM chat.room WHERE name > $1 ORDER BY name LIMIT 100",
                connection)
            { Parameters = { Of(last) } };
        await using NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel);
        var names = new List<string>();
        while (await rows.ReadAsync(cancel))
            names.Add(rows.GetString(0));
        return [.. names];
    }

    /// <summary>That this server is here; a commit like any other.</summary>
    public static async Task SignAsync(NpgsqlConnection connection, string server, CancellationToken cancel)
    {
        const string sql = "INSERT INTO chat.server AS s (id, seen) VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen";
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { Of(server) } };
        await command.ExecuteNonQueryAsync(cancel);
    }

    public static async Task NotifyAsync(NpgsqlConnection connection, string channel, string[] news, CancellationToken cancel)
    {
        await using var command =
            new NpgsqlCommand("SELECT pg_notify($1, n) FROM unnest($2) AS n", connection) { Parameters = { Of(channel), Of(news) } };
        await command.ExecuteNonQueryAsync(cancel);
    }

    public static NpgsqlParameter<T> Of<T>(T value) => new() { TypedValue = value };

    static NpgsqlParameter Of(DateTime? at) =>
        new() { Value = at is { } time ? time : DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz };

    static DateTime? At(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetDateTime(column);
}
