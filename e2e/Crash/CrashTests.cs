using System.Diagnostics;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

public sealed class CrashTests
{
    /// <summary>Faults in one run: as many as fit in some seconds. E2E_CRASHES=100 for a longer one, E2E_SEED=N for the same again.</summary>
    static readonly int s_rounds = int.Parse(Environment.GetEnvironmentVariable("E2E_CRASHES") ?? "15", null);

    readonly Random _random = new(Rig.Seed);
    readonly Tally _tally = new();
    readonly List<string> _done = [];
    readonly HashSet<string> _removed = []; // by a moderator

    [Test]
    public async Task Whatever_is_done_to_the_server_what_was_seen_is_kept_once_in_one_order_without_holes()
    {
        await using var server = new CrashServer();
        using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit);
        CrashClient[] clients = [.. Enumerable.Range(0, 12).Select(i => new CrashClient(server.Port, $"{(i < 8 ? "chat" : "plain")}{i}", isChat: i < 8, _random.Next(), _tally))];
        var stalled = new List<RawPeer>();
        await RunAsync(server, clients, async () =>
        {
            // Sooner or later in a transaction; most of them the one thing nobody can prepare for.
            string what = OperatingSystem.IsWindows() || s_rounds >= 100 ? "KILL" : _random.Next(12) switch { < 6 => "KILL", 6 => "TERM", 7 => "STOP", 8 => "cut", 9 => "delete", 10 => "second", _ => "stall" };
            _done.Add(what);
            switch (what)
            {
                case "STOP":
                    server.Process.Signal("STOP");
                    using (var length = new PeriodicTimer(TimeSpan.FromMilliseconds(_random.Next(200, 2000)))) // of the fault itself
                        await length.WaitForNextTickAsync(limit.Token);
                    server.Process.Signal("CONT");
                    break;
                case "cut":
                    foreach (CrashClient client in clients)
                        if (_random.Next(2) == 0)
                            client.Cut();
                    break;
                case "stall":
                    stalled.Add(await RawPeer.UpgradeAsync(server.Port, receiveBuffer: 4096));
                    break;
                case "delete":
                    foreach (string part in _random.Next(3) switch { 0 => new[] { "" }, 1 => ["-wal"], _ => ["", "-wal", "-shm", "-lock"] })
                        File.Delete(server.File + part);
                    await _tally.MoreAsync(2000, limit.Token); // it has been noticed
                    break;
                case "second":
                    using (BuiltProcess second = server.Another())
                    {
                        (int code, _, string error) = await second.EndAsync();
                        Assert.That(code, Is.EqualTo(1));
                        Assert.That(error.TrimEnd(), Is.EqualTo($"chatminimal: {server.File} is in use by another server"));
                    }
                    break;
                default:
                    await server.EndAsync(kindly: what == "TERM");
                    await server.StartAsync();
                    break;
            }
        }, limit.Token);
        stalled.ForEach(peer => peer.Dispose());
        await CheckAsync(server, clients, epoch: null, removed: null);
    }

    [Test]
    public async Task Whatever_is_done_to_its_files_nothing_is_lost_that_nobody_is_told_of()
    {
        if (OperatingSystem.IsWindows())
            Assert.Ignore("open files stay where they are");
        await using var server = new CrashServer();
        using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit);
        CrashClient[] clients = [.. Enumerable.Range(0, 8).Select(i => new CrashClient(server.Port, $"chat{i}", isChat: true, _random.Next(), _tally))];
        string copy = server.File + "-copy";
        await RunAsync(server, clients, async () =>
        {
            bool hasCopy = File.Exists(copy);
            string what = _random.Next(10) switch
            {
                0 => "delete",
                1 => "rename",
                2 when hasCopy => "replace",
                3 when hasCopy => "overwrite",
                4 when hasCopy => "put back",
                5 => "cut WAL",
                6 => "delete WAL",
                7 => "moderate",
                8 => "moderate while stopped",
                _ => "copy",
            };
            _done.Add(what);
            switch (what)
            {
                case "copy":
                    File.Delete(copy);
                    server.Sql($"VACUUM INTO '{copy}'");
                    break;
                case "delete":
                    foreach (string part in new[] { "", "-wal", "-shm", "-lock" })
                        File.Delete(server.File + part);
                    break;
                case "rename":
                    File.Move(server.File, server.File + "-renamed", overwrite: true);
                    break;
                case "replace":
                    File.Move(copy, server.File, overwrite: true);
                    break;
                case "overwrite":
                    using (var put = Process.Start("cp", [copy, server.File]))
                        await put.WaitForExitAsync(limit.Token);
                    break;
                case "moderate":
                    Moderate(server);
                    break;
                default:
                    await server.EndAsync(kindly: _random.Next(3) == 0);
                    var wal = new FileInfo(server.File + "-wal");
                    if (what == "put back")
                        File.Copy(copy, server.File, overwrite: true); // under whatever WAL there is
                    else if (what == "moderate while stopped")
                        Moderate(server);
                    else if (what == "delete WAL")
                        wal.Delete();
                    else if (wal is { Exists: true, Length: > 0 })
                        using (FileStream stream = wal.OpenWrite())
                            stream.SetLength(_random.NextInt64(stream.Length));
                    await server.StartAsync();
                    break;
            }
            await _tally.MoreAsync(2000, limit.Token); // it has been noticed
        }, limit.Token);
        await CheckAsync(server, clients, server.Sql("SELECT epoch FROM room")[0], _removed);
    }

    // Rows in the middle, or the newest.
    void Moderate(CrashServer server)
    {
        foreach (string said in server.Sql($"DELETE FROM page WHERE id IN (SELECT id FROM page ORDER BY id DESC LIMIT 3 OFFSET {(_random.Next(2) == 0 ? 0 : 10)}) RETURNING said"))
            _removed.UnionWith(JsonNode.Parse(said)!.AsArray().Select(entry => (string)entry![0]!));
    }

    async Task RunAsync(CrashServer server, CrashClient[] clients, Func<Task> fault, CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await server.StartAsync();
        Task[] running = [.. clients.Select(client => client.RunAsync(server.Up, stop.Token))];
        try
        {
            for (int round = 0; round < s_rounds; round++)
            {
                await _tally.MoreAsync(_random.Next(1, 3000), cancel);
                await fault();
            }
            await _tally.MoreAsync(500, cancel);
            // The plain ones first: they talk at the pace of the others.
            await Task.WhenAll(clients.Where(client => !client.Transcript.IsChat).Select(client => client.FinishAsync(server.LastSeqAsync, cancel)));
            await Task.WhenAll(clients.Select(client => client.FinishAsync(server.LastSeqAsync, cancel)));
            long last = await server.LastSeqAsync();
            await Task.WhenAll(clients.Select(client => client.FinishAsync(() => Task.FromResult(last), cancel)));
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(running);
            await server.EndAsync();
        }
    }

    async Task CheckAsync(CrashServer server, CrashClient[] clients, string? epoch, HashSet<string>? removed)
    {
        List<Entry> kept = server.Kept();
        Transcript[] transcripts = [.. clients.Select(client => client.Transcript)];
        string summary = $"seed {Rig.Seed}: {string.Join(", ", _done.CountBy(what => what).Select(pair => $"{pair.Key} {pair.Value}"))}; {kept.Count} messages kept, "
            + $"{transcripts.Sum(transcript => transcript.Heard.Count)} heard by {clients.Length} clients, {transcripts[0].Logs.Count} logs";
        await TestContext.Out.WriteLineAsync(summary);
        Assert.That(Checker.Check(kept, transcripts, epoch: epoch, removed: removed), Is.Empty, summary);
        Assert.That(kept, Has.Count.GreaterThan(100), "something was said");
        foreach (CrashClient client in clients)
            client.Dispose();
    }
}
