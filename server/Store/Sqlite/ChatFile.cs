using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The chat file is a SQLite database that one can read: a table of rooms, a table of messages. One of these is one connection to it,
/// with all that is ever asked of it.
/// </summary>
sealed partial class ChatFile : IDisposable
{
    const int BusyTimeout = 1;   // seconds to wait for another process's lock before the message is refused
    const int HasMovedQuery = 20; // SQLITE_FCNTL_HAS_MOVED
    const int NoCheckpointOnClose = 1006; // SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE

    /// <summary>Bytes that the WAL keeps once it is in the file; it may grow beyond while somebody reads.</summary>
    public const int WalLimit = 8 << 20;

    readonly SqliteConnection _connection;

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
            bool hadWal = File.Exists(WalOf(path)), isStale = hadWal && existed && Identity.SetStaleWalAside(path, lockFile.Known);
            file = new ChatFile(path, SqliteOpenMode.ReadWriteCreate) { HadStaleWal = isStale };
            Schema.Check(file, path);
            file.Execute("PRAGMA journal_mode = WAL");
            file.Execute($"PRAGMA synchronous = {(isDurable ? "FULL" : "NORMAL")}");
            file.Execute("PRAGMA cache_size = -65536");    // KiB: the keys are looked up all over
            file.Execute("PRAGMA wal_autocheckpoint = 0"); // somebody else does that, so that nobody waits for it
            file.Execute($"PRAGMA journal_size_limit = {WalLimit}");
            bool isOld = Schema.VersionOf(file) < Schema.FirstWithMark;
            Schema.Migrate(file);
            file.IsAnother = !existed || isOld
                ? lockFile.Known is not null || file.IsOpen && !hadWal
                : !Identity.IsSame(file, lockFile.Known);
            Identity.Begin(file, path, isDurable, lockFile);
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

    // What is true of the place, not of the file: full, locked, not writable.
    static bool MayPass(SqliteException error) =>
        error.SqliteErrorCode is not (raw.SQLITE_NOTADB or raw.SQLITE_CORRUPT or raw.SQLITE_ERROR);

    /// <summary>For its owner alone; SQLite makes the WAL like it.</summary>
    public static void Create(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        new FileStream(path, options).Dispose();
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
        catch (SqliteException error) when (error.SqliteErrorCode is raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY
            && new FileInfo(WalOf(path)) is not { Exists: true, Length: > 0 })
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

    /// <summary>The file alone, without its WAL, as if nobody changed it.</summary>
    public static ChatFile OpenAsItIs(string path) =>
        new($"file:{string.Join('/', path.Split(Path.DirectorySeparatorChar).Select(Uri.EscapeDataString))}?immutable=1",
            SqliteOpenMode.ReadOnly);

    public static string WalOf(string path) => path + "-wal";

    /// <summary>Set to false after a failure that another connection may not have.</summary>
    public bool IsWhole { get; set; } = true;

    /// <summary>
    /// It is not the one that was written last, or has lost its newest part: its logs are others, and have got new epochs.
    /// </summary>
    public bool IsAnother { get; private set; }

    /// <summary>There was a WAL beside it that is another file's.</summary>
    public bool HadStaleWal { get; private init; }

    /// <summary>A server writes to it, or was killed.</summary>
    public bool IsOpen => Ask("SELECT is_open FROM state") == 1;

    /// <summary>As of this connection: with what the WAL has.</summary>
    public string Mark => AskText("SELECT mark FROM state");

    public long SchemaVersion => Ask("PRAGMA schema_version");

    /// <summary>Whether there is another file at its path, or none. Always false where an open file cannot be moved (Windows).</summary>
    public bool HasMoved => FileControl(_connection.Handle!, 0, HasMovedQuery, out int moved) == raw.SQLITE_OK && moved != 0;

    /// <summary>
    /// Moves the WAL into the file, as far as nobody reads it. Once that is all of it, the WAL begins anew from the front.
    /// </summary>
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
            file.Execute($"UPDATE state SET mark = '{Identity.NewMark()}'");
    }

    /// <summary>Ends the transaction of the moment as if nothing had been written.</summary>
    public void TakeBack()
    {
        try
        {
            Rollback.Run();
        }
        catch (Exception error) when (error is SqliteException or ObjectDisposedException) { } // it is rolled back already
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

    /// <summary>"" where there is none.</summary>
    public string AskText(string sql)
    {
        using var statement = new Statement(_connection, sql);
        string text = statement.Step() ? statement.Text(0) ?? "" : "";
        statement.Reset();
        return text;
    }

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control")]
    static extern int FileControl(sqlite3 database, nint name, int operation, out int result); // which SQLitePCL does not have
}
