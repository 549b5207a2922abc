using System.Text;
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

    const int LongestPrefix = 5;     // characters: of beginnings up to that the index has lists of their own
    const int MostCompletions = 100; // words that a longer beginning may be the beginning of

    const string Tokenizer = "tokenize = 'unicode61 remove_diacritics 2'";

    const string Schema =
        $"""
        CREATE VIRTUAL TABLE IF NOT EXISTS word USING fts5(
          text, content = '', contentless_delete = 1, detail = none, prefix = '2 3 4 5', {Tokenizer});
        CREATE TABLE IF NOT EXISTS room (
          id    INTEGER PRIMARY KEY,
          epoch TEXT NOT NULL,
          first INTEGER NOT NULL,  -- messages before are deleted here, too
          next  INTEGER NOT NULL   -- the first that is not in the index
        );
        """;

    // This connection's: the words that are in the index, and a table that has one word, to see it as the index does.
    const string Vocabulary =
        $"""
        PRAGMA temp_store = MEMORY;
        CREATE VIRTUAL TABLE temp.known USING fts5vocab(main, word, instance);
        CREATE VIRTUAL TABLE temp.one USING fts5(text, content = '', detail = none, {Tokenizer});
        CREATE VIRTUAL TABLE temp.folded USING fts5vocab(temp, one, row);
        """;

    readonly SqliteConnection _connection;
    readonly Statement _nextKnown, _setOne, _folded, _forgetOne;
    readonly Statement _begin, _commit, _find, _add, _forget, _findRoom, _setRoom;

    SearchFile(SqliteConnection connection)
    {
        _connection = connection;
        _begin = new(connection, "BEGIN IMMEDIATE");
        _commit = new(connection, "COMMIT");
        _find = new(connection, "SELECT rowid FROM word WHERE word MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC LIMIT ?4");
        _add = new(connection, "INSERT OR REPLACE INTO word (rowid, text) VALUES (?1, ?2)");
        _forget = new(connection, "DELETE FROM word WHERE rowid = ?1");
        _nextKnown = new(connection, "SELECT term FROM temp.known WHERE term >= ?1 LIMIT 1");
        _setOne = new(connection, "INSERT INTO temp.one (rowid, text) VALUES (1, ?1)");
        _folded = new(connection, "SELECT term FROM temp.folded");
        _forgetOne = new(connection, "INSERT INTO temp.one (one) VALUES ('delete-all')");
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
            Execute(connection, Vocabulary);
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

    public static string MatchOf(SearchWords words) => words.ToMatch(SearchWords.Quote(words.Words[^1]));

    /// <summary>
    /// The same with the last word as a beginning. FTS5 would merge the lists of all words that begin like that, millions of messages where
    /// one of them is common, before it tells the first; but an OR of these words it reads only as far as it must.
    /// </summary>
    public string MatchOfBeginning(SearchWords words)
    {
        string last = words.Words[^1];
        List<string> all = last.Length > LongestPrefix ? Completions(last) : [];
        return words.ToMatch(all.Count is 0 or > MostCompletions
            ? SearchWords.Quote(last) + "*"
            : $"({string.Join(" OR ", all.Select(SearchWords.Quote))})");
    }

    // Each is found by a search of its own, for between two words lies the list of all messages that have the first.
    List<string> Completions(string beginning)
    {
        var all = new List<string>();
        if (Folded(beginning) is not { } folded)
            return all;
        for (string from = folded; all.Count <= MostCompletions; from = all[^1] + '\0')
        {
            Statement next = _nextKnown.Bind(1, Encoding.UTF8.GetBytes(from));
            string? word = next.Step() ? next.Text(0) : null;
            next.Reset();
            if (word?.StartsWith(folded, StringComparison.Ordinal) != true)
                break;
            all.Add(word);
        }
        return all;
    }

    // A word as the index has it.
    string? Folded(string word)
    {
        _setOne.Bind(1, word).Run();
        string? folded = _folded.Step() ? _folded.Text(0) : null;
        _folded.Reset();
        _forgetOne.Run();
        return folded;
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
        Statement[] all = [_nextKnown, _setOne, _folded, _forgetOne, _begin, _commit, _find, _add, _forget, _findRoom, _setRoom];
        foreach (Statement statement in all)
            statement.Dispose();
        _connection.Dispose();
    }
}
