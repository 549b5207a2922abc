using System.Globalization;
using System.Runtime.InteropServices;

namespace ChatMinimal.Bench;

/// <summary>What the numbers were measured on, and which cores the server and the load have.</summary>
sealed class Machine
{
    /// <param name="serverCores">How many the server is given, if there are so many.</param>
    public Machine(int serverCores)
    {
        int[] allowed = Allowed();
        if (allowed.Length < 2 || !Exists("taskset"))
        {
            Pinning = allowed.Length < 2 ? "none: there is only one core" : "none: there is no taskset";
            return;
        }
        ServerCores = allowed[..Math.Min(serverCores, allowed.Length)];
        string server = $"server on {(ServerCores.Length == 1 ? "core" : "cores")} {string.Join(", ", ServerCores)}";
        int[] others = [.. allowed.Except(ServerCores)];
        if (others.Length == 0)
        {
            Pinning = $"{server}, load on the same: there are no more";
            return;
        }
        // The other half of the same physical core would be no core of its own.
        int[] siblings = [.. ServerCores.SelectMany(core => Cores(Text($"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")))];
        LoadCore = others.Where(core => !siblings.Contains(core)).Append(others[0]).First();
        Pinning = $"{server}, load on core {LoadCore}" + (siblings.Contains(LoadCore.Value) ? " (hyper-threads of one core)" : "");
    }

    public int[] ServerCores { get; } = []; // none: it is not pinned
    public int? LoadCore { get; }
    public string Pinning { get; }

    public IEnumerable<(string Name, string Value)> Facts =>
    [
        ("date", DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture)),
        ("CPU", Line("/proc/cpuinfo", "model name")),
        ("cores", $"{Allowed().Length}"),
        ("memory", $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:0.0} GB"),
        ("kernel", $"{Text("/proc/sys/kernel/ostype").Trim()} {Text("/proc/sys/kernel/osrelease").Trim()}, {RuntimeInformation.ProcessArchitecture}"),
        (".NET", $"{Environment.Version}"),
        ("pinning", Pinning),
    ];

    static int[] Allowed() => Cores(Line("/proc/self/status", "Cpus_allowed_list"));

    /// <summary>"0-2,5" are 0, 1, 2 and 5.</summary>
    static int[] Cores(string list) =>
    [
        .. list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(range => range.Split('-').Select(core => int.Parse(core, CultureInfo.InvariantCulture)).ToArray())
            .SelectMany(range => Enumerable.Range(range[0], range[^1] - range[0] + 1)),
    ];

    static bool Exists(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));

    static string Text(string file) => File.Exists(file) ? File.ReadAllText(file) : "";

    static string Line(string file, string name) =>
        Text(file).Split('\n').FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?.Split(':', 2)[1].Trim() ?? "";
}
