using System.Text;
using ChatMinimal.Postgres;
using ChatMinimal.Sqlite;
using Npgsql;
using NpgsqlTypes;

namespace ChatMinimal;

/// <summary>
/// A copy moves every log from a chat file into an empty PostgreSQL database, or back into a new file: each message has there the seq,
/// epoch, time and key that it had, so that clients go on where they were. No server may be running on either.
/// </summary>
static class Copy
{
    /// <summary>Copies; returns how much that was. All of it, or nothing.</summary>
    /// <exception cref="InvalidOperationException">It cannot be done, and why.</exception>
    /// <exception cref="IOException">Likewise.</exception>
    public static Task<(int Rooms, long Messages)> RunAsync(string from, string to, CancellationToken cancel) =>
        (IsDatabase(from), IsDatabase(to)) switch
        {
            (false, true) => ToDatabaseAsync(Path.GetFullPath(from), to, cancel),
            (true, false) => ToFileAsync(from, Path.GetFullPath(to), cancel),
            _ => throw new InvalidOperationException("one of the two is a file, such as chat.db, and the other a connection string, such as Host=db;Database=chat;Username=chat"),
        };

    static bool IsDatabase(string place) => place.Contains('=', StringComparison.Ordinal);

    static async Task<(int, long)> ToDatabaseAsync(string path, string connectionString, CancellationToken cancel)
    {
        if (!File.Exists(path))
            throw new InvalidOperationException($"there is no {path}");
        using var lockFile = new LockFile(path);
        lockFile.Take(); // or a server is using it
        using var file = ChatFile.OpenForWriting(path, isDurable: false, lockFile); // which brings it up to date
        if (file.IsAnother)
            throw new InvalidOperationException($"{path} is not as its server left it: start the server once, and stop it");
        await using var database = new Database(connectionString);
        return await UseAsync(database, async (connection, cancel) =>
        {
            int rooms = 0;
            long messages = 0;
            await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancel);
            if (await AskAsync(connection, "SELECT count(*) FROM chat.room", cancel) > 0)
                throw new InvalidOperationException($"{database.Name} has rooms already: a copy goes into an empty one");
            foreach ((long id, string name) in RoomsOf(file))
            {
                messages += await AddRoomAsync(connection, file, id, name, cancel);
                rooms++;
            }
            await transaction.CommitAsync(cancel);
            return (rooms, messages);
        }, cancel);
    }

    // A key is remembered for as long as it would have been, even where its message is no longer retained.
    static async Task<long> AddRoomAsync(NpgsqlConnection connection, ChatFile file, long id, string name, CancellationToken cancel)
    {
        LogHead head = Rows.ReadHead(file, name, newEpoch: Guid.NewGuid().ToString("N")).Head;
        await using var add =
            new NpgsqlCommand("INSERT INTO chat.room (name, epoch, first, next) VALUES ($1, $2, $3, $4) RETURNING id", connection)
            {
                Parameters = { Queries.Of(name), Queries.Of(head.Epoch), Queries.Of(head.First), Queries.Of(head.Next) },
            };
        long room = (long)(await add.ExecuteScalarAsync(cancel))!, messages = 0, firstKey = head.Next - Postgres.Retention.KeysKept;
        var keys = new Dictionary<string, long>();
        await using (NpgsqlBinaryImporter rows =
            await connection.BeginBinaryImportAsync("COPY chat.page (room, last, count, at, said) FROM STDIN (FORMAT BINARY)", cancel))
        {
            foreach (Page page in Rows.PagesFrom(file, id, 0))
            {
                for (int i = 0; i < page.Entries.Count; i++)
                    if (page.Entries[i].Key is { } key && page.First + i >= firstKey)
                        keys[key] = page.First + i;
                if (page.IsDamaged || page.Last < head.First)
                    continue;
                await rows.StartRowAsync(cancel);
                await rows.WriteAsync(room, NpgsqlDbType.Bigint, cancel);
                await rows.WriteAsync(page.Last, NpgsqlDbType.Bigint, cancel);
                await rows.WriteAsync(page.Entries.Count, NpgsqlDbType.Integer, cancel);
                await rows.WriteAsync(page.At, NpgsqlDbType.TimestampTz, cancel);
                await rows.WriteAsync(SaidOf(page), NpgsqlDbType.Text, cancel);
                messages += page.Last + 1 - Math.Max(page.First, head.First);
            }
            await rows.CompleteAsync(cancel);
        }
        await using NpgsqlBinaryImporter known =
            await connection.BeginBinaryImportAsync("COPY chat.key (room, key, seq) FROM STDIN (FORMAT BINARY)", cancel);
        foreach ((string key, long seq) in keys)
        {
            await known.StartRowAsync(cancel);
            await known.WriteAsync(room, NpgsqlDbType.Bigint, cancel);
            await known.WriteAsync(key, NpgsqlDbType.Text, cancel);
            await known.WriteAsync(seq, NpgsqlDbType.Bigint, cancel);
        }
        await known.CompleteAsync(cancel);
        return messages;
    }

    static string SaidOf(Page page) =>
        Encoding.UTF8.GetString(PageText.Write([.. page.Entries.Select(entry => new Message(0, page.At, entry.Name, entry.Text
            ?? [], entry.Key))]));

    static async Task<(int, long)> ToFileAsync(string connectionString, string path, CancellationToken cancel)
    {
        if (File.Exists(path))
            throw new InvalidOperationException($"{path} is there already: a copy does not write over anything");
        using var lockFile = new LockFile(path);
        lockFile.Take();
        using var file = ChatFile.OpenForWriting(path, isDurable: false, lockFile);
        await using var database = new Database(connectionString);
        (int, long) copied = await UseAsync(database, async (connection, cancel) =>
        {
            await using NpgsqlTransaction snapshot =
                await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancel);
            var rooms = new List<(long Id, string Name, LogHead Head)>();
            await using (var command = new NpgsqlCommand("SELECT id, name, epoch, first, next FROM chat.room ORDER BY id", connection))
            await using (NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel))
                while (await rows.ReadAsync(cancel))
                    rooms.Add((rows.GetInt64(0), rows.GetString(1), new LogHead(rows.GetString(2), rows.GetInt64(3), rows.GetInt64(4))));
            long messages = 0;
            file.Begin.Run();
            foreach ((long id, string name, LogHead head) in rooms)
            {
                file.AddRoom.Bind(1, name).Bind(2, head.Epoch).Run();
                long room = Rows.ReadHead(file, name, "").Id;
                file.SetRoom.Bind(1, room).Bind(2, head.First).Bind(3, head.Next).Run();
                messages += await AddPagesAsync(connection, id, file, room, head, cancel);
                await AddKeysAsync(connection, id, file, room, name, head, cancel);
            }
            file.Commit.Run();
            return (rooms.Count, messages);
        }, cancel);
        file.CloseCleanly();
        return copied;
    }

    static async Task<long> AddPagesAsync(NpgsqlConnection connection, long id, ChatFile file, long room, LogHead head,
        CancellationToken cancel)
    {
        long messages = 0;
        await using var command =
            new NpgsqlCommand("SELECT last, count, at, said FROM chat.page WHERE room = $1 AND last >= $2 ORDER BY last", connection)
            {
                Parameters = { Queries.Of(id), Queries.Of(head.First) },
            };
        await using NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel);
        while (await rows.ReadAsync(cancel))
        {
            long last = rows.GetInt64(0);
            file.AddPage.Bind(1, Rows.IdOf(room, last)).Bind(2, Rows.FormatTime(rows.GetDateTime(2))).Bind(3, rows.GetFieldValue<byte[]>(3))
                .Run();
            messages += last + 1 - Math.Max(last + 1 - rows.GetInt32(1), head.First);
        }
        return messages;
    }

    // The file finds a key by its hash, and believes the message it leads to; of one that is no longer retained a page keeps the key alone.
    static async Task AddKeysAsync(NpgsqlConnection connection, long id, ChatFile file, long room, string name, LogHead head,
        CancellationToken cancel)
    {
        await using var command =
            new NpgsqlCommand("SELECT key, seq FROM chat.key WHERE room = $1 AND seq >= $2 AND key NOT LIKE ' %' ORDER BY seq", connection)
            {
                Parameters = { Queries.Of(id), Queries.Of(head.Next - Postgres.Retention.KeysKept) },
            };
        await using NpgsqlDataReader rows = await command.ExecuteReaderAsync(cancel);
        while (await rows.ReadAsync(cancel))
        {
            (string key, long seq) = (rows.GetString(0), rows.GetInt64(1));
            file.AddKey.Bind(1, Keys.HashOf(name, key)).Bind(2, seq).Run();
            if (seq < head.First)
                file.AddPage.Bind(1, Rows.IdOf(room, seq)).Bind(2, Rows.FormatTime(DateTime.UnixEpoch)).Bind(3, PageText.WriteKeys([key]))
                    .Run();
        }
    }

    static List<(long Id, string Name)> RoomsOf(ChatFile file)
    {
        var rooms = new List<(long, string)>();
        for (long last = 0; ;)
        {
            int before = rooms.Count;
            Statement rows = file.RoomsAfter.Bind(1, last);
            while (rows.Step())
                rooms.Add((last = rows.Int64(0), rows.Text(1) ?? ""));
            if (rooms.Count == before)
                return rooms;
        }
    }

    static async Task<T> UseAsync<T>(Database database, Func<NpgsqlConnection, CancellationToken, Task<T>> use, CancellationToken cancel)
    {
        try
        {
            return await database.UseAsync(use, cancel);
        }
        catch (StoreUnavailableException error)
        {
            throw new InvalidOperationException(error.Message, error);
        }
    }

    static async Task<long> AskAsync(NpgsqlConnection connection, string sql, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync(cancel))!;
    }
}
