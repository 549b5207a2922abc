namespace ChatMinimal.Sqlite;

/// <summary>What the store tells its operator.</summary>
static partial class SqliteLog
{
    [LoggerMessage(101, LogLevel.Error, "The writer failed unexpectedly; what has no answer yet is refused, though it may be committed")]
    public static partial void WriterFailed(this ILogger log, Exception error);

    [LoggerMessage(102, LogLevel.Error, "Room {Room} failed to take in what was committed")]
    public static partial void FollowerFailed(this ILogger log, Exception error, string room);

    [LoggerMessage(103, LogLevel.Error, "Room {Room}: row {Id} of table page cannot be read; its messages are told as a gap")]
    public static partial void RowDamaged(this ILogger log, string room, long id);

    [LoggerMessage(104, LogLevel.Error,
        "{File} is not the file that was written last, or has lost its newest part: its rooms get new epochs, and clients start over")]
    public static partial void AnotherLog(this ILogger log, string file);

    [LoggerMessage(105, LogLevel.Warning, "{Wal} belongs to another file than the one beside it; it was set aside as {Wal}-stale")]
    public static partial void StaleWal(this ILogger log, string wal);

    [LoggerMessage(106, LogLevel.Error, "Somebody changed {File} under the server ({Place})")]
    public static partial void FileMoved(this ILogger log, string file, Place place);

    [LoggerMessage(107, LogLevel.Warning, "{Wal} has {Megabytes} MB and grows: some program has been reading the file for long, so that it cannot be emptied (a backup, a forgotten sqlite3?)")]
    public static partial void LargeWal(this ILogger log, string wal, long megabytes);

    [LoggerMessage(108, LogLevel.Warning, "The search index {File} cannot be used now, and is made anew if it is damaged: {Reason}")]
    public static partial void SearchIndexFailed(this ILogger log, string file, string reason);

    [LoggerMessage(109, LogLevel.Error, "Somebody deleted {File}-lock under the server; it was made anew")]
    public static partial void LockDeleted(this ILogger log, string file);
}
