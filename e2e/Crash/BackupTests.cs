using System.Diagnostics;
using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

/// <summary>The commands that the README gives for the file, run as they are written, but for the file's place and systemd.</summary>
[Platform(Exclude = "Win", Reason = "a shell's commands")]
public sealed class BackupTests : IDisposable
{
    readonly ChatFolder _folder = new();

    string Folder => Path.GetDirectoryName(_folder.File)!;

    public void Dispose() => _folder.Dispose();

    [Test]
    public async Task The_file_can_be_looked_into_while_the_server_runs()
    {
        using var server = ChatServer.StartWith(_folder);
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= 6; i++)
            await http.PostAsync("/messages?name=Ana", new StringContent($"text {i}"));
        string[] rows = (await RunAsync("'select * from message limit 5'")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(rows.Select(row => row.Split('|')).Select(row => $"{row[0]} {row[1]} {row[3]} {row[4]}"),
            Is.EqualTo(Enumerable.Range(1, 5).Select(i => $"salon {i} Ana text {i}")));
    }

    [TestCase("stopped"), TestCase("killed")]
    public async Task A_backup_made_while_people_talk_is_restored_and_everyone_is_told(string end)
    {
        await using var server = new CrashServer();
        var tally = new Tally();
        CrashClient[] clients =
            [.. Enumerable.Range(0, 6).Select(i => new CrashClient(() => server.Port, $"chat{i}", isChat: true, i, tally))];
        using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit), stop = Rig.Patience(Rig.TestLimit);
        await server.StartAsync();
        Task[] talking = [.. clients.Select(client => client.RunAsync(server.Up, stop.Token))];
        await tally.MoreAsync(500, limit.Token);
        await RunAsync("chatminimal backup ", server.File); // has an end, though they talk on
        await tally.MoreAsync(500, limit.Token);

        await server.EndAsync(kindly: end == "stopped");
        Assert.That(File.Exists(server.File + "-wal"), Is.EqualTo(end == "killed"), "the WAL of the file that is going to be replaced");
        await RunAsync("chatminimal restore ", server.File);
        await server.StartAsync();
        await tally.MoreAsync(500, limit.Token);
        await Task.WhenAll(clients.Select(client => client.FinishAsync(server.LastSeqAsync, limit.Token)));
        long last = await server.LastSeqAsync();
        await Task.WhenAll(clients.Select(client => client.FinishAsync(() => Task.FromResult(last), limit.Token)));
        await stop.CancelAsync();
        await Task.WhenAll(talking);
        await server.EndAsync();

        Transcript[] transcripts = [.. clients.Select(client => client.Transcript)];
        Assert.That(transcripts.Select(transcript => transcript.Logs.Count), Is.All.EqualTo(2), "told of another log");
        Assert.That(Checker.Check(server.Kept(), transcripts, epoch: server.Sql("SELECT epoch FROM room")[0]), Is.Empty);
        Assert.That(File.Exists(server.File + "-replaced"), "what was there is put aside");
        foreach (CrashClient client in clients)
            client.Dispose();
    }

    static string Program =>
        Environment.GetEnvironmentVariable("E2E_SERVER") is { Length: > 0 } published
            ? $"'{published}'"
            : $"dotnet '{BuiltProcess.PathOf("Server")}'";

    // The line of the README that has this in it.
    async Task<string> RunAsync(string part, string? file = null)
    {
        string[] readme = await File.ReadAllLinesAsync(Path.Combine(BuiltProcess.PathOf("Root"), "README.md"));
        string command = readme.Single(line => line.StartsWith("    ", StringComparison.Ordinal)
            && line.Contains(part, StringComparison.Ordinal)).Trim();
        if (command.StartsWith("sqlite3 ", StringComparison.Ordinal) && Proxies.Programs.Find("sqlite3") is null)
            Assert.Ignore("sqlite3 is not installed");
        string here = command.Replace("/var/lib/chatminimal/chat.db", file ?? _folder.File, StringComparison.Ordinal)
            .Replace("/backup/chat.db", Path.Combine(Folder, "backup.db"), StringComparison.Ordinal)
            .Replace("chatminimal backup", $"{Program} backup", StringComparison.Ordinal)
                .Replace("chatminimal restore", $"{Program} restore", StringComparison.Ordinal);
        using var shell = Process.Start(new ProcessStartInfo("sh", ["-c", $"systemctl() {{ :; }}; {here}"])
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        })!;
        using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit);
        Task<string> output = shell.StandardOutput.ReadToEndAsync(limit.Token), error = shell.StandardError.ReadToEndAsync(limit.Token);
        await shell.WaitForExitAsync(limit.Token);
        Assert.That(shell.ExitCode, Is.Zero, $"{command}: {await error}");
        return await output;
    }
}
