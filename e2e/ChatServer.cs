using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace ChatMinimal.E2E;

/// <summary>
/// A server of a test's own, on a real port of the loopback: the real one, in this process, or, when E2E_SERVER names a
/// published one, that as a process of its own.
/// </summary>
sealed class ChatServer : IDisposable, IAsyncDisposable
{
    readonly (string Option, object Value)[] _options;
    readonly string _environment;
    readonly Factory? _here;
    BuiltProcess? _there;

    ChatServer(int port, string environment, (string Option, object Value)[] options, Action<IServiceCollection>? services = null)
    {
        (_environment, _options) = (environment, options);
        string address = $"http://127.0.0.1:{port}";
        var settings = new Dictionary<string, string> { ["Chat:Database"] = "" }; // in memory, unless said otherwise
        foreach ((string option, object value) in options)
            settings[option.Contains(':', StringComparison.Ordinal) ? option : $"Chat:{option}"] = $"{value}";
        if (BuiltProcess.HasPublishedServer && services is null)
        {
            _there = BuiltProcess.Server(environment,
                [$"--urls={address}", .. settings.Select(setting => $"--{setting.Key}={setting.Value}")]);
            Http = new Uri("http" + _there.ReadUntilAsync("démarré sur ws").Result.Split("sur ws")[1]);
            _there.Ignore();
        }
        else
        {
            _here = new Factory(address, environment, settings, services);
            _here.StartServer();
            Http = _here.ClientOptions.BaseAddress;
        }
    }

    public static ChatServer Start(params (string Option, object Value)[] options) => new(0, "Development", options);

    public static ChatServer StartIn(string environment, params (string Option, object Value)[] options) => new(0, environment, options);

    /// <summary>One that keeps its messages in this file.</summary>
    public static ChatServer StartWith(ChatFolder folder, params (string Option, object Value)[] options) =>
        Start([("Database", folder.File), .. options]);

    /// <summary>Likewise, with another idea of what time it is; always in this process.</summary>
    public static ChatServer StartWith(ChatFolder folder, TimeProvider clock) => StartWith(clock, ("Database", folder.File));

    /// <summary>One whose time is the test's; always in this process.</summary>
    public static ChatServer StartWith(TimeProvider clock, params (string Option, object Value)[] options) =>
        StartWith(services => services.AddSingleton(clock), options);

    /// <summary>One with other services; always in this process.</summary>
    public static ChatServer StartWith(Action<IServiceCollection> services, params (string Option, object Value)[] options) =>
        new(0, "Development", options, services);

    /// <summary>The same server again after this one was disposed: same port, same options.</summary>
    public ChatServer StartAgain() => new(Port, _environment, _options);

    public int Port => Http.Port;
    public Uri Http { get; }
    public Uri WebSocket => new($"ws://{Http.Authority}/ws");

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        if (_here is not null)
            await _here.DisposeAsync();
        using BuiltProcess? there = Interlocked.Exchange(ref _there, null);
        if (there is not null)
            await there.StopAsync();
    }

    sealed class Factory : WebApplicationFactory<global::Program>
    {
        readonly string _address, _environment;
        readonly Dictionary<string, string> _settings;
        readonly Action<IServiceCollection>? _services;

        public Factory(string address, string environment, Dictionary<string, string> settings, Action<IServiceCollection>? services)
        {
            (_address, _environment, _settings, _services) = (address, environment, settings, services);
            UseKestrel();
        }

        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseUrls(_address);
            builder.UseEnvironment(_environment);
            foreach ((string name, string value) in _settings)
                builder.UseSetting(name, value);
            if (_services is { } services)
                builder.ConfigureServices(services);
        }
    }
}

/// <summary>A folder with a chat file in it, for one test.</summary>
sealed class ChatFolder : IDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("chatminimal-");

    public string File => Path.Combine(_folder.FullName, "chat.db");

    public void Dispose() => Delete(_folder.FullName);

    /// <summary>Deletes a folder in which a server that was abandoned, as if it had been killed, may still be writing.</summary>
    public static void Delete(string folder) => SpinWait.SpinUntil(() => TryDelete(folder), TimeSpan.FromSeconds(20));

    static bool TryDelete(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
            return true;
        }
        catch (IOException)
        {
            return !Directory.Exists(folder);
        }
    }
}
