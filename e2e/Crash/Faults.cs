using System.Diagnostics;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

/// <summary>The faults that a server, its clients' links and its files meet, each by its name; the dice are the test's.</summary>
sealed class Faults(CrashServer server, CrashClient[] clients, Tally tally, Random random) : IDisposable
{
    const int Noticed = 300; // acknowledgements: more than are on their way at once, so some are of messages that were sent since

    readonly string _copy = server.File + "-copy";
    readonly List<RawPeer> _stalled = [];

    /// <summary>What a moderator has deleted.</summary>
    public HashSet<string> Removed { get; } = [];

    public string NextOfProcess() => OperatingSystem.IsWindows() ? "kill" : random.Next(12) switch
    {
        < 6 => "kill",
        6 => "stop",
        7 => "freeze",
        8 => "cut links",
        9 => "delete",
        10 => "second server",
        _ => "stall",
    };

    public string NextOfFiles()
    {
        bool hasCopy = File.Exists(_copy);
        return random.Next(10) switch
        {
            0 => "delete all",
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
    }

    /// <summary>After these every client is in the log that it was in.</summary>
    public async Task OfProcessAsync(string what, CancellationToken cancel)
    {
        switch (what)
        {
            case "kill" or "stop": // in a transaction, more often than not
                await server.EndAsync(kindly: what == "stop");
                await server.StartAsync();
                break;
            case "freeze":
                server.Process.Signal("STOP");
                using (var length = new PeriodicTimer(TimeSpan.FromMilliseconds(random.Next(200, 2000)))) // of the fault itself
                    await length.WaitForNextTickAsync(cancel);
                server.Process.Signal("CONT");
                break;
            case "cut links":
                foreach (CrashClient client in clients)
                    if (random.Next(2) == 0)
                        client.Cut();
                break;
            case "stall":
                _stalled.Add(await RawPeer.UpgradeAsync(server.Port, receiveBuffer: 4096)); // and never reads
                break;
            case "delete":
                Delete(random.Next(3) switch { 0 => [""], 1 => ["-wal"], _ => ["", "-wal", "-shm", "-lock"] });
                await tally.MoreAsync(Noticed, cancel);
                break;
            case "second server":
                using (BuiltProcess second = server.Another())
                {
                    (int code, _, string error) = await second.EndAsync();
                    Assert.That((code, error.TrimEnd()), Is.EqualTo((1, $"chatminimal: {server.File} is in use by another server")));
                }
                break;
        }
    }

    /// <summary>After these it may be another log, which is told.</summary>
    public async Task OfFilesAsync(string what, CancellationToken cancel)
    {
        switch (what)
        {
            case "copy":
                File.Delete(_copy);
                server.Sql($"VACUUM INTO '{_copy}'");
                return;
            case "delete all":
                Delete("", "-wal", "-shm", "-lock");
                break;
            case "rename":
                File.Move(server.File, server.File + "-renamed", overwrite: true);
                break;
            case "replace":
                File.Move(_copy, server.File, overwrite: true);
                break;
            case "overwrite":
                using (var put = Process.Start("cp", [_copy, server.File]))
                    await put.WaitForExitAsync(cancel);
                break;
            case "moderate":
                Moderate();
                break;
            default:
                await server.EndAsync(kindly: random.Next(3) == 0);
                WhileStopped(what);
                await server.StartAsync();
                break;
        }
        if (random.Next(4) == 0) // before anything more is committed, perhaps
            await OfProcessAsync(random.Next(2) == 0 ? "kill" : "stop", cancel);
        await tally.MoreAsync(Noticed, cancel);
    }

    void WhileStopped(string what)
    {
        var wal = new FileInfo(server.File + "-wal");
        if (what == "put back")
            File.Copy(_copy, server.File, overwrite: true); // under whatever WAL there is
        else if (what == "moderate while stopped")
            Moderate();
        else if (what == "delete WAL")
            wal.Delete();
        else if (wal is { Exists: true, Length: > 0 })
            using (FileStream stream = wal.OpenWrite())
                stream.SetLength(random.NextInt64(stream.Length));
    }

    void Delete(params string[] parts)
    {
        foreach (string part in parts)
            File.Delete(server.File + part);
    }

    // Rows in the middle, or the newest.
    void Moderate()
    {
        foreach (string said in server.Sql($"DELETE FROM page WHERE id IN (SELECT id FROM page ORDER BY id DESC LIMIT 3 OFFSET {(random.Next(2) == 0 ? 0 : 10)}) RETURNING said"))
            Removed.UnionWith(JsonNode.Parse(said)!.AsArray().Select(entry => (string)entry![0]!));
    }

    public void Dispose() => _stalled.ForEach(peer => peer.Dispose());
}
