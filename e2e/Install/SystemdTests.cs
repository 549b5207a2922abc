using System.Diagnostics;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>
/// The unit as it is shipped, under a real systemd: process 1 of namespaces of its own. For root, on Linux, with a published server
/// (E2E_SERVER).
/// </summary>
public sealed class SystemdTests
{
    [Test, Explicit("wants E2E_SERVER, root and systemd")]
    public async Task The_unit_starts_is_ready_restarts_and_stops_as_a_user_that_can_do_nothing_else()
    {
        if (Environment.GetEnvironmentVariable("E2E_SERVER") is not { Length: > 0 } server || !OperatingSystem.IsLinux()
            || Environment.UserName != "root" || !File.Exists("/usr/lib/systemd/systemd"))
            Assert.Ignore("wants E2E_SERVER, root and systemd");
        else
            await StartStopAsync(Path.GetDirectoryName(Path.GetFullPath(server))!);
    }

    static async Task StartStopAsync(string program)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("chatminimal-systemd-");
        try
        {
            string root = BuiltProcess.PathOf("Root");
            string[] arguments =
            [
                "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child", "/bin/bash",
                    Path.Combine(root, "e2e", "Install", "systemd.sh"),
                program, folder.FullName, Path.Combine(program, "chatminimal.service"),
            ];
            using Process systemd =
                Process.Start(new ProcessStartInfo("unshare", arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            Task<string> error = systemd.StandardError.ReadToEndAsync(), output = systemd.StandardOutput.ReadToEndAsync();
            await systemd.WaitForExitAsync(TestContext.CurrentContext.CancellationToken);
            string probe = Path.Combine(folder.FullName, "probe");
            Assert.That(File.Exists(probe), Is.True, $"{await output}{await error}");
            Assert.That((await File.ReadAllTextAsync(probe)).Split('\n', StringSplitOptions.RemoveEmptyEntries), Is.EquivalentTo(new[]
            {
                "Type=notify", "User=chatminimal", "ActiveState=active", "ok", "Umask:\t0077", "CapEff:\t0000000000000000",
                    "NoNewPrivs:\t1",
                "700 /var/lib/chatminimal", "600 /var/lib/chatminimal/chat.db", "ok", "Result=success", "ActiveState=inactive",
                    "ok", // restored
            }));
            string[] log = await File.ReadAllLinesAsync(Path.Combine(folder.FullName, "log"));
            Assert.That(log.Where(line => !line.StartsWith("<6>", StringComparison.Ordinal)),
                Has.Exactly(1).Items.And.All.Match("^<3>.* is not the file that was written last"), "with the journal's priorities");
            Assert.That(log, Has.Some.EndsWith("Not at their default: Chat:KeepDays=7"), "as systemctl edit would have it");
            Assert.That(log[^1], Does.Contain("Stopping after "));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
