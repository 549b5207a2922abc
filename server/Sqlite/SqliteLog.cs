namespace ChatMinimal.Sqlite;

/// <summary>What the store tells its operator.</summary>
static partial class SqliteLog
{
    [LoggerMessage(101, LogLevel.Error, "The writer failed unexpectedly; its batch was rolled back and refused")]
    public static partial void WriterFailed(this ILogger log, Exception error);

    [LoggerMessage(102, LogLevel.Error, "Room {Room} failed to take in what was committed")]
    public static partial void FollowerFailed(this ILogger log, Exception error, string room);

    [LoggerMessage(103, LogLevel.Error, "Room {Room}: row {Id} of table page cannot be read; its messages are told as a gap")]
    public static partial void RowDamaged(this ILogger log, string room, long id);
}
