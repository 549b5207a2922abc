using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The chat file is a SQLite database that one can read: a table of rooms, a table of messages. Here it is opened, made,
/// brought to the schema of this program, and refused when it is not ours or not whole. One of these is one connection,
/// with all that is ever asked of it.
/// </summary>
sealed class ChatFile : IDisposable
{
    const int ApplicationId = 0x43684D6E; // "ChMn": so that no other program's database is taken for ours
    const int BusyTimeout = 1;            // seconds to wait for another process's lock before the message is refused

    // Forward only: the version of a file is how many of these it has been through.
    static readonly string[] s_migrations =
    [
        """
        CREATE TABLE room (
          name  TEXT NOT NULL PRIMARY KEY,
          epoch TEXT NOT NULL,     -- which log this is; another one voids what clients remember
          first INTEGER NOT NULL   -- the oldest seq that is kept
        ) WITHOUT ROWID;
        CREATE TABLE page (        -- messages that were kept together: one row is several times faster than a row each
          room TEXT NOT NULL,
          last INTEGER NOT NULL,   -- the seq of the last one
          at   TEXT NOT NULL,      -- ISO 8601, UTC
          said TEXT NOT NULL,      -- JSON, oldest first: [[text, name, key], ...]; text is null when only the key is still kept
          PRIMARY KEY (room, last)
        ) WITHOUT ROWID;
        CREATE VIEW message AS     -- what one reads
          SELECT room.name AS room, last - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.room = room.name JOIN json_each(said) AS each
          WHERE last - json_array_length(said) + 1 + each.key >= first;
        CREATE TABLE key_hash (    -- the keys of a room's newest messages, by hash: small, so that finding one stays fast
          hash INTEGER PRIMARY KEY,
          seq  INTEGER NOT NULL
        );
        CREATE TABLE state (is_open INTEGER NOT NULL); -- 1 while a server writes, and after one that was killed
        INSERT INTO state VALUES (0);
        """,
        // A tree of whole numbers is searched without a look at the rows, which may be long: a text key made each commit read several of them.
        """
        DROP VIEW message;
        ALTER TABLE room RENAME TO old_room;
        ALTER TABLE page RENAME TO old_page;
        CREATE TABLE room (
          id    INTEGER PRIMARY KEY,
          name  TEXT NOT NULL UNIQUE,
          epoch TEXT NOT NULL,     -- which log this is; another one voids what clients remember
          first INTEGER NOT NULL   -- the oldest seq that is kept
        );
        CREATE TABLE page (        -- messages that were kept together: one row is several times faster than a row each
          id   INTEGER PRIMARY KEY, -- the room's id, and in the last 36 bits the seq of the last message
          at   TEXT NOT NULL,      -- ISO 8601, UTC
          said TEXT NOT NULL       -- JSON, oldest first: [[text, name, key], ...]; text is null when only the key is still kept
        );
        INSERT INTO room (name, epoch, first) SELECT name, epoch, first FROM old_room;
        INSERT INTO page SELECT id << 36 | last, at, said FROM old_page JOIN room ON name = room ORDER BY id, last;
        DROP TABLE old_page;
        DROP TABLE old_room;
        CREATE VIEW message AS     -- what one reads
          SELECT name AS room, (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.id BETWEEN room.id << 36 AND room.id << 36 | 0xFFFFFFFFF JOIN json_each(said) AS each
          WHERE (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key >= first;
        """,
        // A room remembers its end, so that rows that somebody deleted there are a gap; a row that is damaged does not hide the others from the view.
        """
        ALTER TABLE room ADD COLUMN next INTEGER NOT NULL DEFAULT 1; -- no message will get a lesser seq; the newest may have greater ones
        DROP VIEW message;
        CREATE VIEW message AS     -- what one reads
          SELECT name AS room, (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.id BETWEEN room.id << 36 AND room.id << 36 | 0xFFFFFFFFF
            JOIN json_each(iif(json_valid(said), said, '[]')) AS each
          WHERE (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key >= first
        -- not where it is damaged
        """,
    ];

    readonly string _path;
    readonly SqliteConnection _connection;
    readonly List<Statement> _statements = [];
    long _logLength; // bytes

