using System.Collections.Concurrent;
using System.Diagnostics;

namespace ChatMinimal.E2E.Steps;

/// <summary>One of server/steps/ as a process of its own, on a port of the loopback. Each is built once, one after the other.</summary>
sealed class Step : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3); // for a build on a busy machine
    static readonly SemaphoreSlim s_building = new(1);
    static readonly ConcurrentDictionary<string, Lazy<Task<string>>> s_built = new();

    readonly string _name;
    readonly BuiltProcess _process;

    Step(string name, BuiltProcess process, Uri address) => (_name, _process, Address) = (name, process, address);

    public Uri Address { get; }
    public int Port => Address.Port;

    public static Task<Step> StartAsync(string name) => StartAsync(name, 0);

    static async Task<Step> StartAsync(string name, int port)
    {
        string program = await s_built.GetOrAdd(name, _ => new(() => BuildAsync(name))).Value;
        var process = BuiltProcess.Of(program, "--urls", $"http://127.0.0.1:{port}");
        string started = await process.ReadUntilAsync("démarré sur ws");
        return new Step(name, process, new Uri(started.Split(' ')[^1]));
    }

    /// <summary>One more client has joined: it is connected a moment before.</summary>
    public Task JoinedAsync() => _process.ReadUntilAsync("Client connecté");

    /// <summary>Stops it as an operator does; returns its exit code.</summary>
    public async Task<int> StopAsync()
    {
        if (OperatingSystem.IsWindows())
            _process.Kill();
        else
            _process.Signal("TERM");
        return await _process.ExitAsync();
    }

    /// <summary>The same step again after this one was stopped, on the same port.</summary>
    public Task<Step> StartAgainAsync() => StartAsync(_name, Port);

    public void Dispose() => _process.Dispose();

    static async Task<string> BuildAsync(string name)
    {
        string source = Path.Combine(BuiltProcess.PathOf("Root"), "server", "steps", name + ".cs"),
            output = Path.Combine(AppContext.BaseDirectory, "steps");
        using var limit = new CancellationTokenSource(s_patience);
        await s_building.WaitAsync(limit.Token);
        try
        {
            var start = new ProcessStartInfo("dotnet", ["build", source, "--output", output]) { RedirectStandardOutput = true };
            using Process build = Process.Start(start)!;
            string said = await build.StandardOutput.ReadToEndAsync(limit.Token);
            await build.WaitForExitAsync(limit.Token);
            return build.ExitCode == 0 ? Path.Combine(output, name + ".dll") : throw new InvalidOperationException(said);
        }
        finally
        {
            s_building.Release();
        }
    }
}
