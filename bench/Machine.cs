using System.Globalization;
using System.Runtime.InteropServices;

namespace ChatMinimal.Bench;

/// <summary>What the numbers were measured on, and which cores the server and the load have.</summary>
sealed class Machine
{
    public Machine()
    {
        int[] allowed = Allowed();
        if (allowed.Length < 2 || !Exists("taskset"))
        {
            Pinning = allowed.Length < 2 ? "none: there is only one core" : "none: there is no taskset";
            return;
        }
        ServerCore = allowed[0];
        // The other half of the same physical core would be no core of its own.
        int[] siblings = Cores(Text($"/sys/devices/system/cpu/cpu{ServerCore}/topology/thread_siblings_list"));
        LoadCore = allowed.Skip(1).Where(core => !siblings.Contains(core)).Append(allowed[1]).First();
        Pinning = $"server on core {ServerCore}, load on core {LoadCore}"
            + (siblings.Contains(LoadCore.Value) ? " (hyper-threads of one core)" : "");
    }

    public int? ServerCore { get; }
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
