using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The identity of a chat file: is this the file that was written last, with all that was written to it? Else its logs are others, and get
/// new epochs, so that nobody takes a seq of one for the same seq of the other.
/// </summary>
/// <remarks>
/// The file carries a mark, a random text in table <c>state</c>; the lock file beside it remembers the mark, and the id and time of the
/// newest page. Three checks follow, each for what the others cannot see: <list type="bullet"> <item>another mark: another file, or an
/// older copy of this one, for the mark is new with each start and each checkpoint;</item> <item>the newest page is not there, or has
/// another time: the WAL has lost its newest part, or somebody has deleted those rows;</item> <item>it was open when the machine went down:
/// what was committed without a sync may be lost, and nobody can tell what it was.</item>
/// </list>
/// A mark changes in two steps, in the WAL first and by the checkpoint in the file itself. In between the lock file knows both, the old one
/// and the new one, and each of them is right.
/// </remarks>
static class Identity
{
    public static string NewMark() => Guid.NewGuid().ToString("N");

    /// <summary>The mark of the file itself, whatever its WAL has; "": it has none, or cannot be read.</summary>
    public static (string Mark, long SchemaVersion) ReadMark(string path)
    {
        try
        {
            using var file = ChatFile.OpenAsItIs(path);
            // Where a checkpoint was killed, the first page may tell of pages at the end that it had no time to move. Without this SQLite
            // takes that for damage. (With it, a file that somebody cut short is noticed only when the missing pages are read.)
            file.Execute("PRAGMA writable_schema = ON");
            return (file.Mark, file.SchemaVersion);
        }
        catch (SqliteException)
        {
            return ("", 0);
        }
    }

    /// <summary>Whether it is the file that was written last, with all that was written.</summary>
    public static bool IsSame(ChatFile file, Known? known)
    {
        if (known is not { } last || !last.Has(file.Mark))
            return false;
        if (last.Page != 0 && file.AskText($"SELECT at FROM page WHERE id = {last.Page}") != last.At)
            return false;
        return !file.IsOpen || last.Boot is Known.AnyBoot || last.Boot == Known.ThisBoot; // else the machine went down with it
    }

    /// <summary>
    /// Under a file that was restored lies the WAL of the one that it replaced, if that server was killed: SQLite would write the one into
    /// the other. Before anything has the file open, so that it can be looked into.
    /// </summary>
    /// <returns>Whether there was such a WAL.</returns>
    public static bool SetStaleWalAside(string path, Known? known)
    {
        string wal = ChatFile.WalOf(path);
        if (known is not { } last || new FileInfo(wal).Length == 0)
            return false;
        Span<byte> header = stackalloc byte[20];
        using (FileStream file = File.OpenRead(path))
            if (file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length)
                return false;
        bool hasWal = header[18] == 2; // a copy that VACUUM made has none
        if (hasWal && last.Has(ReadMark(path).Mark))
            return false;
        File.Move(wal, wal + "-stale", overwrite: true);
        File.Delete(path + "-shm");
        return true;
    }

    /// <summary>
    /// The writer's use begins: new epochs where the logs are others, and a new mark, so that every copy made until now is another file.
    /// </summary>
    public static void Begin(ChatFile file, string path, bool isDurable, LockFile lockFile)
    {
        if (file.IsAnother)
            file.Execute("UPDATE room SET epoch = lower(hex(randomblob(16)))");
        file.Execute("PRAGMA wal_checkpoint(TRUNCATE)");
        (string main, _) = ReadMark(path);
        bool isAll = main == file.Mark; // else somebody reads, and the mark must do
        Known known = lockFile.Known is { } last && !file.IsAnother ? last : new Known("", "", 0, Known.NoTime, "");
        lockFile.Remember(known with
        {
            Old = main,
            Mark = isAll ? NewMark() : file.Mark,
            Boot = isDurable ? Known.AnyBoot : Known.ThisBoot
        });
        file.Execute($"UPDATE state SET is_open = 1, mark = '{lockFile.Known!.Value.Mark}'");
        file.Execute("PRAGMA wal_checkpoint(TRUNCATE)"); // so that this much is known even without the WAL
        ForgetOldMark(path, lockFile);
    }

    /// <summary>After a checkpoint: when all of it went well, the file has the newest mark, and no other one is right any more.</summary>
    public static void ForgetOldMark(string path, LockFile lockFile)
    {
        if (lockFile.Known is { } known && known.Old != known.Mark && ReadMark(path).Mark == known.Mark)
            lockFile.Remember(known with { Old = known.Mark });
    }
}
