using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>
/// Whatever happens to the files, while the server runs or between two runs: what was acknowledged is where the next start looks for it,
/// or everyone is told that this is another log.
/// </summary>
public sealed class IdentityTests : IDisposable
{
    const int PageLength = 4096; // bytes, of SQLite's

    readonly ChatFolder _folder = new();

    string File => _folder.File;
    string Wal => _folder.File + "-wal";
    string Copy => _folder.File + "-copy";

    public void Dispose() => _folder.Dispose();

    static SqliteStore Open(string file, bool isDurable = false) =>
        Started.Sqlite(new ChatOptions { Database = file, Durability = isDurable ? "full" : "normal" });

    SqliteStore Open() => Open(File);

    [TestCase("all of them deleted"), TestCase("deleted"), TestCase("renamed"), TestCase("WAL deleted"), TestCase("lock deleted")]
    public async Task Files_that_are_gone_under_the_server_are_put_back_before_anything_more_is_acknowledged(string how)
    {
        if (OperatingSystem.IsWindows())
            Assert.Ignore("open files stay where they are");
        string epoch;
        using (SqliteStore store = Open())
        {
            var pages = new List<LogPage>();
            await store.FollowAsync("a", pages.Add);
            for (int i = 1; i <= 10; i++)
            {
                await SayAsync(store, $"{i}");
                if (how == "renamed")
                    System.IO.File.Move(File, Copy, overwrite: true);
                else
                    foreach (string file in how switch
                    {
                        "deleted" => [File],
                        "WAL deleted" => [Wal],
                        "lock deleted" => [File + "-lock"],
                        _ => Directory.GetFiles(Path.GetDirectoryName(File)!)
                    })
                        System.IO.File.Delete(file);
            }
            await SayAsync(store, "11");
            epoch = (await store.OpenAsync("a", default)).Epoch;
            Assert.That(pages.Select(page => page.Next), Is.EqualTo(Enumerable.Range(1, 12)));
            Assert.That(pages[1..].Select(page => page.Head.Epoch), Is.All.EqualTo(epoch), "it is the same log");
            Assert.That(Sql(File, "SELECT text FROM message"), Is.EqualTo(Enumerable.Range(1, 11).Select(i => $"{i}")));
        }
        using (SqliteStore store = Open())
            Assert.That(await store.OpenAsync("a", default), Is.EqualTo(new LogHead(epoch, 1, 12)));
    }

    [TestCase("renamed over it", "vacuum"), TestCase("written over it", "vacuum"), TestCase("renamed over it", "cold"),
        TestCase("written over it", "cold"), TestCase("written over it", "foreign")]
    public async Task Another_file_in_its_place_is_another_log_and_nothing_is_acknowledged_into_the_old_one(string how, string what)
    {
        if (OperatingSystem.IsWindows())
            Assert.Ignore("open files stay where they are");
        using (SqliteStore store = Open())
            await SayAsync(store, "1");
        if (what == "cold")
            System.IO.File.Copy(File, Copy);
        using (SqliteStore store = Open())
        {
            if (what == "vacuum")
                Sql(File, $"VACUUM INTO '{Copy}'");
            var pages = new List<LogPage>();
            await store.FollowAsync("a", pages.Add);
            string before = pages[0].Head.Epoch;
            await SayAsync(store, "lost");
            if (what == "foreign")
                await System.IO.File.WriteAllTextAsync(Copy, "this is no database");
            using (var put = Process.Start(how == "renamed over it" ? "mv" : "cp", [Copy, File]))
                await put.WaitForExitAsync();
            if (how == "written over it") // which is seen when the message has gone into the old one
                Assert.That(async () => await SayAsync(store, "2"), Throws.InstanceOf<StoreUnavailableException>());
            if (what == "foreign")
            {
                Assert.That(async () => await SayAsync(store, "2"),
                    Throws.InstanceOf<StoreUnavailableException>().With.Message.Contains("not a database"));
                return;
            }
            Assert.That(await SayAsync(store, "2"), Is.EqualTo(new Submission(2, false)));
            Assert.That(pages.Select(page => (page.Next, page.Messages.Count)), Is.EqualTo(new[] { (2L, 0), (3, 1), (2, 0), (3, 1) }),
                "told first");
            Assert.That(pages[2].Head.Epoch,
                Is.Not.EqualTo(before).And.EqualTo(pages[3].Head.Epoch).And.EqualTo((await store.OpenAsync("a", default)).Epoch));
            before = pages[3].Head.Epoch;
            Assert.That(await TextsAsync(store), Is.EqualTo(new[] { "1", "2" }));
            store.Dispose();
            using SqliteStore again = Open();
            Assert.That(await again.OpenAsync("a", default), Is.EqualTo(new LogHead(before, 1, 3)));
        }
    }

