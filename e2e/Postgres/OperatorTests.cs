using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>
/// The README's five commands make two servers, one PostgreSQL and nginx one chat: as written, but for ports and for whom sudo asks.
/// </summary>
[Platform(Exclude = "Win", Reason = "as Debian has them")]
public sealed partial class OperatorTests
{
    [Test]
    public async Task The_five_commands_of_the_README_are_a_chat_on_two_servers()
    {
        if (Proxies.Programs.Find("psql") is null || Proxies.Programs.Find("nginx") is null)
            Assert.Ignore("psql or nginx is not installed");
        await using PostgresServer postgres = await PostgresServer.StartAsync();
        using var chat = new ChatFolder();
        string folder = Path.GetDirectoryName(chat.File)!;
        int[] ports = [PostgresServer.FreePort(), PostgresServer.FreePort(), PostgresServer.FreePort()];
        string readme = (await File.ReadAllTextAsync(Path.Combine(BuiltProcess.PathOf("Root"), "README.md"))).ReplaceLineEndings("\n");
        Match section = Section().Match(readme);
        string commands = section.Groups[1].Value, configuration = section.Groups[2].Value;
        Assert.That(commands.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(5));
        await File.WriteAllTextAsync(Path.Combine(folder, "chat.conf"), WithPorts(configuration));
        Program("sudo", $"shift 2; exec \"$@\" -h 127.0.0.1 -p {postgres.Port} -U postgres");
        Program("chatminimal", $"exec dotnet {BuiltProcess.PathOf("Server")} \"$@\"");
        await File.WriteAllTextAsync(Path.Combine(folder, "commands.sh"),
            WithPorts(commands).Replace("Host=127.0.0.1;", $"Host=127.0.0.1;Port={postgres.Port};", StringComparison.Ordinal));
        using var shell = Process.Start(new ProcessStartInfo("sh", [Path.Combine(folder, "commands.sh")])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["PATH"] = $"{folder}:{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin" },
        })!;
        _ = Task.WhenAll(shell.StandardOutput.BaseStream.CopyToAsync(Stream.Null), shell.StandardError.BaseStream.CopyToAsync(Stream.Null));
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{ports[0]}") };
            foreach (int port in ports)
                await Servers.UntilAsync(() => IsReadyAsync(http, $"http://127.0.0.1:{port}/readyz"));
            using Peer here = await Peer.ConnectAsync(new Uri($"ws://127.0.0.1:{ports[1]}/ws"), "chat.v1"),
                there = await Peer.ConnectAsync(new Uri($"ws://127.0.0.1:{ports[2]}/ws"), "chat.v1");
            using HttpResponseMessage posted = await http.PostAsync("/messages", new StringContent("through nginx"));
            Assert.That(posted.StatusCode, Is.EqualTo(HttpStatusCode.Created));
            Assert.That(await here.ReceiveTextsAsync(1), Is.EqualTo(await there.ReceiveTextsAsync(1)));
        }
        finally
        {
            shell.Kill(entireProcessTree: true);
            await shell.WaitForExitAsync();
        }

        string WithPorts(string text) =>
            text.Replace("8765", $"{ports[0]}", StringComparison.Ordinal).Replace("8771", $"{ports[1]}", StringComparison.Ordinal)
                .Replace("8772", $"{ports[2]}", StringComparison.Ordinal);

        void Program(string name, string script)
        {
            string path = Path.Combine(folder, name);
            File.WriteAllText(path, $"#!/bin/sh\n{script}\n");
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    static async Task<bool> IsReadyAsync(HttpClient http, string address)
    {
        try
        {
            using HttpResponseMessage ready = await http.GetAsync(address);
            return ready.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false; // not yet
        }
    }

    [GeneratedRegex("## Several servers: PostgreSQL.*?```sh\n(.*?)```.*?```\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Section();
}
