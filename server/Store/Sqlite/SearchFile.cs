using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// One connection to the file of the search index: a full-text table (FTS5) without the texts, whose row ids are the room's id and the
/// seq as the pages have them, and how far each room has been read.
/// </summary>
sealed class SearchFile : IDisposable
{
    const int Version = 2; // of what follows; another one is made anew

    public const int ForgetAtOnce = 2048; // messages a transaction: the thread is asked to stop in between, and to let others have the core

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

    /// <summary>As the index has it: nothing while it still has another log of this room.</summary>
    public List<long> Find(long room, LogHead head, string match, long before, int most)
    {
        var seqs = new List<long>();
        if (StateOf(room).Epoch != head.Epoch)
            return seqs;
        Statement rows = _find.Bind(1, match).Bind(2, Rows.IdOf(room, head.First)).Bind(3, Rows.IdOf(room, before) - 1).Bind(4, most);
        while (rows.Step())
            seqs.Add(Rows.SeqOf(rows.Int64(0)));
        return seqs;
    }

    /// <summary>Where to read on in a room's log; null: first there is something to forget.</summary>
    public long? NextOf(long room, LogHead head)
    {
        State state = StateOf(room);
        return state.First < state.KeptFrom(head) ? null : state.IsOf(head) ? Math.Max(state.Next, head.First) : head.First;
    }

    /// <summary>Lets go of some of what is not in the log any more, or was another log's: one transaction, that is bounded.</summary>
    public void ForgetSome(long room, LogHead head)
    {
        State state = StateOf(room);
        long to = Math.Min(state.KeptFrom(head), state.First + ForgetAtOnce);
        _begin.Run();
        for (long seq = state.First; seq < to; seq++)
            _forget.Bind(1, Rows.IdOf(room, seq)).Run();
        Set(room, state with { First = to });
        _commit.Run();
    }

    /// <summary>Adds pages of a room, from where <see cref="NextOf"/> said: all of them, or none.</summary>
    public void Add(long room, LogHead head, List<Page> pages)
    {
        long next = NextOf(room, head) ?? throw new InvalidOperationException("forget first");
        _begin.Run();
        foreach (Page page in pages)
        {
            for (long seq = Math.Max(page.First, next); seq <= page.Last; seq++)
                if (page.Find(seq)?.Text is { } text)
                    _add.Bind(1, Rows.IdOf(room, seq)).Bind(2, text).Run();
            next = Math.Max(next, page.Last + 1);
        }
        Set(room, new State(head.Epoch, head.First, next));
        _commit.Run();
    }

    // What the index has of a room: [First, Next) of a log.
    readonly record struct State(string Epoch, long First, long Next)
    {
        // Else it is of another log, or of one that has lost its end.
        public bool IsOf(LogHead head) => Epoch == head.Epoch && Next <= head.Next;

        // What is before is to be forgotten.
        public long KeptFrom(LogHead head) => IsOf(head) ? Math.Min(head.First, Next) : Next;
    }

    State StateOf(long room)
    {
        Statement found = _findRoom.Bind(1, room);
        if (!found.Step())
            return new State("", 1, 1);
        var state = new State(found.Text(0) ?? "", found.Int64(1), found.Int64(2));
        found.Reset();
        return state;
    }

    void Set(long room, State state) => _setRoom.Bind(1, room).Bind(2, state.Epoch).Bind(3, state.First).Bind(4, state.Next).Run();

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
