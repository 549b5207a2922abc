namespace ChatMinimal;

/// <summary>
/// <c>chatminimal copy --from chat.db --to "Host=…"</c>, or the other way round: moves all logs, as they are, to another store.
/// </summary>
static class CopyCommand
{
    public static async Task<int> RunAsync(Settings settings)
    {
        string from = settings.Configuration["from"] ?? throw new StartException("copy needs --from FILE or CONNECTION");
        string to = settings.Configuration["to"] ?? throw new StartException("copy needs --to FILE or CONNECTION");
        try
        {
            (int rooms, long messages) = await Copy.RunAsync(from, to, default);
            Console.Out.WriteLine($"{messages} messages in {rooms} rooms copied");
            return 0;
        }
        catch (Exception error) when (StartFailure.Explain(error) is { } line)
        {
            throw new StartException(line);
        }
    }
}
