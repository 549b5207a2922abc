using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace ChatMinimal.E2E;

/// <summary>A server of a test's own: the real one, in this process, on a real port of the loopback.</summary>
sealed class ChatServer : WebApplicationFactory<global::Program>
{
    readonly int _port;
    readonly (string Option, object Value)[] _options;
    readonly string _environment;
    TimeProvider? _clock;

    ChatServer(int port, string environment, (string Option, object Value)[] options)
    {
        (_port, _environment, _options) = (port, environment, options);
        UseKestrel();
    }

    public static ChatServer Start(params (string Option, object Value)[] options) => StartOn(0, "Development", options);

    /// <param name="port">0: any that is free.</param>
    public static ChatServer StartOn(int port, string environment, params (string Option, object Value)[] options)
    {
        var server = new ChatServer(port, environment, options);
        server.StartServer();
        return server;
    }

    /// <summary>One that keeps its messages in this file.</summary>
    public static ChatServer StartWith(ChatFolder folder, params (string Option, object Value)[] options) =>
        Start([("Database", folder.File), .. options]);

    /// <summary>Likewise, with another idea of what time it is.</summary>
    public static ChatServer StartWith(ChatFolder folder, TimeProvider clock)
    {
        var server = new ChatServer(0, "Development", [("Database", folder.File)]) { _clock = clock };
        server.StartServer();
        return server;
    }

    /// <summary>The same server again after this one was disposed: same port, same options.</summary>
    public ChatServer StartAgain() => StartOn(Port, _environment, _options);

    public int Port => Http.Port;
    public Uri Http => ClientOptions.BaseAddress;
    public Uri WebSocket => new($"ws://{Http.Authority}/ws");

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseUrls($"http://127.0.0.1:{_port}");
        builder.UseEnvironment(_environment);
        if (_clock is { } clock)
            builder.ConfigureServices(services => services.AddSingleton(clock));
        builder.UseSetting("Chat:Database", ""); // memory, unless said otherwise
        foreach ((string option, object value) in _options)
            builder.UseSetting(option.Contains(':', StringComparison.Ordinal) ? option : $"Chat:{option}", value.ToString());
    }
}

/// <summary>A folder with a chat file in it, for one test.</summary>
sealed class ChatFolder : IDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("chatminimal-");

    public string File => Path.Combine(_folder.FullName, "chat.db");

    public void Dispose() => _folder.Delete(recursive: true);
}
