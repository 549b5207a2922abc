using System.Runtime.CompilerServices;
using System.Text;
using ChatMinimal.Postgres;
using ChatMinimal.Sqlite;
using Npgsql;
using NpgsqlTypes;

namespace ChatMinimal;

/// <summary>
/// An import puts the messages of an export into a room that has none: each has there the seq, time, name and key that it had, and what
/// is missing between them is a gap. It is one transaction, and holds a page of messages at a time.
/// </summary>
static class Import
{
    /// <summary>Into a room of a chat file, new or not; no server may be using it. Returns how many.</summary>
    /// <exception cref="InvalidOperationException">It cannot be done, and why.</exception>
    /// <exception cref="IOException">Likewise.</exception>
    public static async Task<long> ToFileAsync(IAsyncEnumerable<Message> messages, string room, string path, CancellationToken cancel)
    {
        using var lockFile = new LockFile(path);
        lockFile.Take(); // or a server is using it
        using var file = ChatFile.OpenForWriting(path, isDurable: false, lockFile);
        file.Begin.Run();
        try
        {
            long count = await AddAsync(file, messages, room, path, cancel);
            file.Commit.Run();
            return count;
        }
        catch
        {
            file.TakeBack();
            throw;
        }
        finally
        {
            file.CloseCleanly();
        }
    }

    static async Task<long> AddAsync(ChatFile file, IAsyncEnumerable<Message> messages, string room, string path, CancellationToken cancel)
    {
        (long id, LogHead head) = Rows.ReadHead(file, room, newEpoch: "");
        if (id == 0)
            (id, head) = Rows.AddRoom(file, room, Guid.NewGuid().ToString("N"));
        if (head.Next > 1)
            throw HasMessages(room, path);
        long count = 0, first = 1, next = 1;
        await foreach (List<Message> page in PagesAsync(messages, cancel))
        {
            if (page[^1].Seq > Rows.LastSeq)
                throw new InvalidOperationException($"message {page[^1].Seq}: no log has more than {Rows.LastSeq} messages");
            first = count == 0 ? page[0].Seq : first;
            next = page[^1].Seq + 1;
            file.AddPage.Bind(1, Rows.IdOf(id, next - 1)).Bind(2, Rows.FormatTime(page[0].At)).Bind(3, PageText.Write([.. page])).Run();
            foreach (Message message in page)
                if (message.Key is { } key)
                    Keys.Set(file, room, key, message.Seq);
            count += page.Count;
        }
        file.SetRoom.Bind(1, id).Bind(2, first).Bind(3, next).Run();
        return count;
    }

