using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The chat file is a SQLite database that one can read: a table of rooms, a table of messages. One of these is one connection to it,
/// with all that is ever asked of it.
/// </summary>
sealed class ChatFile : IDisposable
{
    const int BusyTimeout = 1;   // seconds to wait for another process's lock before the message is refused
    const int HasMovedQuery = 20; // SQLITE_FCNTL_HAS_MOVED
    const int NoCheckpointOnClose = 1006; // SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE

    /// <summary>Bytes that the WAL keeps once it is in the file; it may grow beyond while somebody reads.</summary>
    public const int WalLimit = 8 << 20;

    readonly SqliteConnection _connection;
    readonly List<Statement> _statements = [];

    ChatFile(string path, SqliteOpenMode mode)
    {
        _connection = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false, DefaultTimeout = BusyTimeout }.ToString());
        _connection.Open();
        Execute($"PRAGMA busy_timeout = {BusyTimeout * 1000}");
    }

    /// <summary>For the only writer, who has the lock: makes the file or brings it up to date if need be.</summary>
    /// <exception cref="ChatFileException">It cannot be used, and why.</exception>
    public static ChatFile OpenForWriting(string path, bool isDurable, LockFile lockFile)
    {
        bool existed = File.Exists(path);
        ChatFile? file = null;
        try
        {
            if (!existed)
                Create(path);
            bool hadWal = File.Exists(WalOf(path)), isStale = hadWal && existed && SetStaleWalAside(path, lockFile.Known);
            file = new ChatFile(path, SqliteOpenMode.ReadWriteCreate) { HadStaleWal = isStale };
            Schema.Check(file, path);
            file.Execute("PRAGMA journal_mode = WAL");
            file.Execute($"PRAGMA synchronous = {(isDurable ? "FULL" : "NORMAL")}");
            file.Execute("PRAGMA cache_size = -65536");    // KiB: the keys are looked up all over
            file.Execute("PRAGMA wal_autocheckpoint = 0"); // somebody else does that, so that nobody waits for it
            file.Execute($"PRAGMA journal_size_limit = {WalLimit}");
            bool isOld = Schema.VersionOf(file) < Schema.FirstWithMark;
            Schema.Migrate(file);
            file.IsAnother = !existed || isOld ? lockFile.Known is not null || file.IsOpen && !hadWal : !file.Is(lockFile.Known);
            file.Begins(path, isDurable, lockFile);
            return file;
        }
        catch (SqliteException error)
        {
            file?.Dispose();
            throw new ChatFileException($"{path} cannot be used: {error.Message}", existed && MayPass(error), error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            file?.Dispose();
            throw new ChatFileException($"{path} cannot be used: {error.Message}", existed, error);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    // What is said of the place, not of the file: full, locked, not writable.
    static bool MayPass(SqliteException error) => error.SqliteErrorCode is not (raw.SQLITE_NOTADB or raw.SQLITE_CORRUPT or raw.SQLITE_ERROR);

    // For its owner alone; SQLite makes the WAL like it.
    static void Create(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        new FileStream(path, options).Dispose();
    }

    // Under a file that was restored lies the WAL of the one that it replaced, if that server was killed: SQLite would write the one into the other.
    // Nothing has the file open now, so it can be looked into.
    static bool SetStaleWalAside(string path, Known? known)
    {
        if (known is not { } last || new FileInfo(WalOf(path)).Length == 0)
            return false;
        Span<byte> header = stackalloc byte[20];
        using (FileStream file = File.OpenRead(path))
            if (file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length)
                return false;
        bool hasWal = header[18] == 2; // a copy that VACUUM made has none
        if (hasWal && last.Has(ReadMark(path).Mark))
            return false;
        File.Move(WalOf(path), WalOf(path) + "-stale", overwrite: true);
        File.Delete(path + "-shm");
        return true;
    }

    /// <summary>
    /// For those who only read. A file that was closed cleanly, in a place where no WAL can be made, is taken for one that nobody changes.
    /// </summary>
    /// <exception cref="SqliteException">It cannot be had now.</exception>
    public static ChatFile OpenForReading(string path)
    {
        ChatFile? file = null;
        try
        {
            file = new ChatFile(path, SqliteOpenMode.ReadOnly);
            file.Ask("SELECT count(*) FROM sqlite_schema"); // looks for the WAL
            return file;
        }
        catch (SqliteException error) when (error.SqliteErrorCode is raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY && new FileInfo(WalOf(path)) is not { Exists: true, Length: > 0 })
        {
            file?.Dispose();
            return OpenAsItIs(path);
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

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

    /// <summary>The mark of the file itself, whatever its WAL has; "": it has none, or cannot be read.</summary>
    public static (string Mark, long SchemaVersion) ReadMark(string path)
    {
        try
        {
            using ChatFile file = OpenAsItIs(path);
            return (file.Mark, file.SchemaVersion);
        }
        catch (SqliteException)
        {
            return ("", 0);
        }
    }

    static ChatFile OpenAsItIs(string path) =>
        new($"file:{string.Join('/', path.Split(Path.DirectorySeparatorChar).Select(Uri.EscapeDataString))}?immutable=1", SqliteOpenMode.ReadOnly);

    public static string WalOf(string path) => path + "-wal";

    /// <summary>Set to false after a failure that another connection may not have.</summary>
    public bool IsWhole { get; set; } = true;

    /// <summary>It is not the one that was written last, or has lost its newest part: its logs are others, and have got new epochs.</summary>
    public bool IsAnother { get; private set; }

    /// <summary>There was a WAL beside it that is another file's.</summary>
    public bool HadStaleWal { get; private init; }

    /// <summary>As of this connection: with what the WAL has.</summary>
    public string Mark => AskText("SELECT mark FROM state");

    public long SchemaVersion => Ask("PRAGMA schema_version");

    /// <summary>Whether there is another file at its path, or none. Always false where an open file cannot be moved (Windows).</summary>
    public bool HasMoved => FileControl(_connection.Handle!, 0, HasMovedQuery, out int moved) == raw.SQLITE_OK && moved != 0;

    /// <summary>Moves the WAL into the file, as far as nobody reads it. Once that is all of it, the WAL begins anew from the front.</summary>
    public void Checkpoint() => Execute("PRAGMA wal_checkpoint(PASSIVE)");

    /// <summary>Writes all this connection sees into a new file.</summary>
    public void CopyTo(string path)
    {
        Create(path);
        Execute($"VACUUM INTO '{path.Replace("'", "''")}'");
    }

    /// <summary>A copy in which every room has a new epoch: whoever has seen one of its logs starts over.</summary>
    public static void MakeAnother(string path)
    {
        using var file = new ChatFile(path, SqliteOpenMode.ReadWrite);
        file.Execute("UPDATE room SET epoch = lower(hex(randomblob(16))); UPDATE state SET is_open = 0");
        if (Schema.VersionOf(file) >= Schema.FirstWithMark)
            file.Execute($"UPDATE state SET mark = '{NewMark()}'");
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

    public Statement RoomsAfter => field ??= Prepare("SELECT id, name FROM room WHERE id > ?1 ORDER BY id LIMIT 256");
    public Statement SetMark => field ??= Prepare("UPDATE state SET mark = ?1");

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

    /// <summary>Within a transaction: writes a message of this length, and takes it back. Fails when that would.</summary>
    public void Probe(int bytes)
    {
        AddPage.Bind(1, -1).Bind(2, "").Bind(3, new byte[bytes]).Run();
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

    /// <summary>Leaves file and WAL as they are: they do not belong together any more.</summary>
    public void CloseAsItIs()
    {
        _ = raw.sqlite3_db_config(_connection.Handle!, NoCheckpointOnClose, 1, out _);
        Dispose();
    }

    public void Dispose()
    {
        foreach (Statement statement in _statements)
            statement.Dispose();
        _connection.Dispose();
    }

    public long Ask(string sql)
    {
        using var statement = new Statement(_connection, sql);
        return statement.Scalar() ?? 0;
    }

    public void Execute(string sql)
    {
        using SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    bool IsOpen => Ask("SELECT is_open FROM state") == 1; // a server writes to it, or was killed

    // Whether it is the file that was written last, with all that was written.
    bool Is(Known? known)
    {
        if (known is not { } last || !last.Has(Mark))
            return false;
        if (last.Page != 0 && AskText($"SELECT at FROM page WHERE id = {last.Page}") != last.At)
            return false;
        return !IsOpen || last.Boot is Known.AnyBoot || last.Boot == Known.ThisBoot; // else the machine went down with it
    }

    void Begins(string path, bool isDurable, LockFile lockFile)
    {
        if (IsAnother)
            Execute("UPDATE room SET epoch = lower(hex(randomblob(16)))");
        Execute("PRAGMA wal_checkpoint(TRUNCATE)");
        (string main, _) = ReadMark(path);
        bool isAll = main == Mark; // else somebody reads, and the mark must do
        Known known = lockFile.Known is { } last && !IsAnother ? last : new Known("", "", 0, Known.NoTime, "");
        lockFile.Remember(known with { Old = main, Mark = isAll ? NewMark() : Mark, Boot = isDurable ? Known.AnyBoot : Known.ThisBoot });
        Execute($"UPDATE state SET is_open = 1, mark = '{lockFile.Known!.Value.Mark}'");
        Execute("PRAGMA wal_checkpoint(TRUNCATE)"); // so that this much is known even without the WAL
        ForgetOldMark(path, lockFile);
    }

    /// <summary>After a checkpoint: when all of it went well, the file has the newest mark, and no other one is right any more.</summary>
    public static void ForgetOldMark(string path, LockFile lockFile)
    {
        if (lockFile.Known is { } known && known.Old != known.Mark && ReadMark(path).Mark == known.Mark)
            lockFile.Remember(known with { Old = known.Mark });
    }

    public static string NewMark() => Guid.NewGuid().ToString("N");

    string AskText(string sql)
    {
        using var statement = new Statement(_connection, sql);
        string text = statement.Step() ? statement.Text(0) ?? "" : "";
        statement.Reset();
        return text;
    }

    Statement Prepare(string sql)
    {
        var statement = new Statement(_connection, sql);
        _statements.Add(statement);
        return statement;
    }

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control")]
    static extern int FileControl(sqlite3 database, nint name, int operation, out int result); // which SQLitePCL does not have
}

/// <summary>The chat file cannot be used. For the operator, in one line.</summary>
sealed class ChatFileException(string message, bool mayPass, Exception? inner = null) : InvalidOperationException(message, inner)
{
    /// <summary>The same file may be of use again later: a disk that is full, a lock that somebody holds.</summary>
    public bool MayPass => mayPass;
}
