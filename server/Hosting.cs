using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Console;

namespace ChatMinimal;

/// <summary>How the server stands in its host: its address, its headers, its start and its end.</summary>
static class Hosting
{
    const string DefaultAddress = "http://localhost:8765"; // the course's

    // The page needs its own script, its own style and its own server, and nothing else whatever somebody sends to the chat.
    const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; manifest-src 'self'; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types page";

    /// <summary>The address to listen on when nobody gave one, in any of the ways ASP.NET knows.</summary>
    public static void UseDefaultAddress(this WebApplicationBuilder builder)
    {
        if (AddressesOf(builder.Configuration) is [DefaultAddress])
            builder.WebHost.UseUrls(DefaultAddress);
    }

    /// <summary>Where the server of this configuration listens.</summary>
    public static string[] AddressesOf(IConfiguration configuration)
    {
        string[] endpoints =
            [.. configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"]).OfType<string>()];
        string[] urls = endpoints.Length > 0 ? endpoints : Split("urls");
        string[] ports = [.. Split("http_ports").Select(port => $"http://*:{port}"),
            .. Split("https_ports").Select(port => $"https://*:{port}")];
        return urls.Length > 0 ? urls : ports.Length > 0 ? ports : [DefaultAddress];

        string[] Split(string option) =>
            (configuration[option] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
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
    /// Runs until SIGINT, SIGTERM or SIGHUP; tells where it is once it has started, and every socket when it stops.
    /// What the operator can mend is told in one line. Returns the exit code.
    /// </summary>
    public static async Task<int> ServeAsync(this WebApplication app)
    {
        CancellationToken started = app.Lifetime.ApplicationStarted;
        string addresses = string.Join(' ', AddressesOf(app.Configuration));
        try
        {
            _ = app.Services.GetRequiredService<PrometheusText>(); // before anything is counted
            _ = app.Services.GetRequiredService<Rooms>(); // and with them the store: a file that cannot be used ends the start
            _ = app.Services.GetRequiredService<ServerMetrics>();
            if (Otlp.IsAsked)
                Otlp.Start(app);
            started.Register(() => Banner.Show(app));
            // The terminal that it was started from is closed: a graceful shutdown, as for SIGTERM.
            using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
            {
                signal.Cancel = true;
                app.Lifetime.StopApplication();
            });
            await app.RunAsync();
            return 0;
        }
        catch (Exception error) when (!started.IsCancellationRequested && StartFailure.Explain(error) is { } line)
        {
            bool isSocket = error is SocketException or FormatException or ArgumentException;
            await Console.Error.WriteLineAsync(isSocket ? $"chatminimal: cannot listen on {addresses}: {line}" : $"chatminimal: {line}");
            return 1;
        }
    }
}
