using System.Diagnostics;
using System.Reflection;

namespace ChatMinimal.Bench;

/// <summary>A server that cannot be had here, and why.</summary>
sealed class MissingException(string reason) : Exception(reason);

/// <summary>
/// The workshop is where servers are made ready: published, installed, compiled. What it makes stays in bench/obj for the next time; its
/// temporary folder does not.
/// </summary>
static class Workshop
{
    static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5); // for a publish, an install
    static readonly string s_root = Path.GetFullPath(typeof(Workshop).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .First(fact => fact.Key == "Root").Value!);
    static readonly string s_made = Path.Combine(BenchFolder, "obj", "made");

    static readonly string s_temporary = Directory.CreateTempSubdirectory("chatminimal-bench-").FullName;
    static readonly string[] s_options =
        ["--Chat:Database={folder}/chat.db", "--Chat:MessagesPerSecond=0", "--Chat:MaxConnections=20000"];
    static readonly string[] s_sources = ["server", "web"];
    static readonly string[] s_pythons = ["python3", "/usr/bin/python3"]; // Debian's packages are for the second, whatever the first is

    public static string BenchFolder => Path.Combine(s_root, "bench");

    static string Peers => Path.Combine(BenchFolder, "peers");
    static string ThisAssembly => typeof(Workshop).Assembly.Location;
    static string Dotnet => Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet";

    public static string[] LoadCommand(string plan) => [Dotnet, ThisAssembly, "load", plan];

    public static string NewFolder() => Directory.CreateDirectory(Path.Combine(s_temporary, Guid.NewGuid().ToString("N"))).FullName;

    public static Launch Published(bool aot, params string[] arguments)
    {
        string folder = Path.Combine(s_made, aot ? "aot" : "jit");
        DateTime changed = Changed();
        string stamp = Path.Combine(folder, ".published");
        if (!File.Exists(stamp) || File.GetLastWriteTimeUtc(stamp) < changed)
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
            _ = Run(s_root, "dotnet",
                ["publish", Path.Combine(s_root, "server"), "-c", "Release", "-o", folder, "-p:UseSharedCompilation=false",
                // A lock file of its own: what Native AOT needs would be written into the server's, and that is a source.
                $"-p:NuGetLockFilePath={folder}.lock.json", .. aot ? ["-p:PublishAot=true"] : Array.Empty<string>()]);
            File.WriteAllText(stamp, "");
            File.SetLastWriteTimeUtc(stamp, changed);
        }
        return InFolder(folder, arguments);
    }

    static string NameOf(string option) => option.Split('=')[0];

    public static bool IsNative(string folder) => !File.Exists(Path.Combine(folder, "chatminimal.dll"));

    public static Launch InFolder(string folder, params string[] arguments)
    {
        string native = Path.Combine(folder, "chatminimal"), assembly = native + ".dll";
        string[] program = File.Exists(native) ? [native] : File.Exists(assembly) ? [Dotnet, assembly]
            : throw new MissingException($"no chatminimal in {folder}");
        return new Launch($".NET {Environment.Version}, {(IsNative(folder) ? "Native AOT" : "JIT")}",
            [.. program, "--urls", "http://127.0.0.1:{port}",
            .. s_options.Where(option => !arguments.Any(given => NameOf(given) == NameOf(option))), .. arguments]); // none twice
    }

    /// <summary>As the unit in the README starts it: a thread that wakes up waits for the one that works (sched(7), SCHED_BATCH).</summary>
    public static Launch Batch(Launch launch)
    {
        _ = Run(s_root, "chrt", ["--version"]); // or it is missing, and said to be
        return launch with { Version = launch.Version + ", SCHED_BATCH", Command = ["chrt", "--batch", "0", .. launch.Command] };
    }

    public static Launch InThisAssembly(string peer) =>
        new($".NET {Environment.Version}", Dotnet, ThisAssembly, "peer", peer, "--port", "{port}");

    /// <summary>One of the essay's programs of one file.</summary>
    public static Launch Step(string name)
    {
        string folder = Path.Combine(s_made, name);
        _ = Run(s_root, "dotnet",
            ["build", Path.Combine(s_root, "server", "steps", name + ".cs"), "-c", "Release", "-o", folder,
                "-p:UseSharedCompilation=false"]);
        return new Launch($".NET {Environment.Version}", Dotnet, Path.Combine(folder, name + ".dll"), "--urls", "http://127.0.0.1:{port}");
    }

    public static Launch Bun(string script)
    {
        string modules = Npm();
        // The package of the platform has the program; the package "bun" would only copy it, in an install script.
        string bun = Directory.GetDirectories(Path.Combine(modules, "@oven")).Order(StringComparer.Ordinal)
            .Select(package => Path.Combine(package, "bin", "bun"))
            .FirstOrDefault(File.Exists) ?? throw new MissingException("npm has no Bun for this machine");
        return new Launch("Bun " + Run(modules, bun, ["--version"]).Trim(), bun, Copy(script), "{port}");
    }

    public static Launch Node(string script)
    {
        string modules = Npm();
        string version = Run(modules, "node", ["-p", "process.version + ', ws ' + require('ws/package.json').version"]).Trim();
        return new Launch("Node " + version, "node", Copy(script), "{port}");
    }

    public static Launch Python(string script, string way)
    {
        string reason = "no python3";
        foreach (string python in s_pythons)
        {
            try
            {
                string version = Run(s_root, python,
                    ["-c", "import sys, websockets.version as w; print(sys.version.split()[0] + ', websockets ' + w.version)"]).Trim();
                return new Launch("Python " + version, python, Path.Combine(Peers, script), "{port}", way);
            }
            catch (MissingException missing)
            {
                reason = missing.Message;
            }
        }
        throw new MissingException(reason);
    }

    public static Launch C(string source)
    {
        string program = Path.Combine(Directory.CreateDirectory(s_made).FullName, Path.GetFileNameWithoutExtension(source));
        _ = Run(s_made, "cc", ["-O2", "-o", program, Path.Combine(Peers, source)]);
        return new Launch(Run(s_made, "cc", ["--version"]).Split('\n')[0], program, "{port}");
    }

    public static void CleanUp()
    {
        Child.KillAll();
        if (Directory.Exists(s_temporary))
            Directory.Delete(s_temporary, recursive: true);
    }

    /// <summary>Installs what peers/package.json names, by exact version, and returns where.</summary>
    static string Npm()
    {
        string folder = Path.Combine(s_made, "npm"), wanted = Path.Combine(Peers, "package.json"),
            had = Path.Combine(folder, "package.json");
        string modules = Path.Combine(folder, "node_modules");
        if (Directory.Exists(modules) && File.Exists(had) && File.ReadAllText(had) == File.ReadAllText(wanted))
            return modules;
        _ = Directory.CreateDirectory(folder);
        File.Copy(wanted, had, overwrite: true);
        try
        {
            _ = Run(folder, "npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]);
        }
        catch (MissingException)
        {
            File.Delete(had); // try again next time
            throw;
        }
        return modules;
    }

    /// <summary>Beside node_modules, where require looks.</summary>
    static string Copy(string script)
    {
        string copy = Path.Combine(s_made, "npm", script);
        File.Copy(Path.Combine(Peers, script), copy, overwrite: true);
        return copy;
    }

    static DateTime Changed() =>
        s_sources.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(s_root, folder), "*", SearchOption.AllDirectories))
            .Concat(Directory.EnumerateFiles(s_root, "*.props"))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
            .Max(File.GetLastWriteTimeUtc);

    static string Run(string folder, string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["DOTNET_NOLOGO"] = "1", ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1", ["DOTNET_CLI_UI_LANGUAGE"] = "en",
                ["MSBUILDDISABLENODEREUSE"] = "1" },
        };
        string shown = $"{Path.GetFileName(program)} {arguments.FirstOrDefault()}";
        try
        {
            using var process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(s_limit))
            {
                process.Kill(entireProcessTree: true);
                throw new MissingException($"{shown}: not done after {s_limit.TotalMinutes} minutes");
            }
            if (process.ExitCode != 0)
                throw new MissingException($"{shown}: {Reason(errors.Result + "\n" + output.Result)}");
            return output.Result;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new MissingException($"no {Path.GetFileName(program)} on this machine");
        }
    }

    /// <summary>The line that says what went wrong, without this machine's folders.</summary>
    static string Reason(string output)
    {
        string[] lines = output.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        string line = lines.FirstOrDefault(line => line.Contains("error", StringComparison.OrdinalIgnoreCase)) ?? lines.LastOrDefault()
            ?? "no reason given";
        return line.Replace(s_root, "", StringComparison.Ordinal);
    }
}
