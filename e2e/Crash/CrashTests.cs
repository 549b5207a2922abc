using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

/// <summary>
/// Clients talk without end while one fault follows another; then the checker holds what they went through against the file.
/// </summary>
public sealed class CrashTests
{
    /// <summary>
    /// Faults in one test: as many as fit in some seconds. E2E_CRASHES=1000 for a long run, E2E_SEED=N for the same again.
    /// </summary>
    static readonly int s_faults = int.Parse(Environment.GetEnvironmentVariable("E2E_CRASHES") ?? "15", null);

    const int LongestHistory = 50; // faults with one file: whenever that becomes another log, every client reads all of it again

    readonly Random _random = new(Rig.Seed);
    readonly List<string> _done = [];
    long _kept, _heard, _logs;

    [Test]
    public Task Whatever_is_done_to_the_server_what_was_seen_is_kept_once_in_one_order_without_holes() =>
        RunAsync(plains: 4, isOneLog: true, async (faults, cancel) =>
    {
        _done.Add(faults.NextOfProcess());
        await faults.OfProcessAsync(_done[^1], cancel);
    });

    [Test, Platform(Exclude = "Win", Reason = "open files stay where they are")]
    public Task Whatever_is_done_to_its_files_nothing_is_lost_that_nobody_is_told_of() =>
        RunAsync(plains: 0, isOneLog: false, async (faults, cancel) =>
    {
        bool isOfProcess = _random.Next(3) == 0;
        _done.Add(isOfProcess ? faults.NextOfProcess() : faults.NextOfFiles());
        await (isOfProcess ? faults.OfProcessAsync(_done[^1], cancel) : faults.OfFilesAsync(_done[^1], cancel));
    });

    async Task RunAsync(int plains, bool isOneLog, Func<Faults, CancellationToken, Task> fault)
    {
        using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit);
        while (_done.Count < s_faults)
            await RunHistoryAsync(plains, isOneLog, Math.Min(LongestHistory, s_faults - _done.Count), fault, limit.Token);
        await TestContext.Out.WriteLineAsync($"seed {Rig.Seed}: {s_faults} faults ({string.Join(", ", _done.CountBy(what => what).OrderByDescending(pair => pair.Value).Select(pair => $"{pair.Key} {pair.Value}"))}); "
            + $"{_kept} messages kept, {_heard} heard, {_logs} logs; 0 lost, 0 twice, 0 out of order, 0 untold");
    }

    async Task RunHistoryAsync(int plains, bool isOneLog, int rounds, Func<Faults, CancellationToken, Task> fault, CancellationToken cancel)
    {
        var tally = new Tally();
        await using var server = new CrashServer();
        CrashClient[] clients =
        [
            .. Enumerable.Range(0, 8).Select(i => new CrashClient(() => server.Port, $"chat{i}", isChat: true, _random.Next(), tally)),
            .. Enumerable.Range(0, plains)
                .Select(i => new CrashClient(() => server.Port, $"plain{i}", isChat: false, _random.Next(), tally)),
        ];
        using var faults = new Faults(server, clients, tally, _random);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await server.StartAsync();
        Task[] running = [.. clients.Select(client => client.RunAsync(server.Up, stop.Token))];
        try
        {
            for (int round = 0; round < rounds; round++)
            {
                await tally.MoreAsync(_random.Next(1, 400), cancel);
                await fault(faults, cancel);
            }
            await tally.MoreAsync(100, cancel);
            // The plain ones first: they talk at the pace of the others.
            await Task.WhenAll(clients.Where(client => !client.Transcript.IsChat)
                .Select(client => client.FinishAsync(server.LastSeqAsync, cancel)));
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
        List<Entry> kept = server.Kept();
        Transcript[] transcripts = [.. clients.Select(client => client.Transcript)];
        IEnumerable<string> broken =
            Checker.Check(kept, transcripts, epoch: isOneLog ? null : server.Sql("SELECT epoch FROM room")[0],
                removed: isOneLog ? null : faults.Removed);
        Assert.That(broken, Is.Empty, $"seed {Rig.Seed}, the last of these faults: {string.Join(", ", _done[^rounds..])}");
        Assert.That(kept, Has.Count.GreaterThan(100), "something was said");
        _kept += kept.Count;
        _heard += transcripts.Sum(transcript => (long)transcript.Received.Count);
        _logs += transcripts[0].Logs.Count;
        foreach (CrashClient client in clients)
            client.Dispose();
    }
}
