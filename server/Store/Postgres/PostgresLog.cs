namespace ChatMinimal.Postgres;

/// <summary>What the store tells its operator.</summary>
static partial class PostgresLog
{
    [LoggerMessage(201, LogLevel.Error, "A batch failed unexpectedly, and was refused")]
    public static partial void BatchFailed(this ILogger log, Exception error);

    [LoggerMessage(202, LogLevel.Error, "Room {Room} failed to take in what was committed")]
    public static partial void FollowerFailed(this ILogger log, Exception error, string room);

    [LoggerMessage(203, LogLevel.Error, "Room {Room}: page {Last} cannot be read; its messages are told as a gap")]
    public static partial void PageDamaged(this ILogger log, string room, long last);

    [LoggerMessage(204, LogLevel.Error,
        "Room {Room} is another log: the database was rolled back, or is another one. Its clients start over")]
    public static partial void AnotherLog(this ILogger log, string room);

    [LoggerMessage(205, LogLevel.Error, "Room {Room}: somebody's transaction locks its row in chat.room; its messages are refused")]
    public static partial void RoomLocked(this ILogger log, string room);

    [LoggerMessage(206, LogLevel.Warning,
        "The database's notifications do not arrive (a transaction-pooling proxy?): rooms are followed by polling")]
    public static partial void Polling(this ILogger log);

    [LoggerMessage(207, LogLevel.Information, "The database's notifications arrive")]
    public static partial void Listening(this ILogger log);

    [LoggerMessage(208, LogLevel.Error, "Following the database failed unexpectedly, and goes on")]
    public static partial void LoopFailed(this ILogger log, Exception error);
}
