using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using ChatMinimal.E2E.Proxies;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>
/// nginx as the README's section on several servers has it: one address, two servers. Other ports, and its files in a folder of the test's.
/// </summary>
sealed partial class Balancer : IDisposable
{
    readonly Process _process;

    Balancer(Process process, int port) => (_process, Address) = (process, $"http://127.0.0.1:{port}/");

    public string Address { get; }

    public static async Task<Balancer> StartAsync(string folder, int one, int other)
    {
        string program = Programs.Find("nginx") ?? Programs.Ignore("nginx is not installed (Debian: nginx-light)");
        int port = PostgresServer.FreePort();
        string configuration = Path.Combine(folder, "chat.conf");
        string text = Snippet().Replace("127.0.0.1:8771", $"127.0.0.1:{one}", StringComparison.Ordinal)
            .Replace("127.0.0.1:8772", $"127.0.0.1:{other}", StringComparison.Ordinal);
        await File.WriteAllTextAsync(configuration, text.Replace("listen 8765", $"listen 127.0.0.1:{port}", StringComparison.Ordinal));
        var process = Process.Start(new ProcessStartInfo(program,
            ["-p", folder, "-e", Path.Combine(folder, "error.log"), "-c", configuration])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true
        })!;
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        Task<string> told = process.StandardError.ReadToEndAsync();
        await Servers.UntilAsync(async () =>
        {
            using var probe = new TcpClient();
            try
            {
                await probe.ConnectAsync(IPAddress.Loopback, port);
                return true;
            }
            catch (SocketException)
            {
                Assert.That(process.HasExited, Is.False, () => told.Result);
                return false;
            }
        });
        return new Balancer(process, port);
    }

    // What the README writes into chat.conf.
    static string Snippet()
    {
        string readme = File.ReadAllText(Path.Combine(BuiltProcess.PathOf("Root"), "README.md")).ReplaceLineEndings("\n");
        Match match = Configuration().Match(readme);
        Assert.That(match.Success, "chat.conf is in the README");
        return match.Groups[1].Value;
    }

    [GeneratedRegex("`chat\\.conf`[^`]*```\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Configuration();

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}