    [TestCase("nothing", false), TestCase("checkpoint", false), TestCase("wal deleted", true), TestCase("wal cut", true),
        TestCase("lock deleted", true),
     TestCase("newest row deleted", true), TestCase("older row deleted", false), TestCase("power lost", true),
         TestCase("power lost, full", false)]
    public async Task What_happened_between_two_runs_is_noticed_at_the_start(string what, bool isAnother)
    {
        string killed = await LeaveAsKilledAsync(isDurable: what.EndsWith("full", StringComparison.Ordinal));
        string before = Sql(Path.Combine(killed, "reference", "chat.db"), "SELECT epoch FROM room")[0],
            file = Path.Combine(killed, "chat.db");
        switch (what)
        {
            case "checkpoint":
                Sql(file, "PRAGMA wal_checkpoint(TRUNCATE)");
                break;
            case "wal deleted":
                System.IO.File.Delete(file + "-wal");
                break;
            case "wal cut":
                using (FileStream wal = System.IO.File.OpenWrite(file + "-wal"))
                    wal.SetLength(wal.Length - 1);
                break;
            case "lock deleted":
                System.IO.File.Delete(file + "-lock");
                break;
            case "newest row deleted":
                Sql(file, "DELETE FROM page WHERE id & 0xFFFFFFFFF = 3");
                break;
            case "older row deleted":
                Sql(file, "DELETE FROM page WHERE id & 0xFFFFFFFFF = 2");
                break;
            case "power lost" or "power lost, full":
                string known = await System.IO.File.ReadAllTextAsync(file + "-lock");
                await System.IO.File.WriteAllTextAsync(file + "-lock",
                    known.Replace(Known.ThisBoot, new string('0', 36), StringComparison.Ordinal));
                break;
        }
        using SqliteStore store = Open(file);
        Assert.That((await store.OpenAsync("a", default)).Epoch, isAnother ? Is.Not.EqualTo(before) : Is.EqualTo(before));
        ChatFolder.Delete(killed);
    }

    [Test]
    public async Task An_older_copy_put_back_between_two_runs_is_another_log()
    {
        using (SqliteStore store = Open())
            await SayAsync(store, "1");
        System.IO.File.Copy(File, Copy);
        string before;
        using (SqliteStore store = Open())
        {
            await SayAsync(store, "2");
            before = (await store.OpenAsync("a", default)).Epoch;
        }
        System.IO.File.Copy(Copy, File, overwrite: true);
        using (SqliteStore store = Open())
        {
            Assert.That((await store.OpenAsync("a", default)).Epoch, Is.Not.EqualTo(before));
            Assert.That(await TextsAsync(store), Is.EqualTo(new[] { "1" }));
        }
    }

    [Test]
    public async Task A_restored_backup_is_not_undone_by_the_WAL_that_a_killed_server_left()
    {
        string killed = await LeaveAsKilledAsync(), file = Path.Combine(killed, "chat.db");
        System.IO.File.Copy(Path.Combine(killed, "backup.db"), file, overwrite: true);
        using (SqliteStore store = Open(file))
            Assert.That(await TextsAsync(store), Is.EqualTo(new[] { "1", "2" }));
        Assert.That(System.IO.File.Exists(file + "-wal-stale"));
        ChatFolder.Delete(killed);
    }

