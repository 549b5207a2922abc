using System.Runtime.InteropServices;

namespace ChatMinimal.E2E;

/// <summary>What a minimal Debian has no program for.</summary>
static partial class Libc
{
    /// <summary>Sends a signal, by its name without SIG, to a process of ours.</summary>
    public static void Signal(int process, string signal)
    {
        if (Kill(process, NumberOf(signal)) != 0)
            throw new System.ComponentModel.Win32Exception(Marshal.GetLastPInvokeError());
    }

    /// <summary>Whether this process ignores that signal, and with it whatever it starts. False where nobody tells (macOS).</summary>
    public static bool Ignores(string signal) =>
        OperatingSystem.IsLinux()
        && File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is var line
        && (Convert.ToUInt64(line["SigIgn:".Length..].Trim(), 16) >> NumberOf(signal) - 1 & 1) == 1;

    // The same everywhere but for those two.
    static int NumberOf(string signal) => signal switch
    {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "KILL" => 9,
        "TERM" => 15,
        "STOP" => OperatingSystem.IsMacOS() ? 17 : 19,
        "CONT" => OperatingSystem.IsMacOS() ? 19 : 18,
        _ => throw new ArgumentOutOfRangeException(nameof(signal), signal, null),
    };

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
