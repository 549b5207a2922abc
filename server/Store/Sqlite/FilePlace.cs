namespace ChatMinimal.Sqlite;

/// <summary>What has become of the file that is open, as its path tells.</summary>
enum Place
{
    Same,
    NoWal,       // somebody deleted the WAL: ours, still open, has all of it
    Gone,        // there is none: ours, still open, has all of it
    Replaced,    // another file is there
    Overwritten, // another file's content is in it
}

/// <summary>
/// The file's place is looked at after each commit, for nothing may be acknowledged that is not where the next start will look for it.
/// By path only: to open and close the file would drop SQLite's locks (POSIX: they are the process's).
/// </summary>
sealed class FilePlace(string path)
{
    readonly FileInfo _file = new(path), _wal = new(ChatFile.WalOf(path));
    long _walLength;
    (long Length, DateTime Written) _seen;

    public long WalLength => _walLength;

    public Place Look(ChatFile file, Known known, bool isCheckpointing)
    {
        if (file.HasMoved)
            return File.Exists(path) ? Place.Replaced : Place.Gone;
        _wal.Refresh();
        long length = _wal.Exists ? _wal.Length : 0;
        // It is written anew from the front, and shortened to no less than that
        bool hasWal = length > 0 && length >= Math.Min(_walLength, ChatFile.WalLimit);
        _walLength = length;
        if (!hasWal)
            return Place.NoWal;
        _file.Refresh();
        (long, DateTime) now = (_file.Length, _file.LastWriteTimeUtc);
        if (now == _seen || isCheckpointing)
            return Place.Same;
        // Somebody wrote to the file itself. Checkpoints do, ours and other programs', and leave its marks; a copy has others, or,
        // made by VACUUM, a later version of its schema than we see.
        (string mark, long version) = Identity.ReadMark(path);
        if (!known.Has(mark) || version > file.SchemaVersion)
            return Place.Overwritten;
        _seen = now;
        return Place.Same;
    }
}
