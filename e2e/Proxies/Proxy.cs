using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Proxies;

/// <summary>
/// A reverse proxy of this machine, in front of a server, as the README says to set it up: what stands there is what runs here,
/// with other ports, other paths, and time-outs that are shorter by the same factor.
/// </summary>
sealed class Proxy : IDisposable
{
    readonly Process _process;

    Proxy(Process process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    /// <summary>Starts one, or has the test ignored where it is not installed.</summary>
    /// <param name="kind">nginx, caddy, haproxy or apache.</param>
    /// <param name="folder">For what it writes.</param>
    /// <param name="server">The port of the server behind it, on the loopback.</param>
    /// <param name="shorter">By which its time-outs are divided.</param>
    /// <param name="port">Its own; 0: any.</param>
    /// <param name="network">A network namespace to run in; null: the machine's.</param>
    public static async Task<Proxy> StartAsync(string kind, Certificate certificate, string folder, int server, int shorter = 1,
        int port = 0, string? network = null)
    {
        string program = Programs.Find(kind == "apache" ? "apache2" : kind)
            ?? Programs.Ignore($"{kind} is not installed (Debian: {(kind switch { "apache" => "apache2", "nginx" => "nginx-light", _ => kind })})");
        port = port == 0 ? FreePort() : port;
        string snippet = Snippet(kind)
            .Replace(":443", $":{port}", StringComparison.Ordinal)
                .Replace("127.0.0.1:8765", $"127.0.0.1:{server}", StringComparison.Ordinal)
            .Replace("listen 443", $"listen {port}", StringComparison.Ordinal)
                .Replace("/etc/ssl/chat.", Path.Combine(certificate.Folder, "chat."), StringComparison.Ordinal);
        snippet = Regex.Replace(snippet, @"\b60(s?)\b", $"{60 / shorter}$1");
        string configuration = Path.Combine(folder, kind == "caddy" ? "Caddyfile" : $"{kind}.conf");
        await File.WriteAllTextAsync(configuration, Around(kind, snippet, folder, certificate, port));
        string[] arguments = kind switch
        {
            "nginx" => ["-p", folder, "-c", configuration, "-e", Path.Combine(folder, "nginx.log")],
            "caddy" => ["run", "--config", configuration, "--adapter", "caddyfile"],
            "haproxy" => ["-db", "-f", configuration],
            _ => ["-D", "FOREGROUND", "-f", configuration],
        };
        var start = network is null
            ? new ProcessStartInfo(program, arguments)
            : new ProcessStartInfo("ip", ["netns", "exec", network, program, .. arguments]);
        (start.RedirectStandardOutput, start.RedirectStandardError) = (true, true);
        // Caddy's
        (start.Environment["HOME"], start.Environment["XDG_DATA_HOME"], start.Environment["XDG_CONFIG_HOME"]) = (folder, folder, folder);
        var process = Process.Start(start)!;
        Task<string> told = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        if (network is null)
            await ListensAsync(process, port, told);
        return new Proxy(process, port);
    }

    /// <summary>The block of code in that language that the README has.</summary>
    static string Snippet(string language)
    {
        string readme = File.ReadAllText(Path.Combine(BuiltProcess.PathOf("Root"), "README.md")).ReplaceLineEndings("\n");
        string[] blocks = readme.Split($"```{language}\n");
        Assert.That(blocks, Has.Length.EqualTo(2), $"one block of {language} in the README");
        return blocks[1].Split("```")[0];
    }

    // What the package's own configuration has around it.
    static string Around(string kind, string snippet, string folder, Certificate certificate, int port) => kind switch
    {
        "nginx" => $$"""
            daemon off;
            pid {{folder}}/nginx.pid;
            worker_processes 1;
            events { }
            http {
                access_log off;
                client_body_temp_path {{folder}}/body;
                proxy_temp_path {{folder}}/proxy;
                fastcgi_temp_path {{folder}}/fastcgi;
                uwsgi_temp_path {{folder}}/uwsgi;
                scgi_temp_path {{folder}}/scgi;
            {{snippet}}
            }
            """,
        "caddy" => $$"""
            {
                admin off
                auto_https disable_redirects
                storage file_system {{folder}}/caddy
            }
            https://{{snippet.Replace("chat.example {", $"chat.example:{port} {{\n    tls {certificate.Folder}/chat.crt {certificate.Folder}/chat.key", StringComparison.Ordinal)}}
            """,
        "haproxy" => snippet,
        _ => $"""
            ServerName chat.example
            ServerRoot {folder}
            PidFile {folder}/apache.pid
            ErrorLog {folder}/apache.log
            DefaultRuntimeDir {folder}
            Mutex file:{folder} default
            User www-data
            Group www-data
            Listen {port}
            {string.Join('\n', ((string[])["mpm_event", "authz_core", "proxy", "proxy_http", "ssl"]).Select(module => $"LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so"))}
            {snippet}
            """,
    };

    static async Task ListensAsync(Process process, int port, Task<string> told)
    {
        using CancellationTokenSource limit = Rig.Patience();
        while (true)
        {
            using var probe = new TcpClient();
            try
            {
                await probe.ConnectAsync(IPAddress.Loopback, port, limit.Token);
                return;
            }
            catch (SocketException) when (!process.HasExited) { } // not yet
            catch (SocketException)
            {
                Assert.Fail($"it ended with {process.ExitCode}: {await told}");
            }
        }
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }
}

/// <summary>Programs of this machine that a test may need.</summary>
static class Programs
{
    /// <summary>Where it is, on the path or where Debian puts what administrators run; null: it is not here.</summary>
    public static string? Find(string name) => OperatingSystem.IsWindows() ? null :
        ((string[])[.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'), "/usr/sbin", "/sbin"])
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    public static string Ignore(string reason)
    {
        Assert.Ignore(reason);
        return reason;
    }
}
