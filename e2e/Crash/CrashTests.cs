using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Microsoft.Data.Sqlite;
using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

public sealed class CrashTests
{
    /// <summary>Unkindnesses in one run: as many as fit in some seconds. E2E_CRASHES=100 for a longer one, E2E_SEED=N for the same again.</summary>
    static readonly int s_rounds = int.Parse(Environment.GetEnvironmentVariable("E2E_CRASHES") ?? "15", null);
    static readonly int s_seed = int.Parse(Environment.GetEnvironmentVariable("E2E_SEED") ?? $"{Environment.TickCount & 0xFFFF}", null);

    [Test]
    public async Task Whatever_is_done_to_the_server_what_was_seen_is_kept_once_in_one_order_without_holes()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60 + 5 * s_rounds));
        CancellationToken cancel = limit.Token;
        var random = new Random(s_seed);
        using var folder = new ChatFolder();
        int port = FreePort();
        var tally = new Tally();
        var up = new TaskCompletionSource();
        CrashClient[] clients = [.. Enumerable.Range(0, 12).Select(i => new CrashClient(port, $"{(i < 8 ? "chat" : "plain")}{i}", isChat: i < 8, random.Next(), tally))];
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        BuiltProcess server = await StartAsync();
        Task[] running = [.. clients.Select(client => client.RunAsync(() => Volatile.Read(ref up).Task, stop.Token))];
        var done = new List<string>();
        var stalled = new List<RawPeer>();
        try
        {
            for (int round = 0; round < s_rounds; round++)
            {
                await tally.MoreAsync(random.Next(1, 3000), cancel);
                // Sooner or later in a transaction; most of them the one thing nobody can prepare for.
                string what = OperatingSystem.IsWindows() || s_rounds >= 100 ? "KILL" : random.Next(10) switch { < 6 => "KILL", 6 => "TERM", 7 => "STOP", 8 => "cut", _ => "stall" };
                done.Add(what);
                switch (what)
                {
                    case "STOP":
                        server.Signal("STOP");
                        using (var length = new PeriodicTimer(TimeSpan.FromMilliseconds(random.Next(200, 2000)))) // of the fault itself
                            await length.WaitForNextTickAsync(cancel);
                        server.Signal("CONT");
                        break;
                    case "cut":
                        foreach (CrashClient client in clients)
                            if (random.Next(2) == 0)
                                client.Cut();
                        break;
                    case "stall":
                        stalled.Add(await RawPeer.UpgradeAsync(port, receiveBuffer: 4096));
                        break;
                    default:
                        Volatile.Write(ref up, new TaskCompletionSource());
                        if (what == "TERM")
                            server.Signal("TERM");
                        else
                            server.Kill();
                        await server.ExitAsync();
                        server.Dispose();
                        server = await StartAsync();
                        break;
                }
            }
            await tally.MoreAsync(500, cancel);
            // The plain ones first: they talk at the pace of the others.
            await Task.WhenAll(clients.Where(client => !client.Transcript.IsChat).Select(client => client.FinishAsync(LastSeqAsync, cancel)));
            await Task.WhenAll(clients.Select(client => client.FinishAsync(LastSeqAsync, cancel)));
            long last = await LastSeqAsync();
            await Task.WhenAll(clients.Select(client => client.FinishAsync(() => Task.FromResult(last), cancel)));
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(running);
            stalled.ForEach(peer => peer.Dispose());
            server.Kill();
            await server.ExitAsync();
            server.Dispose();
        }

        List<Entry> kept = Read(folder.File);
        Transcript[] transcripts = [.. clients.Select(client => client.Transcript)];
        string summary = $"seed {s_seed}: {string.Join(' ', done.CountBy(what => what).Select(pair => $"{pair.Key} {pair.Value}"))}; {kept.Count} messages kept, "
            + $"{transcripts.Sum(transcript => transcript.Heard.Count)} heard by {clients.Length} clients";
        await TestContext.Out.WriteLineAsync(summary);
        Assert.That(Checker.Check(kept, transcripts), Is.Empty, summary);
        Assert.That(kept, Has.Count.GreaterThan(100), "something was said");

        async Task<BuiltProcess> StartAsync()
        {
            var started = BuiltProcess.Server("Development", "--urls", $"http://127.0.0.1:{port}", "--Chat:Database", folder.File, "--Chat:MessagesPerSecond", "0", "--Chat:KeepMessages", "0");
            await started.ReadUntilAsync("Serveur WebSocket démarré");
            started.Ignore();
            Volatile.Read(ref up).TrySetResult();
            return started;
        }

        async Task<long> LastSeqAsync()
        {
            using var http = new HttpClient();
            return (long)JsonNode.Parse(await http.GetStringAsync($"http://127.0.0.1:{port}/messages?last=0"))!["next"]! - 1;
        }
    }

    static List<Entry> Read(string file)
    {
        using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT seq, text FROM message WHERE room = 'salon' ORDER BY seq";
        using SqliteDataReader reader = command.ExecuteReader();
        var kept = new List<Entry>();
        while (reader.Read())
            kept.Add(new Entry(reader.GetInt64(0), reader.GetString(1)));
        return kept;
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
