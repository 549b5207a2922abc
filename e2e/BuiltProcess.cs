using System.Diagnostics;
using System.Reflection;

namespace ChatMinimal.E2E;

/// <summary>The server or the client as a process of its own, as it was built.</summary>
sealed class BuiltProcess : IDisposable
{
    readonly Process _process;

    // A published server to run instead of the one that was built.
    static readonly string? s_published = Environment.GetEnvironmentVariable("E2E_SERVER");

    BuiltProcess(string assembly, string environment, string[] arguments, string? published = null, string? network = null,
        Action<ProcessStartInfo>? prepare = null)
    {
        string[] command = [.. network is null ? (string[])[] : ["ip", "netns", "exec", network],
            .. published is null ? (string[])["dotnet", assembly] : [published], .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new System.Text.UTF8Encoding(false),
            StandardOutputEncoding = System.Text.Encoding.UTF8,
            StandardErrorEncoding = System.Text.Encoding.UTF8,
        };
        start.Environment["ASPNETCORE_ENVIRONMENT"] = environment;
        prepare?.Invoke(start);
        _process = Process.Start(start)!;
    }

    /// <summary>One of the paths that the project file knows: Root, Server, Client.</summary>
    public static string PathOf(string name) =>
        typeof(BuiltProcess).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(known => known.Key == name).Value!;

    public static BuiltProcess Client(params string[] arguments) => new(PathOf("Client"), "Development", arguments);

    public static BuiltProcess Server(string environment, params string[] arguments) =>
        new(PathOf("Server"), environment, arguments, s_published);

    /// <summary>Likewise, in a folder or an environment of its own.</summary>
    public static BuiltProcess ServerWith(Action<ProcessStartInfo> prepare, params string[] arguments) =>
        new(PathOf("Server"), "Production", arguments, s_published, prepare: prepare);

    /// <summary>Any other program, by the path of its assembly.</summary>
    public static BuiltProcess Of(string assembly, params string[] arguments) => new(assembly, "Development", arguments);

    /// <summary>Likewise, in a network namespace of this machine.</summary>
    public static BuiltProcess ServerIn(string network, string environment, params string[] arguments) =>
        new(PathOf("Server"), environment, arguments, s_published, network);

    public static bool HasPublishedServer => s_published is not null;

    public int Id => _process.Id;
    public StreamWriter Input => _process.StandardInput;
    public StreamReader Output => _process.StandardOutput;
    public StreamReader Error => _process.StandardError;

    /// <summary>Reads output lines until one contains this; returns that line.</summary>
    public async Task<string> ReadUntilAsync(string part)
    {
        using CancellationTokenSource limit = Rig.Patience();
        while (await Output.ReadLineAsync(limit.Token) is { } line)
            if (line.Contains(part, StringComparison.Ordinal))
                return line;
        throw new EndOfStreamException($"ended before saying: {part}\n{await Error.ReadToEndAsync(limit.Token)}");
    }

    /// <summary>Waits for the end; returns the exit code and all that was not read yet of both outputs.</summary>
    public async Task<(int Code, string Output, string Error)> EndAsync()
    {
        using CancellationTokenSource limit = Rig.Patience();
        Task<string> output = Output.ReadToEndAsync(limit.Token), error = Error.ReadToEndAsync(limit.Token);
        await _process.WaitForExitAsync(limit.Token);
        return (_process.ExitCode, (await output).ReplaceLineEndings("\n"), (await error).ReplaceLineEndings("\n"));
    }

    /// <summary>Throws away what it will still say, for a pipe that is full would stop it.</summary>
    public void Ignore()
    {
        _ = Task.WhenAll(Output.BaseStream.CopyToAsync(Stream.Null), Error.BaseStream.CopyToAsync(Stream.Null));
    }

    /// <summary>Waits for the end of one that is ignored; returns the exit code.</summary>
    public async Task<int> ExitAsync()
    {
        using CancellationTokenSource limit = Rig.Patience();
        await _process.WaitForExitAsync(limit.Token);
        return _process.ExitCode;
    }

    /// <summary>As an operator stops it.</summary>
    public async Task StopAsync()
    {
        if (OperatingSystem.IsWindows())
            _process.Kill();
        else
            Signal("TERM");
        await ExitAsync();
    }

    public void Signal(string signal) => Libc.Signal(Id, signal);

    /// <summary>As <c>kill -9</c> does it.</summary>
    public void Kill() => _process.Kill();

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.Dispose();
    }
}
