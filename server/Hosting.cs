using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace ChatMinimal;

/// <summary>How the server stands in its host: its address, its headers, its first and its last words.</summary>
static class Hosting
{
    // The page needs its own script, its own style and its own server, and nothing else whatever somebody sends to the chat.
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

    /// <summary>The console as it is configured; the slim builder has chosen the simple format before anybody was asked.</summary>
    public static void UseConfiguredConsole(this WebApplicationBuilder builder) =>
        builder.Services.Configure<ConsoleLoggerOptions>(builder.Configuration.GetSection("Logging:Console"));

    public static void UseSecurityHeaders(this WebApplication app) => app.Use((http, next) =>
    {
        IHeaderDictionary headers = http.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        return next(http);
    });

    /// <summary>Refuses what is asked under a name that is not ours.</summary>
    public static void UseHostRule(this WebApplication app) => app.Use((http, next) =>
        http.RequestServices.GetRequiredService<OriginRule>().CheckHost(http) is { } refusal
            ? http.RequestServices.GetRequiredService<Admission>().RefuseAsync(http, refusal)
            : next(http));

    /// <summary>A WebSocket opened at <c>/</c> is one opened at <c>/ws</c>.</summary>
    public static void UseSocketsAtTheRoot(this WebApplication app) => app.Use((http, next) =>
    {
        if (http.Request.Path == "/" && Admission.WantsSocket(http.Request))
            http.Request.Path = "/ws";
        return next(http);
    });

    /// <summary>
    /// Runs until SIGINT or SIGTERM; tells where it is once it has started, and every socket when it stops.
    /// What the operator can mend is told in one line. Returns the exit code.
    /// </summary>
    public static async Task<int> ServeAsync(this WebApplication app)
    {
        CancellationToken started = app.Lifetime.ApplicationStarted;
        string? addresses = app.Configuration["urls"];
        try
        {
            _ = app.Services.GetRequiredService<Rooms>(); // and with them the store: a file that cannot be used ends the start
            started.Register(() => SayWhere(app));
            // The terminal that it was started from is closed: a graceful shutdown, as for SIGTERM.
            using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
            {
                signal.Cancel = true;
                app.Lifetime.StopApplication();
            });
            await app.RunAsync();
            return 0;
        }
        catch (Exception error) when (error is OptionsValidationException or InvalidOperationException or IOException)
        {
            await Console.Error.WriteLineAsync($"chatminimal: {error.Message.ReplaceLineEndings(" ")}");
            return 1;
        }
        catch (Exception error) when (error is FormatException or ArgumentException or SocketException && !started.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync($"chatminimal: cannot listen on {addresses}: {error.Message}");
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
        app.Logger.Kept(database == "" ? "memory only" : Path.GetFullPath(database));
    }
}
