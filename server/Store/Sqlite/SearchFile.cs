using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// One connection to the file of the search index: a full-text table (FTS5) without the texts, whose row ids are the room's id and the
/// seq as the pages have them, and how far each room has been read.
/// </summary>
sealed class SearchFile : IDisposable
{
    const int Version = 1; // of what follows; another one is made anew

    const string Schema =
        """
        CREATE VIRTUAL TABLE IF NOT EXISTS word USING fts5(
          text, content = '', contentless_delete = 1, detail = none, prefix = '2 3 4 5', tokenize = 'unicode61 remove_diacritics 2');
        CREATE TABLE IF NOT EXISTS room (
          id    INTEGER PRIMARY KEY,
          epoch TEXT NOT NULL,
          first INTEGER NOT NULL,  -- messages before are deleted here, too
          next  INTEGER NOT NULL   -- the first that is not in the index
        );
        """;

    readonly SqliteConnection _connection;
    readonly Statement _begin, _commit, _find, _add, _forget, _findRoom, _setRoom;

    SearchFile(SqliteConnection connection)
    {
        _connection = connection;
        _begin = new(connection, "BEGIN IMMEDIATE");
        _commit = new(connection, "COMMIT");
        _find = new(connection, "SELECT rowid FROM word WHERE word MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC LIMIT ?4");
        _add = new(connection, "INSERT OR REPLACE INTO word (rowid, text) VALUES (?1, ?2)");
        _forget = new(connection, "DELETE FROM word WHERE rowid = ?1");
        _findRoom = new(connection, "SELECT epoch, first, next FROM room WHERE id = ?1");
        _setRoom = new(connection, "INSERT OR REPLACE INTO room VALUES (?1, ?2, ?3, ?4)");
    }

    /// <exception cref="SqliteException">It cannot be had now, or not at all.</exception>
    public static SearchFile Open(string path)
    {
        CreateIfMissing(path);
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Pooling = false,
            DefaultTimeout = 1
        }.ToString());
        try
        {
            connection.Open();
            // A copy: power loss may cost it
            Execute(connection, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 1000");
            using (var version = new Statement(connection, "PRAGMA user_version"))
                if (version.Scalar() is not (0 or Version))
                    throw new SqliteException("the index is of another version", SQLitePCL.raw.SQLITE_NOTADB);
            Execute(connection, $"{Schema} PRAGMA user_version = {Version}");
            return new SearchFile(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    static void CreateIfMissing(string path)
    {
        try
        {
            if (!File.Exists(path))
                ChatFile.Create(path);
        }
        catch (IOException) when (File.Exists(path)) { } // somebody else was faster
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new SqliteException(error.Message, SQLitePCL.raw.SQLITE_CANTOPEN);
        }
    }

    public List<long> Find(long room, string match, long from, long before, int most)
    {
        var seqs = new List<long>();
        Statement rows = _find.Bind(1, match).Bind(2, Rows.IdOf(room, from)).Bind(3, Rows.IdOf(room, before) - 1).Bind(4, most);
        while (rows.Step())
            seqs.Add(Rows.SeqOf(rows.Int64(0)));
        return seqs;
    }

    /// <summary>
    /// Where to read on in a room's log; at its beginning, when it is another log than the one that was read, or has lost its end.
    /// </summary>
    public long NextOf(long room, LogHead head)
    {
        (string epoch, _, long next) = StateOf(room);
        return epoch == head.Epoch && next <= head.Next ? next : head.First;
    }

    /// <summary>Adds pages of a room, and lets go of what is no longer retained: all of it, or nothing.</summary>
    public void Add(long room, LogHead head, List<Page> pages)
    {
        (string epoch, long first, long next) = StateOf(room);
        bool isAnother = epoch != head.Epoch || next > head.Next;
        _begin.Run();
        for (long seq = first; seq < (isAnother ? next : Math.Min(head.First, next)); seq++)
            _forget.Bind(1, Rows.IdOf(room, seq)).Run();
        next = isAnother ? head.First : Math.Max(next, head.First);
        foreach (Page page in pages)
        {
            for (long seq = Math.Max(page.First, next); seq <= page.Last; seq++)
                if (page.Find(seq)?.Text is { } text)
                    _add.Bind(1, Rows.IdOf(room, seq)).Bind(2, text).Run();
            next = Math.Max(next, page.Last + 1);
        }
        _setRoom.Bind(1, room).Bind(2, head.Epoch).Bind(3, head.First).Bind(4, next).Run();
        _commit.Run();
    }

    (string Epoch, long First, long Next) StateOf(long room)
    {
        Statement found = _findRoom.Bind(1, room);
        if (!found.Step())
            return ("", 1, 1);
        (string, long, long) state = (found.Text(0) ?? "", found.Int64(1), found.Int64(2));
        found.Reset();
        return state;
    }

    static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public void Dispose()
    {
        foreach (Statement statement in (Statement[])[_begin, _commit, _find, _add, _forget, _findRoom, _setRoom])
            statement.Dispose();
        _connection.Dispose();
    }
}