    [Test]
    public async Task Wherever_a_checkpoint_is_when_the_server_is_killed_the_WAL_is_still_the_files()
    {
        string folder = Directory.CreateTempSubdirectory("chatminimal-").FullName, file = Path.Combine(folder, "chat.db");
        string text = new('x', 20_000), epoch;
        using (SqliteStore store = Open())
        {
            await SayAsync(store, text); // makes the file longer by some pages
            epoch = (await store.OpenAsync("a", default)).Epoch;
            await CopyAsync(folder);
        }
        byte[] main = await System.IO.File.ReadAllBytesAsync(file);
        SortedDictionary<int, byte[]> pages = PagesOf(await System.IO.File.ReadAllBytesAsync(file + "-wal"));
        Assert.That(pages.Keys.Last() * PageLength, Is.GreaterThan(main.Length), "or there is nothing to see");
        for (int moved = 0; moved <= pages.Count; moved++) // in this order, and each whole
        {
            string killed = Directory.CreateDirectory(Path.Combine(folder, $"{moved}")).FullName;
            foreach (string part in new[] { "-wal", "-lock" })
                System.IO.File.Copy(file + part, Path.Combine(killed, "chat.db" + part));
            using (FileStream to = System.IO.File.Create(Path.Combine(killed, "chat.db")))
            {
                to.Write(main);
                foreach ((int number, byte[] page) in pages.Take(moved))
                {
                    to.Position = (number - 1) * PageLength;
                    to.Write(page);
                }
            }
            using SqliteStore store = Open(Path.Combine(killed, "chat.db"));
            Assert.That(await TextsAsync(store), Is.EqualTo(new[] { text }), $"{moved} of {pages.Count} pages moved");
            Assert.That((await store.OpenAsync("a", default)).Epoch, Is.EqualTo(epoch));
            Assert.That(System.IO.File.Exists(Path.Combine(killed, "chat.db-wal-stale")), Is.False);
        }
        ChatFolder.Delete(folder);
    }

    [Test]
    public void A_mark_whose_transaction_was_rolled_back_comes_with_the_next_one()
    {
        using var lockFile = new LockFile(File);
        lockFile.Take();
        using var file = ChatFile.OpenForWriting(File, isDurable: false, lockFile);
        var checkpoints = new Checkpoints(File, lockFile, NullLogger.Instance);
        checkpoints.Note(room: 1, next: 2, bytes: 5 << 20); // so that a checkpoint is due
        string before = file.Mark;
        file.Begin.Run();
        checkpoints.Mark(file, lockFile.Known!.Value);
        file.TakeBack();
        Assert.That(file.Mark, Is.EqualTo(before));
        file.Begin.Run();
        Known known = checkpoints.Mark(file, lockFile.Known!.Value);
        file.Commit.Run();
        Assert.That(file.Mark, Is.EqualTo(known.Mark).And.Not.EqualTo(before));
    }

    [Test]
    public async Task A_room_that_somebody_deletes_is_another_log_though_another_room_was_written_to_meanwhile()
    {
        using SqliteStore store = Open();
        await SayAsync(store, "1");
        string before = (await store.OpenAsync("a", default)).Epoch;
        Sql(File, "DELETE FROM page; DELETE FROM room");
        await store.SubmitAsync("b", [new Draft(null, null, "elsewhere"u8.ToArray())], default);
        Assert.That((await SayAsync(store, "2")).Seq, Is.EqualTo(1));
        Assert.That((await store.OpenAsync("a", default)).Epoch, Is.Not.EqualTo(before));
        Assert.That(await TextsAsync(store), Is.EqualTo(new[] { "2" }));
    }

    [Test]
    public async Task A_second_server_on_the_same_file_is_refused_and_readers_are_not()
    {
        using (SqliteStore store = Open())
        {
            await SayAsync(store, "1");
            Assert.That(Open, Throws.InstanceOf<ChatFileException>().With.Message.EqualTo($"{File} is in use by another server"));
            Assert.That(Sql(File, "SELECT text FROM message"), Is.EqualTo(new[] { "1" }));
            Sql(File, $"VACUUM INTO '{Copy}'");
            await SayAsync(store, "2");
        }
        using (SqliteStore store = Open())
            await SayAsync(store, "3");
    }

