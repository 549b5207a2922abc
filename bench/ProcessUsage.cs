using System.Globalization;

namespace ChatMinimal.Bench;

/// <summary>Bytes of a process: its pages in memory, and the same with shared pages counted by share (0 where that is not told).</summary>
readonly record struct Memory(long Resident, long Proportional);

/// <summary>
/// What a process has used, as Linux tells it in /proc: the process, all its threads (also those that ended), and its children.
/// </summary>
sealed class ProcessUsage(int id)
{
    const double TicksPerSecond = 100; // USER_HZ, the same on every Linux

    public double CpuSeconds() => Family(id).Sum(CpuSeconds);

    public Memory Memory()
    {
        Memory sum = default;
        foreach (int process in Family(id))
        {
            try
            {
                string[] lines = File.ReadAllLines($"/proc/{process}/smaps_rollup");
                sum = new Memory(sum.Resident + Kilobytes(lines, "Rss:"), sum.Proportional + Kilobytes(lines, "Pss:"));
            }
            catch (Exception closed) when (closed is IOException or UnauthorizedAccessException) // an older kernel, or a stricter one
            {
                sum = sum with { Resident = sum.Resident + Kilobytes(File.ReadAllLines($"/proc/{process}/status"), "VmRSS:") };
            }
        }
        return sum;
    }

    /// <summary>
    /// For how long these cores together were not idle, whoever had them: a program, the kernel, or another virtual machine. NaN: none.
    /// </summary>
    public static double CoreSeconds(int[] cores)
    {
        string[] lines = cores.Length == 0 ? [] : File.ReadAllLines("/proc/stat");
        return cores.Length == 0 ? double.NaN
            : cores.Sum(core => BusySeconds(lines.FirstOrDefault(line => line.StartsWith($"cpu{core} ", StringComparison.Ordinal))));
    }

    static double BusySeconds(string? line)
    {
        if (line is null)
            return double.NaN;
        long[] ticks = [.. line.Split(' ').Skip(1).Take(8).Select(field => long.Parse(field, CultureInfo.InvariantCulture))];
        return (ticks.Sum() - ticks[3] - ticks[4]) / TicksPerSecond; // less idle and iowait
    }

    static double CpuSeconds(int process)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{process}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' '); // the name before may hold anything
            return (long.Parse(fields[11], CultureInfo.InvariantCulture)
                + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
        catch (IOException)
        {
            return 0; // it has ended; the load will find its sockets closed
        }
    }

    static IEnumerable<int> Family(int process)
    {
        yield return process;
        string children = "";
        try
        {
            children = File.ReadAllText($"/proc/{process}/task/{process}/children");
        }
        catch (IOException) { } // a kernel that does not tell: then none of the servers has any
        foreach (string child in children.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            foreach (int descendant in Family(int.Parse(child, CultureInfo.InvariantCulture)))
                yield return descendant;
        }
    }

    static long Kilobytes(string[] lines, string name) =>
        lines.Where(line => line.StartsWith(name, StringComparison.Ordinal))
            .Select(line => long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal),
                CultureInfo.InvariantCulture) * 1024)
            .FirstOrDefault();
}
