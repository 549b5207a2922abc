using ChatMinimal;
using ChatMinimal.Postgres;
using ChatMinimal.Sqlite;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

if (await CommandLine.RunAsync(args) is { } exitCode) // --help, a backup, a mistake …
    return exitCode;

WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
{
    Args = args,
    ContentRootPath = AppContext.BaseDirectory, // the page and appsettings.json are beside the program, wherever it is started
});

builder.WebHost.UseStaticWebAssets();
builder.WebHost.UseKestrelHttpsConfiguration();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.AddServerHeader = false;
    kestrel.Limits.RequestHeadersTimeout = Links.SilenceTimeout; // slowloris
    kestrel.ConfigureEndpointDefaults(endpoint =>
    {
        if (endpoint.SocketPath is { } path)
            SocketFile.RemoveIfStale(path); // left behind by kill -9
        endpoint.Protocols = HttpProtocols.Http1; // where WebSockets come from
        endpoint.Use(endpoint.ApplicationServices.GetRequiredService<Links>().Offer);
    });
});
builder.WebHost.UseSockets(sockets => sockets.MaxReadBufferSize = 64 << 10); // bytes that a peer sent and we have not read
builder.UseDefaultAddress();
builder.Services.AddSystemd(); // tells it when we are ready, and gives its journal priorities
builder.UseConfiguredConsole();
builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.Warning); // its lines have the query, and so the invitation

builder.Services.AddSingleton(services => ChatOptions.Read(services.GetRequiredService<IConfiguration>()));
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddSingleton<Loop>().AddHostedService(services => services.GetRequiredService<Loop>()); // started first, stopped last
builder.Services.AddSingleton<IConnectionListenerFactory, SocketListeners>();
builder.Services.AddSingleton<IMessageStore>(services => (services.GetRequiredService<ChatOptions>(),
    services.GetRequiredService<IConfiguration>().GetConnectionString("Chat")) switch
{
    (_, { Length: > 0 } shared) => ActivatorUtilities.CreateInstance<PostgresStore>(services, shared),
    ({ Database: "" }, _) => ActivatorUtilities.CreateInstance<MemoryStore>(services),
    _ => ActivatorUtilities.CreateInstance<SqliteStore>(services),
}).AddHostedService(services => services.GetRequiredService<IMessageStore>()); // started first, and so stopped last
builder.Services.AddSingleton<Links>();
builder.Services.AddOptions<ForwardedHeadersOptions>().Configure<ChatOptions>(ForwardedFor.Configure);
builder.Services.AddSingleton<OperatorLog>();
builder.Services.AddSingleton<OriginRule>();
builder.Services.AddSingleton<Addresses>();
builder.Services.AddSingleton<Rooms>();
builder.Services.AddSingleton<Broadcaster>().AddHostedService(services => services.GetRequiredService<Broadcaster>());
builder.Services.AddSingleton<Admission>();
builder.Services.AddSingleton<HttpMessages>();
builder.Services.AddSingleton<Events>();
builder.Services.AddSingleton<Export>();
builder.Services.AddSingleton<Search>();
builder.Services.AddSingleton<Laboratory>();
builder.Services.AddSingleton<Health>();
builder.Services.AddSingleton<ServerMetrics>().AddSingleton<PrometheusText>();
builder.Services.AddProblemDetails();
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1.8)); // gone within two

WebApplication app = builder.Build();

app.UseExceptionHandler();      // whatever goes wrong over HTTP is told
app.UseStatusCodePages();       // as problem details (RFC 9457)
app.UseSecurityHeaders();
app.UseForwardedFor();          // whom a proxy asks for
app.UseHostRule();              // in Development only names of this machine
app.UseSocketsAtTheRoot();      // the course's clients connect to ws://localhost:8765, without a path
app.UseDefaultFiles();          // / is index.html
app.UseRouting();

app.MapStaticAssets();          // web/: with types, ETags, compression
app.Map("/ws", (HttpContext http, Admission admission) => admission.OpenAsync(http));

app.MapMethods("/messages", ["POST"], (HttpContext http, HttpMessages messages) => messages.PostAsync(http));
app.MapMethods("/messages", ["GET", "HEAD"], (HttpContext http, HttpMessages messages, Search search) =>
    Search.IsAsked(http.Request) ? search.GetAsync(http) : messages.GetAsync(http));
app.MapMethods("/events", ["GET", "HEAD"], (HttpContext http, Events events) => events.GetAsync(http));
app.MapMethods("/export", ["GET", "HEAD"], (HttpContext http, Export export) => export.GetAsync(http));
app.MapMethods("/messages", ["OPTIONS"], (HttpContext http, Admission admission) => admission.PreflightAsync(http));
app.MapMethods("/events", ["OPTIONS"], (HttpContext http, Admission admission) => admission.PreflightAsync(http));

if (app.Environment.IsDevelopment())
    app.MapGet("/lab/events", (HttpContext http, Laboratory laboratory) => laboratory.EventsAsync(http)); // which thread does what
app.MapGet("/lan", LanAddresses.ListAsync); // what the page invites with where "localhost" would not do
app.MapMethods("/healthz", ["GET", "HEAD"], Health.LiveAsync);
app.MapMethods("/readyz", ["GET", "HEAD"], (HttpContext http, Health health) => health.ReadyAsync(http));
app.MapMethods("/metrics", ["GET", "HEAD"], (HttpContext http, Health health) => health.MetricsAsync(http));

return await app.ServeAsync();
