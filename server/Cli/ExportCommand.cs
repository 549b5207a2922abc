using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;

namespace ChatMinimal;

/// <summary>
/// <c>chatminimal export --room ROOM</c>: its messages, oldest first, each as the line of JSON that GET /messages has of it.
/// </summary>
static class ExportCommand
{
    public static async Task<int> RunAsync(Settings settings)
    {
        string room = settings.Configuration["room"] ?? throw new StartException("export needs --room ROOM");
        string source = settings.Database;
        await using Stream output = Console.OpenStandardOutput();
        await using var lines = new BufferedStream(output, 1 << 16);
        try
        {
            using var file = ChatFile.OpenForReading(source);
            Schema.Check(file, source);
            if (Schema.VersionOf(file) < Schema.Newest)
                throw new StartException($"{source} is of an older version: start the server once, which brings it up to date");
            (long id, LogHead head) = Rows.ReadHead(file, room, newEpoch: "");
            if (id == 0)
                throw new StartException($"there is no room '{room}' in {source}");
            foreach (Page page in Rows.PagesFrom(file, id, head.First))
                for (long seq = Math.Max(head.First, page.First); seq <= page.Last; seq++)
                    if (page.Find(seq) is { Text: { } text } entry)
                    {
                        await lines.WriteAsync(ServerMessage.Json(new Message(seq, page.At, entry.Name, text, entry.Key)));
                        lines.WriteByte((byte)'\n');
                    }
        }
        catch (SqliteException error)
        {
            throw new StartException($"{source} cannot be read: {error.Message}");
        }
        return 0;
    }
}
