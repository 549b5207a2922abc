using Microsoft.Data.Sqlite;

namespace ChatMinimal;

/// <summary><c>chatminimal import FILE --room ROOM</c>: the lines of an export become the messages of a room that has none.</summary>
static class ImportCommand
{
    public static async Task<int> RunAsync(string source, Settings settings)
    {
        string room = settings.Configuration["room"] ?? throw new StartException("import needs --room ROOM");
        if (!Visit.IsRoom(room))
            throw new StartException(Visit.RoomRule);
        string? shared = settings.Configuration.GetConnectionString("Chat");
        if (shared is null or "" && settings.Chat.Database == "")
            throw new StartException("Chat:Database is empty: there is no file to import into");
        try
        {
            await using FileStream file = File.OpenRead(source);
            IAsyncEnumerable<Message> messages = MessageLines.ReadAsync(file, settings.Chat.MaxMessageBytes, default);
            long count = shared is { Length: > 0 }
                ? await Import.ToDatabaseAsync(messages, room, shared, default)
                : await Import.ToFileAsync(messages, room, Path.GetFullPath(settings.Chat.Database), default);
            Console.Out.WriteLine($"{count} messages imported into room '{room}'");
            return 0;
        }
        catch (Exception error) when (error is SqliteException or StoreUnavailableException)
        {
            throw new StartException($"nothing was imported: {error.Message}");
        }
    }
}