    [Test]
    public async Task The_files_are_their_owners_alone()
    {
        using SqliteStore store = Open();
        await SayAsync(store, "1");
        string[] files = Directory.GetFiles(Path.GetDirectoryName(File)!);
        // And of the search index
        Assert.That(files.Select(Path.GetFileName), Is.SupersetOf(new[] { "chat.db", "chat.db-lock", "chat.db-shm", "chat.db-wal" }));
        foreach (string file in files)
            if (!OperatingSystem.IsWindows()) // there its folder says
                Assert.That(System.IO.File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite), file);
    }

    [Test]
    public async Task Below_so_many_free_bytes_messages_are_refused()
    {
        using var store = Started.Sqlite(new ChatOptions { Database = File, MinFreeBytes = long.MaxValue });
        Assert.That(async () => await SayAsync(store, "1"),
            Throws.InstanceOf<StoreUnavailableException>().With.Message.Contains("free on the disk"));
        Assert.That(await TextsAsync(store), Is.Empty);
    }

    [Test]
    public async Task A_disk_that_hangs_is_told_within_seconds()
    {
        using SqliteStore store = Open();
        using var answer = new ManualResetEventSlim();
        await store.FollowAsync("a", page => { if (page.Messages.Count > 0) answer.Wait(); }); // on the writer's thread, as a disk would
        Task<Submission> said = SayAsync(store, "1");
        for (int i = 0; i < 2; i++)
            Assert.That(async () => await store.CheckAsync(default),
                Throws.InstanceOf<StoreUnavailableException>().With.Message.Contains("does not answer"));
        answer.Set();
        await said;
        await store.CheckAsync(default);
    }

    [Test]
    public async Task Whatever_it_is_at_when_it_is_stopped_it_lets_go_of_its_file()
    {
        for (int turn = 0; turn < 100; turn++)
        {
            SqliteStore store = Open(File, isDurable: true); // each commit on the thread that hands over the loop
            Task<Submission>[] said = [.. Enumerable.Range(0, turn % 5).Select(i => SayAsync(store, $"{turn}.{i}"))];
            store.Dispose();
            await Task.WhenAll(said); // what was submitted before
        }
    }

    // Says 1, 2 and 3, with a backup made after 2, and leaves the files in another folder as they are while the server runs: as if it had
    // been killed.
    async Task<string> LeaveAsKilledAsync(bool isDurable = false)
    {
        string killed = Directory.CreateTempSubdirectory("chatminimal-").FullName;
        using SqliteStore store = Open(File, isDurable);
        await SayAsync(store, "1");
        await SayAsync(store, "2");
        Sql(File, $"VACUUM INTO '{Path.Combine(killed, "backup.db")}'");
        await SayAsync(store, "3");
        foreach (string folder in new[] { killed, Directory.CreateDirectory(Path.Combine(killed, "reference")).FullName })
            await CopyAsync(folder);
        return killed;
    }

    // By another process: to close the file here would drop SQLite's locks.
    async Task CopyAsync(string folder)
    {
        foreach (string part in new[] { "", "-wal", "-lock" })
            using (var copy = Process.Start("cp", [File + part, Path.Combine(folder, "chat.db" + part)]))
                await copy.WaitForExitAsync();
    }

    // The newest version of each page in the WAL, as it is described at sqlite.org/fileformat2.html: a header of 32 bytes, and for each
    // page one of 24, which begins with its number and has the header's salt in its third and fourth words.
    static SortedDictionary<int, byte[]> PagesOf(byte[] wal)
    {
        SortedDictionary<int, byte[]> pages = [];
        for (int at = 32; at < wal.Length && wal.AsSpan(at + 8, 8).SequenceEqual(wal.AsSpan(16, 8)); at += 24 + PageLength)
            pages[BinaryPrimitives.ReadInt32BigEndian(wal.AsSpan(at))] = wal[(at + 24)..(at + 24 + PageLength)];
        return pages;
    }

    static async Task<Submission> SayAsync(SqliteStore store, string text) =>
        (await store.SubmitAsync("a", [new Draft(null, null, Encoding.UTF8.GetBytes(text))], default))[0];

    static async Task<List<string>> TextsAsync(SqliteStore store) =>
        [.. (await store.ReadAsync("a", 1, long.MaxValue, default)).Messages.Select(message => Encoding.UTF8.GetString(message.Text))];

    static string[] Sql(string file, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader rows = command.ExecuteReader();
        var all = new List<string>();
        while (rows.Read())
            all.Add($"{rows.GetValue(0)}");
        return [.. all];
    }
}
