using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using ChatMinimal.E2E.Store;
using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

/// <summary>
/// What can happen to the file under a running server. While it lasts nothing is acknowledged that is not kept, everyone can
/// read, and the reason is told; when it is over, the server goes on by itself.
/// </summary>
public sealed class FaultTests
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    [Test]
    public async Task A_full_disk_is_told_and_once_there_is_room_again_it_goes_on()
    {
        using var folder = new ChatFolder();
        string disk = Path.GetDirectoryName(folder.File)!;
        if (!await TryRunAsync("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk))
            Assert.Ignore("only where one may mount a small disk");
        try
        {
            using var server = ChatServer.StartWith(folder, ("MinFreeBytes", 0));
            await SurvivesAsync(server, "database or disk is full",
                () => Fill(Path.Combine(disk, "ballast")),
                () => File.Delete(Path.Combine(disk, "ballast")));
        }
        finally
        {
            await TryRunAsync("umount", "--lazy", disk);
        }
    }

    [Test]
    public async Task A_locked_file_is_told_and_once_it_is_let_go_it_goes_on()
    {
        using var folder = new ChatFolder();
        using var server = ChatServer.StartWith(folder);
        using SqliteConnection other = Open(folder.File);
        await SurvivesAsync(server, "database is locked", () => Run(other, "BEGIN IMMEDIATE"), () => Run(other, "ROLLBACK"));
    }

    [Test]
    public async Task While_the_disk_hangs_who_is_there_is_answered()
    {
        using var folder = new ChatFolder();
        using CancellationTokenSource limit = Rig.Patience();
        using var disk = new ManualResetEventSlim();
        SqliteStore store = null!;
        using var server = ChatServer.StartWith(services => services.AddSingleton<IMessageStore>(all =>
            store = ActivatorUtilities.CreateInstance<SqliteStore>(all)), ("Database", folder.File));
        using RawPeer zoe = await RawPeer.UpgradeAsync(server.Port, "/ws?room=other");
        using Peer ana = await Peer.ConnectAsync(server.WebSocket, null);
        // Where the writer commits, as a disk would
        using IDisposable follows = await store.FollowAsync("salon", page =>
        {
            if (page.Messages.Count > 0)
                disk.Wait(limit.Token);
        });
        await ana.SayAsync("on its way");
        await zoe.WriteAsync(ClientFrame.Of(0x89, "are you there?"u8));
        Assert.That(await zoe.ReadAsync(2 + 14), Is.EqualTo((byte[])[0x8A, 14, .. "are you there?"u8]));
        await zoe.WriteAsync(ClientFrame.Of(0x88, [0x03, 0xE8]));
        Assert.That(await zoe.ReadAsync(4), Is.EqualTo((byte[])[0x88, 2, 0x03, 0xE8]));
        disk.Set();
        Assert.That(await ana.ReceiveAsync(), Does.EndWith("on its way"));
    }

    [Test]
    public async Task A_file_whose_log_is_deleted_under_the_server_loses_nothing()
    {
        using var folder = new ChatFolder();
        using (var server = ChatServer.StartWith(folder))
        {
            using Peer peer = await Peer.ChatAsync(server);
            for (int i = 1; i <= 5; i++)
            {
                await peer.SayAsync($"k{i}", $"{i}");
                await peer.ReceiveTextsAsync(1);
                File.Delete(folder.File + "-wal");
            }
            using var http = new HttpClient { BaseAddress = server.Http };
            Assert.That(await TextsAsync(http), Is.EqualTo(new[] { "1", "2", "3", "4", "5" }));
        }
        using (var server = ChatServer.StartWith(folder))
        {
            using var http = new HttpClient { BaseAddress = server.Http };
            Assert.That(await TextsAsync(http), Is.EqualTo(new[] { "1", "2", "3", "4", "5" }));
        }
    }

    [Test]
    public async Task A_log_that_is_deleted_after_a_kill_takes_the_newest_with_it_and_clients_are_told_by_another_epoch()
    {
        using var folder = new ChatFolder();
        string before = "";
        using (var server = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--Chat:Database", folder.File))
        {
            using var http = new HttpClient
            {
                BaseAddress =
                new Uri("http" + (await server.ReadUntilAsync("démarré sur ws")).Split("sur ws")[1])
            };
            await http.PostAsync("/messages", new StringContent("lost"));
            before = (string)(await GetAsync(http))["epoch"]!;
            server.Kill();
            await server.ExitAsync();
        }
        File.Delete(folder.File + "-wal");
        using (var server = ChatServer.StartWith(folder))
        {
            using var http = new HttpClient { BaseAddress = server.Http };
            Assert.That((string)(await GetAsync(http))["epoch"]!, Is.Not.EqualTo(before));
            Assert.That(await TextsAsync(http), Is.Empty);
        }
    }

    [Test]
    public async Task A_file_that_is_read_only_can_be_read_and_once_it_is_not_it_goes_on()
    {
        using var folder = new ChatFolder();
        await KeepAsync(folder.File, "before");
        if (!await TrySetReadOnlyAsync(folder.File, true))
            Assert.Ignore("only where a file can be made read-only");
        try
        {
            using var server = ChatServer.StartWith(folder);
            await SurvivesAsync(server, "readonly", () => { }, () => TrySetReadOnlyAsync(folder.File, false).Wait());
        }
        finally
        {
            await TrySetReadOnlyAsync(folder.File, false);
        }
    }

    [Test]
    public async Task A_cleanly_closed_file_in_a_read_only_place_can_be_read_and_once_it_is_not_it_goes_on()
    {
        using var folder = new ChatFolder();
        string disk = Path.GetDirectoryName(folder.File)!;
        if (!await TryRunAsync("mount", "-t", "tmpfs", "tmpfs", disk))
            Assert.Ignore("only where one may mount a disk");
        try
        {
            await KeepAsync(folder.File, "before");
            Assert.That(File.Exists(folder.File + "-wal"), Is.False, "it was closed cleanly");
            Assert.That(await TryRunAsync("mount", "-o", "remount,ro", disk));
            using var server = ChatServer.StartWith(folder, ("MinFreeBytes", 0));
            await SurvivesAsync(server, "cannot be used", () => { }, () => TryRunAsync("mount", "-o", "remount,rw", disk).Wait());
        }
        finally
        {
            await TryRunAsync("umount", "--lazy", disk);
        }
    }

    [TestCase("damaged", "file is not a database"), TestCase("cut", "cannot be used"),
        TestCase("newer", "was written by a newer ChatMinimal"), TestCase("foreign", "is another program's database")]
    public async Task A_file_that_is_not_whole_or_not_ours_is_refused_at_the_start_and_left_as_it_is(string how, string told)
    {
        using var folder = new ChatFolder();
        await KeepAsync(folder.File, [.. Enumerable.Repeat(new string('x', 3000), 20)]);
        switch (how)
        {
            case "damaged":
                using (FileStream file = File.OpenWrite(folder.File))
                    file.Write(new byte[50]);
                break;
            case "cut":
                using (FileStream file = File.OpenWrite(folder.File))
                    file.SetLength(3000);
                break;
            default:
                using (SqliteConnection connection = Open(folder.File))
                    Run(connection, how == "newer" ? "PRAGMA user_version = 99" : "PRAGMA application_id = 7");
                break;
        }
        byte[] before = await File.ReadAllBytesAsync(folder.File);
        using var refusing = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--Chat:Database", folder.File);
        (int code, _, string error) = await refusing.EndAsync();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error.TrimEnd(), Does.StartWith($"chatminimal: {folder.File}").And.Contain(told).And.Not.Contain("\n"));
        Assert.That(await File.ReadAllBytesAsync(folder.File), Is.EqualTo(before));
    }

    [Test]
    public async Task A_clock_that_is_set_back_changes_nothing_but_the_time_that_is_shown()
    {
        using var folder = new ChatFolder();
        var clock = new WallClock();
        using var server = ChatServer.StartWith(folder, clock);
        using Peer peer = await Peer.ChatAsync(server);
        var times = new List<DateTimeOffset>();
        for (int i = 1; i <= 3; i++)
        {
            await peer.SayAsync($"k{i}", $"{i}");
            JsonObject message = await peer.ReceiveMessageAsync();
            Assert.That((int)message["seq"]!, Is.EqualTo(i));
            times.Add((DateTimeOffset)message["at"]!);
            clock.Offset -= TimeSpan.FromDays(1);
        }
        Assert.That(times, Is.Ordered.Descending);
        using var http = new HttpClient { BaseAddress = server.Http };
        Assert.That(await TextsAsync(http), Is.EqualTo(new[] { "1", "2", "3" }));
    }

    // The story of each fault: nothing kept during it, everything readable, and on it goes.
    static async Task SurvivesAsync(ChatServer server, string reason, Action begin, Action end)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        using Peer chat = await Peer.ChatAsync(server, "last=0"), plain = await Peer.PlainAsync(server);
        List<string> texts = await TextsAsync(http);
        if (texts.Count == 0)
        {
            await chat.SayAsync("before", "before");
            await chat.ReceiveTextsAsync(1);
            Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : before"));
        }

        begin();
        await chat.SayAsync("during", "during");
        JsonObject refused = await chat.ReceiveAsync("refused");
        Assert.That(((string)refused["reason"]!, (string)refused["key"]!), Is.EqualTo(("store_unavailable", "during")));
        using HttpResponseMessage posted = await http.PostAsync("/messages", new StringContent("posted"));
        Assert.That((posted.StatusCode, posted.Headers.RetryAfter is not null), Is.EqualTo((HttpStatusCode.ServiceUnavailable, true)));
        using HttpResponseMessage ready = await http.GetAsync("/readyz");
        Assert.That(ready.StatusCode, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That(await ready.Content.ReadAsStringAsync(), Does.Contain(reason));
        Assert.That((await http.GetAsync("/healthz")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await TextsAsync(http), Is.EqualTo(new[] { "before" }), "others can read, and nothing was kept");
        using (Peer late = await Peer.ChatAsync(server))
            Assert.That(await late.ReceiveTextsAsync(1), Is.EqualTo(new[] { "before" }));
        await plain.SayAsync("patient"); // is not answered: it waits

        end();
        long since = Stopwatch.GetTimestamp();
        while ((await http.GetAsync("/readyz")).StatusCode != HttpStatusCode.OK)
            Assert.That(Stopwatch.GetElapsedTime(since), Is.LessThan(s_patience), "recovers by itself");
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : patient"));
        await chat.SayAsync("during", "during");
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : during"));
        Assert.That(await chat.ReceiveTextsAsync(2), Is.EqualTo(new[] { "patient", "during" }));
        Assert.That(await TextsAsync(http), Is.EqualTo(new[] { "before", "patient", "during" }));
    }

    // As a server that has ended leaves it.
    static async Task KeepAsync(string file, params string[] texts)
    {
        using var store = Started.Sqlite(new ChatOptions { Database = file });
        await store.SubmitAsync("salon", [.. texts.Select(text => new Draft(null, null, Encoding.UTF8.GetBytes(text)))], default);
    }

    static void Fill(string path)
    {
        using FileStream ballast = File.Create(path, bufferSize: 0);
        try
        {
            while (true)
                ballast.Write(new byte[512]);
        }
        catch (IOException) { } // full
    }

    static SqliteConnection Open(string file)
    {
        var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        return connection;
    }

    static void Run(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    // Permissions mean nothing to root.
    static async Task<bool> TrySetReadOnlyAsync(string file, bool isReadOnly)
    {
        if (Environment.UserName == "root")
            return await TryRunAsync("chattr", isReadOnly ? "+i" : "-i", file);
        File.SetAttributes(file, isReadOnly ? FileAttributes.ReadOnly : FileAttributes.Normal);
        return true;
    }

    static async Task<bool> TryRunAsync(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            await process.WaitForExitAsync();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception) // there is no such program
        {
            return false;
        }
    }

    static async Task<JsonObject> GetAsync(HttpClient http) => JsonNode.Parse(await http.GetStringAsync("/messages"))!.AsObject();

    static async Task<List<string>> TextsAsync(HttpClient http) =>
        [.. (await GetAsync(http))["messages"]!.AsArray().Select(message => (string)message!["text"]!)];

    sealed class WallClock : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Offset;
    }
}