    ChatFile(string path, SqliteOpenMode mode)
    {
        _path = path;
        _connection = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false, DefaultTimeout = BusyTimeout }.ToString());
        _connection.Open();
        Execute($"PRAGMA busy_timeout = {BusyTimeout * 1000}");
    }

    /// <summary>For the only writer: makes the file or brings it up to date if need be.</summary>
    /// <exception cref="ChatFileException">It cannot be used, and why.</exception>
    public static ChatFile OpenForWriting(string path, bool isDurable)
    {
        bool existed = File.Exists(path), hadLog = File.Exists(LogPath(path));
        ChatFile? file = null;
        try
        {
            file = new ChatFile(path, SqliteOpenMode.ReadWriteCreate);
            file.Check();
            file.Execute("PRAGMA journal_mode = WAL");
            file.Execute($"PRAGMA synchronous = {(isDurable ? "FULL" : "NORMAL")}");
            file.Execute("PRAGMA cache_size = -65536");       // KiB: the keys are looked up all over
            file.Execute("PRAGMA wal_autocheckpoint = 0");    // somebody else copies the log back, so that nobody waits for it
            file.Migrate();
            if (file.Ask("SELECT is_open FROM state") == 1 && !hadLog)
                // Killed, and its log deleted: the newest messages are gone, and their numbers will be given again. These are other logs now.
                file.Execute("UPDATE room SET epoch = lower(hex(randomblob(16)))");
            file.Execute("UPDATE state SET is_open = 1");
            file.Execute("PRAGMA wal_checkpoint(TRUNCATE)"); // so that this much is known even without the log
            return file;
        }
        catch (SqliteException error)
        {
            file?.Dispose();
            throw new ChatFileException($"{path} cannot be used: {error.Message}", existed && MayPass(error), error);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    // What is said of the place, not of the file: full, locked, not writable.
    static bool MayPass(SqliteException error) => error.SqliteErrorCode is not (raw.SQLITE_NOTADB or raw.SQLITE_CORRUPT or raw.SQLITE_ERROR);

    /// <summary>A checkpoint by a connection of its own.</summary>
    public static void Checkpoint(string path)
    {
        try
        {
            using var file = new ChatFile(path, SqliteOpenMode.ReadWrite);
            file.Checkpoint();
        }
        catch (SqliteException) { } // whatever it is, the writer meets it, too
    }

    /// <summary>Moves the WAL into the file, as far as nobody reads it. Once that is all of it, the WAL begins anew from the front.</summary>
    public void Checkpoint() => Execute("PRAGMA wal_checkpoint(PASSIVE)");

    /// <exception cref="SqliteException">It cannot be had now.</exception>
    public static ChatFile OpenForReading(string path) => new(path, SqliteOpenMode.ReadOnly);

    /// <summary>Set to false after a failure that another connection may not have.</summary>
    public bool IsWhole { get; set; } = true;

    /// <summary>Whether what was just committed is where SQLite will look for it: in a log that nobody has deleted under us.</summary>
    public bool HasLog()
    {
        var log = new FileInfo(LogPath(_path));
        long length = log.Exists ? log.Length : 0;
        bool has = length > 0 && length >= _logLength; // it is written anew from the front, and never gets shorter
        _logLength = length;
        return has;
    }

    public Statement Begin => field ??= Prepare("BEGIN IMMEDIATE");
    public Statement BeginReading => field ??= Prepare("BEGIN");
    public Statement Commit => field ??= Prepare("COMMIT");
    public Statement Rollback => field ??= Prepare("ROLLBACK");
    public Statement AddRoom => field ??= Prepare("INSERT INTO room (name, epoch, first) VALUES (?1, ?2, 1)");
    public Statement SetRoom => field ??= Prepare("UPDATE room SET first = ?2, next = ?3 WHERE id = ?1");
    public Statement SetNext => field ??= Prepare("UPDATE room SET next = max(next, ?2) WHERE id = ?1");
    public Statement FindRoom => field ??= Prepare("SELECT id, epoch, first, next FROM room WHERE name = ?1");
    public Statement LastPage => field ??= Prepare("SELECT id FROM page WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1");
    public Statement AddPage => field ??= Prepare("INSERT INTO page VALUES (?1, ?2, ?3)");
    public Statement ReadPages => field ??= Prepare("SELECT id, at, said FROM page WHERE id BETWEEN ?1 AND ?2 ORDER BY id");
    public Statement SetSaid => field ??= Prepare("UPDATE page SET said = ?2 WHERE id = ?1");
    public Statement ForgetPage => field ??= Prepare("DELETE FROM page WHERE id = ?1");
    public Statement AddKey => field ??= Prepare("INSERT INTO key_hash VALUES (?1, ?2) ON CONFLICT DO NOTHING");
    public Statement MoveKey => field ??= Prepare("UPDATE key_hash SET seq = ?2 WHERE hash = ?1");
    public Statement FindKey => field ??= Prepare("SELECT seq FROM key_hash WHERE hash = ?1");
    public Statement ForgetKey => field ??= Prepare("DELETE FROM key_hash WHERE hash = ?1 AND seq = ?2");

    /// <summary>The room's row and where its log is; an id of 0 when there is none.</summary>
    public (long Id, LogHead Head) ReadHead(string room, string newEpoch)
    {
        Statement found = FindRoom.Bind(1, room);
        if (!found.Step())
            return (0, new LogHead(newEpoch, 1, 1));
        // Somebody's file: an epoch or a number that cannot be used is as good as none.
        (long id, string epoch, long first, long next) = (found.Int64(0), found.IsText(1) ? found.Text(1)! : newEpoch, found.Int64(2), found.Int64(3));
        found.Reset();
        if (LastPage.Bind(1, Page.IdOf(id, 0)).Bind(2, Page.LastIdOf(id)).Scalar() is { } last)
            next = Math.Max(next, Page.SeqOf(last) + 1);
        next = Math.Max(next, 1);
        return (id, new LogHead(epoch, Math.Clamp(first, 1, next), next));
    }

    /// <summary>Within a transaction: writes what a long message needs, where messages go, and takes it back. Fails when a message would.</summary>
    public void Probe()
    {
        AddPage.Bind(1, -1).Bind(2, "").Bind(3, new byte[256 << 10]).Run();
        ForgetPage.Bind(1, -1).Run();
    }

    /// <summary>Ends the writer's use: the next one need not wonder.</summary>
    public void CloseCleanly()
    {
        try
        {
            Execute("UPDATE state SET is_open = 0");
            Execute("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        catch (SqliteException) { } // then the next one does wonder
        Dispose();
    }

    public void Dispose()
    {
        foreach (Statement statement in _statements)
            statement.Dispose();
        _connection.Dispose();
    }

    // A file that is no database, or a broken one, or not ours, is found out before anything is written to it.
    void Check()
    {
        bool isNew = Ask("SELECT count(*) FROM sqlite_schema") == 0;
        if (!isNew && Ask("PRAGMA application_id") != ApplicationId)
            throw new ChatFileException($"{_path} is another program's database", mayPass: false);
        if (Ask("PRAGMA user_version") is var version && version > s_migrations.Length)
            throw new ChatFileException($"{_path} was written by a newer ChatMinimal (schema {version}; this one knows {s_migrations.Length})", mayPass: false);
    }

    void Migrate()
    {
        for (long version = Ask("PRAGMA user_version"); version < s_migrations.Length; version++)
            Execute($"BEGIN IMMEDIATE; {s_migrations[version]}\n; PRAGMA application_id = {ApplicationId}; PRAGMA user_version = {version + 1}; COMMIT");
    }

    long Ask(string sql)
    {
        using var statement = new Statement(_connection, sql);
        return statement.Scalar() ?? 0;
    }

    void Execute(string sql)
    {
        using SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    Statement Prepare(string sql)
    {
        var statement = new Statement(_connection, sql);
        _statements.Add(statement);
        return statement;
    }

    static string LogPath(string path) => path + "-wal";
}

/// <summary>The chat file cannot be used. For the operator, in one line.</summary>
sealed class ChatFileException(string message, bool mayPass, Exception? inner = null) : InvalidOperationException(message, inner)
{
    /// <summary>The same file may be of use again later: a disk that is full, a lock that somebody holds.</summary>
    public bool MayPass => mayPass;
}
