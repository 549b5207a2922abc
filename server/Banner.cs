using ChatMinimal.Postgres;

namespace ChatMinimal;

/// <summary>
/// The first lines and the last one: what the operator wants to know of a server that has just started, or is about to end.
/// </summary>
static class Banner
{
    public static void Show(WebApplication app)
    {
        ILogger log = app.Logger;
        var options = app.Services.GetRequiredService<ChatOptions>();
        log.Version(ProgramVersion.Text, app.Environment.EnvironmentName);
        bool isLocal = true;
        foreach (string address in app.Urls)
        {
            isLocal &= LanAddresses.IsLoopback(address);
            var url = new UriBuilder(address.Replace("//*", "//localhost").Replace("//+", "//localhost"));
            if (url.Host is "0.0.0.0" or "[::]") // every address of this machine
                url.Host = "localhost";
            string page = url.Uri.GetLeftPart(UriPartial.Authority);
            log.Started("ws" + page["http".Length..]); // and wss for https
            log.Page(page);
            foreach (string lan in LanAddresses.Reachable(address))
                log.PageForOthers(lan);
        }
        if (isLocal)
            log.LocalOnly();
        log.Kept(app.Services.GetRequiredService<IMessageStore>() is PostgresStore shared ? shared.Place : options.Database == ""
            ? "memory only" : Path.GetFullPath(options.Database));
        string[] changed = [.. ChatOption.All.Where(option => option.Name != nameof(ChatOptions.Database))
            .Select(option => option.Changed(options)).OfType<string>()];
        if (changed.Length > 0)
            log.NotDefault(Log.OneLine(string.Join(", ", changed), longest: int.MaxValue));
        DateTime since = DateTime.UtcNow;
        app.Lifetime.ApplicationStopping.Register(() =>
            log.Stopping(app.Services.GetRequiredService<Admission>().Clients, (DateTime.UtcNow - since).ToString(@"d\.hh\:mm\:ss", null)));
    }
}