    /// <summary>Into a room of a PostgreSQL database; no server may be using it. Returns how many.</summary>
    /// <exception cref="InvalidOperationException">It cannot be done, and why.</exception>
    /// <exception cref="StoreUnavailableException">Likewise.</exception>
    public static async Task<long> ToDatabaseAsync(IAsyncEnumerable<Message> messages, string room, string connectionString,
        CancellationToken cancel)
    {
        await using var database = new Database(connectionString);
        return await database.UseAsync(async (connection, cancel) =>
        {
            await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancel);
            if (await AddRoomAsync(connection, room, cancel) is not { } id)
                throw HasMessages(room, database.Name);
            (long count, long first, long next, Queue<(string Key, long Seq)> keys) = await AddPagesAsync(connection, id, messages, cancel);
            await AddKeysAsync(connection, id, keys, cancel);
            await using var end = new NpgsqlCommand("UPDATE chat.room SET first = $2, next = $3 WHERE id = $1", connection)
            {
                Parameters = { Queries.Of(id), Queries.Of(first), Queries.Of(next) },
            };
            await end.ExecuteNonQueryAsync(cancel);
            await transaction.CommitAsync(cancel);
            return count;
        }, cancel);
    }

    // Null: it has messages. Nobody else adds any before our commit.
    static async Task<long?> AddRoomAsync(NpgsqlConnection connection, string room, CancellationToken cancel)
    {
        const string sql = """
            INSERT INTO chat.room AS r (name, epoch) SELECT $1, epoch FROM chat.state
            ON CONFLICT (name) DO UPDATE SET next = r.next WHERE r.next = 1 RETURNING id
            """;
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { Queries.Of(room) } };
        return (long?)await command.ExecuteScalarAsync(cancel);
    }

    static async Task<(long Count, long First, long Next, Queue<(string Key, long Seq)> Keys)> AddPagesAsync(NpgsqlConnection connection,
        long room, IAsyncEnumerable<Message> messages, CancellationToken cancel)
    {
        long count = 0, first = 1, next = 1;
        var keys = new Queue<(string Key, long Seq)>(); // those that are remembered
        await using NpgsqlBinaryImporter rows =
            await connection.BeginBinaryImportAsync("COPY chat.page (room, last, count, at, said) FROM STDIN (FORMAT BINARY)", cancel);
        await foreach (List<Message> page in PagesAsync(messages, cancel))
        {
            first = count == 0 ? page[0].Seq : first;
            next = page[^1].Seq + 1;
            await rows.StartRowAsync(cancel);
            await rows.WriteAsync(room, NpgsqlDbType.Bigint, cancel);
            await rows.WriteAsync(next - 1, NpgsqlDbType.Bigint, cancel);
            await rows.WriteAsync(page.Count, NpgsqlDbType.Integer, cancel);
            await rows.WriteAsync(page[0].At, NpgsqlDbType.TimestampTz, cancel);
            await rows.WriteAsync(Encoding.UTF8.GetString(PageText.Write([.. page])), NpgsqlDbType.Text, cancel);
            foreach (Message message in page)
                if (message.Key is { } key)
                    keys.Enqueue((key, message.Seq));
            while (keys.TryPeek(out (string, long Seq) oldest) && oldest.Seq < next - Postgres.Retention.KeysKept)
                keys.Dequeue();
            count += page.Count;
        }
        await rows.CompleteAsync(cancel);
        return (count, first, next, keys);
    }

    static async Task AddKeysAsync(NpgsqlConnection connection, long room, IEnumerable<(string Key, long Seq)> keys,
        CancellationToken cancel)
    {
        await using NpgsqlBinaryImporter rows =
            await connection.BeginBinaryImportAsync("COPY chat.key (room, key, seq) FROM STDIN (FORMAT BINARY)", cancel);
        foreach ((string key, long seq) in keys.Reverse().DistinctBy(known => known.Key)) // the newest that has it
        {
            await rows.StartRowAsync(cancel);
            await rows.WriteAsync(room, NpgsqlDbType.Bigint, cancel);
            await rows.WriteAsync(key, NpgsqlDbType.Text, cancel);
            await rows.WriteAsync(seq, NpgsqlDbType.Bigint, cancel);
        }
        await rows.CompleteAsync(cancel);
    }

    // What a row holds: consecutive messages of one time, as if they had been committed together.
    static async IAsyncEnumerable<List<Message>> PagesAsync(IAsyncEnumerable<Message> messages,
        [EnumeratorCancellation] CancellationToken cancel)
    {
        List<Message> page = [];
        int bytes = 0;
        await foreach (Message message in messages.WithCancellation(cancel))
        {
            bool goesOn = message.Seq == page.LastOrDefault()?.Seq + 1 && message.At == page[0].At;
            if (page is not [] && (!goesOn || Sqlite.Batch.IsFull(page.Count, bytes)))
            {
                yield return page;
                (page, bytes) = ([], 0);
            }
            page.Add(message);
            bytes += message.Text.Length;
        }
        if (page is not [])
            yield return page;
    }

    static InvalidOperationException HasMessages(string room, string place) =>
        new($"room '{room}' of {place} has messages already: an import goes into an empty one");
}
