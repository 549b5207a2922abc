using ChatMinimal.E2E.Crash;
using Npgsql;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>
/// Clients talk without end at three servers while one fault of a server or of the database follows another; then the checker holds what
/// they went through against the database.
/// </summary>
[Platform(Exclude = "Win", Reason = "signals")]
public sealed class CrashTests
{
    /// <summary>Faults: as many as fit in some seconds. E2E_CRASHES=300 for a long run, E2E_SEED=N for the same again.</summary>
    static readonly int s_faults = int.Parse(Environment.GetEnvironmentVariable("E2E_CRASHES") ?? "5", null);

    const int LongestPause = 2000; // ms that a server or the database is stopped

    static readonly string[] s_faultsOfAll =
        ["kill", "kill", "term", "stop", "cut", "terminate", "unlisten", "restart", "crash", "pause", "promote"];

    readonly Random _random = new(Rig.Seed);
    readonly Tally _tally = new();
    readonly List<string> _done = [];
    readonly int[] _ports = [PostgresServer.FreePort(), PostgresServer.FreePort(), PostgresServer.FreePort()];
    readonly BuiltProcess?[] _servers = new BuiltProcess?[3];
    PostgresServer _primary = null!, _standby = null!;

    [Test]
    public async Task Whatever_is_done_to_the_servers_and_the_database_what_was_seen_is_there_once_in_one_order()
    {
        using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit);
        _primary = await PostgresServer.StartAsync();
        _standby = await PostgresServer.StartAsync(await _primary.BackUpAsync(isStandby: true));
        await _primary.SetSynchronousAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        Task[] running = [];
        CrashClient[] clients = [];
        try
        {
            await Task.WhenAll(Enumerable.Range(0, 3).Select(StartAsync));
            clients =
            [
                .. Enumerable.Range(0, 6).Select(i => new CrashClient(AnyPort, $"chat{i}", isChat: true, _random.Next(), _tally)),
                .. Enumerable.Range(0, 3).Select(i => new CrashClient(AnyPort, $"plain{i}", isChat: false, _random.Next(), _tally)),
            ];
            running = [.. clients.Select(client => client.RunAsync(() => Task.CompletedTask, stop.Token))];
            for (int round = 0; round < s_faults; round++)
            {
                await _tally.MoreAsync(_random.Next(1, 300), limit.Token);
                _done.Add(round == s_faults / 2 ? "promote" : s_faultsOfAll[_random.Next(s_faultsOfAll.Length)]);
                await DoAsync(_done[^1], clients, limit.Token);
            }
            await _tally.MoreAsync(200, limit.Token);
            // The plain ones first: they talk at the pace of the others.
            await Task.WhenAll(clients.Where(client => !client.Transcript.IsChat)
                .Select(client => client.FinishAsync(LastAsync, limit.Token)));
            await Task.WhenAll(clients.Select(client => client.FinishAsync(LastAsync, limit.Token)));
            long last = await LastAsync();
            await Task.WhenAll(clients.Select(client => client.FinishAsync(() => Task.FromResult(last), limit.Token)));
            await stop.CancelAsync();
            await Task.WhenAll(running);
            await CheckAsync(clients);
        }
        finally
        {
            await stop.CancelAsync();
            foreach (BuiltProcess? server in _servers)
                server?.Dispose();
            await Task.WhenAll(running);
            foreach (CrashClient client in clients)
                client.Dispose();
            await _primary.DisposeAsync();
            await _standby.DisposeAsync();
        }
    }

    int AnyPort() => _ports[Random.Shared.Next(_ports.Length)];

    async Task StartAsync(int which)
    {
        var server = BuiltProcess.Server("Development", "--urls", $"http://127.0.0.1:{_ports[which]}",
            // At the usual rate: it is faults that there are to be many of
            "--ConnectionStrings:Chat", $"{PostgresServer.Connection(_primary, _standby)};Command Timeout=2");
        _servers[which] = server;
        server.Ignore();
        using var http = new HttpClient();
        await Servers.UntilAsync(async () =>
        {
            try
            {
                return await http.GetStringAsync($"http://127.0.0.1:{_ports[which]}/healthz") == "ok\n";
            }
            catch (HttpRequestException)
            {
                return false; // not yet
            }
        });
    }

    async Task DoAsync(string what, CrashClient[] clients, CancellationToken cancel)
    {
        int which = _random.Next(3);
        switch (what)
        {
            case "kill" or "term":
                if (what == "kill")
                    _servers[which]!.Kill();
                else
                    _servers[which]!.Signal("TERM");
                await _servers[which]!.ExitAsync();
                await StartAsync(which);
                break;
            case "stop":
                _servers[which]!.Signal("STOP");
                await PauseAsync(cancel);
                _servers[which]!.Signal("CONT");
                break;
            case "cut":
                foreach (CrashClient client in clients)
                    if (_random.Next(2) == 0)
                        client.Cut();
                break;
            case "terminate":
                await PostgresServer.ExecuteAsync(_primary.Connection("postgres"),
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'chatminimal'");
                break;
            case "unlisten":
                await PostgresServer.ExecuteAsync(_primary.Connection("postgres"),
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
                break;
            case "restart" or "crash":
                await (what == "crash" ? _primary.KillAsync() : _primary.StopAsync());
                _primary = await PostgresServer.StartAsync(_primary.Folder, _primary.Port);
                await _primary.SetSynchronousAsync(); // the standby has come back
                break;
            case "pause":
                _primary.SignalAll("STOP");
                await PauseAsync(cancel);
                _primary.SignalAll("CONT");
                break;
            default:
                await PromoteAsync();
                break;
        }
    }

    // The length of the fault itself.
    async Task PauseAsync(CancellationToken cancel)
    {
        using var length = new PeriodicTimer(TimeSpan.FromMilliseconds(_random.Next(100, LongestPause)));
        await length.WaitForNextTickAsync(cancel);
    }

    // The primary dies, the standby takes over, and a new standby begins where the old primary was.
    async Task PromoteAsync()
    {
        int port = _primary.Port;
        await _primary.KillAsync();
        await _standby.PromoteAsync();
        await _primary.DisposeAsync();
        _primary = _standby;
        _standby = await PostgresServer.StartAsync(await _primary.BackUpAsync(isStandby: true), port);
        await _primary.SetSynchronousAsync();
    }

    async Task<long> LastAsync() =>
        (long)(await PostgresServer.ExecuteAsync(_primary.Connection("postgres"), "SELECT next - 1 FROM chat.room WHERE name = 'salon'"))!;

    async Task CheckAsync(CrashClient[] clients)
    {
        var kept = new List<Entry>();
        await using var database = NpgsqlDataSource.Create(_primary.Connection("postgres"));
        await using (NpgsqlCommand command = database.CreateCommand("SELECT seq, text FROM chat.message WHERE room = 'salon' ORDER BY seq"))
        await using (NpgsqlDataReader rows = await command.ExecuteReaderAsync())
            while (await rows.ReadAsync())
                kept.Add(new Entry(rows.GetInt64(0), rows.GetString(1)));
        Transcript[] transcripts = [.. clients.Select(client => client.Transcript)];
        string summary = $"seed {Rig.Seed}: 3 servers, {s_faults} faults ({string.Join(", ", _done.CountBy(what => what).OrderByDescending(pair => pair.Value).Select(pair => $"{pair.Key} {pair.Value}"))}); "
            + $"{kept.Count} messages kept, {transcripts.Sum(transcript => transcript.Received.Count)} heard by {clients.Length} clients";
        // What was refused meanwhile is sent again after others: as where the log may become another one, which here it may not.
        string epoch = (string)(await PostgresServer.ExecuteAsync(_primary.Connection("postgres"),
            "SELECT epoch FROM chat.room WHERE name = 'salon'"))!;
        string[] broken = [.. Checker.Check(kept, transcripts, epoch: epoch),
            .. transcripts.Where(transcript => transcript.Logs.Count > 1)
                .Select(transcript => $"{transcript.Client}: the log became another one")];
        await TestContext.Out.WriteLineAsync($"{summary}; {(broken.Length == 0 ? "0 lost, 0 twice, 0 out of order, 0 untold" : $"{broken.Length} broken promises")}");
        Assert.That(broken, Is.Empty, summary);
        Assert.That(kept, Has.Count.GreaterThan(100), "something was said");
    }
}
