using Microsoft.Extensions.Options;

namespace ChatMinimal;

/// <summary>How the server stands in its host: its address, its headers, its first and its last words.</summary>
static class Hosting
{
    // The page needs its own script, its own style and its own server, and nothing else whatever somebody says in the chat.
    const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

    /// <summary>The address to listen on when nobody gave one, in any of the ways ASP.NET knows.</summary>
    public static void UseDefaultAddress(this WebApplicationBuilder builder, string address)
    {
        string[] ways = ["urls", "http_ports", "https_ports", "Kestrel:Endpoints"];
        if (!ways.Any(way => builder.Configuration.GetSection(way).Exists()))
            builder.WebHost.UseUrls(address);
    }

    public static void UseSecurityHeaders(this WebApplication app) => app.Use((http, next) =>
    {
        IHeaderDictionary headers = http.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        return next(http);
    });

    /// <summary>A WebSocket opened at <c>/</c> is one opened at <c>/ws</c>.</summary>
    public static void UseSocketsAtTheRoot(this WebApplication app) => app.Use((http, next) =>
    {
        if (http.Request.Path == "/" && http.Request.Headers.Upgrade.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase))
            http.Request.Path = "/ws";
        return next(http);
    });

    /// <summary>
    /// Runs until SIGINT or SIGTERM; says where it is once it has started, and goodbye to every socket when it stops.
    /// What the operator can mend is told in one line. Returns the exit code.
    /// </summary>
    public static async Task<int> ServeAsync(this WebApplication app)
    {
        try
        {
            _ = app.Services.GetRequiredService<Rooms>(); // and with them the store: a file that cannot be used ends the start
            app.Lifetime.ApplicationStarted.Register(() => SayWhere(app));
            await app.RunAsync();
            return 0;
        }
        catch (Exception error) when (error is OptionsValidationException or InvalidOperationException or IOException)
        {
            await Console.Error.WriteLineAsync($"chatminimal: {error.Message}");
            return 1;
        }
    }

    static void SayWhere(WebApplication app)
    {
        foreach (string address in app.Urls)
        {
            var url = new UriBuilder(address.Replace("//*", "//localhost").Replace("//+", "//localhost"));
            if (url.Host is "0.0.0.0" or "[::]") // every address of this machine
                url.Host = "localhost";
            string page = url.Uri.GetLeftPart(UriPartial.Authority);
            app.Logger.Started("ws" + page["http".Length..]); // and wss for https
            app.Logger.Page(page);
        }
        string database = app.Services.GetRequiredService<ChatOptions>().Database;
        app.Logger.Kept(database == "" ? "la mémoire seulement" : Path.GetFullPath(database));
    }
}
