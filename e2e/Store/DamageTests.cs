using System.Text;
using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>A row that is broken costs that row, a batch that fails costs that batch; the store goes on.</summary>
public sealed class DamageTests : IDisposable
{
    readonly ChatFolder _folder = new();
    readonly Lines _lines = new();
    readonly List<SqliteStore> _open = [];

    public void Dispose()
    {
        _open.ForEach(store => store.Dispose()); // before the folder
        _folder.Dispose();
    }

    SqliteStore Open(int keepMessages = 0, TimeProvider? clock = null)
    {
        var store = Started.Sqlite(new ChatOptions { Database = _folder.File, KeepMessages = keepMessages }, clock
            ?? TimeProvider.System, _lines);
        _open.Add(store);
        return store;
    }

    // Seven messages in three rows: 1 and 2; 3, 4 and 5; 6 and 7.
    async Task KeepSevenAsync()
    {
        using SqliteStore store = Open();
        foreach (int[] row in new int[][] { [1, 2], [3, 4, 5], [6, 7] })
            await store.SubmitAsync("a", [.. row.Select(i => Draft($"{i}"))], default);
    }

    static readonly string[] s_damages =
    [
        "said = replace(said, '[', '#')", "said = NULL", "said = x'00ff'", "said = CAST(said AS BLOB)", "said = 7", "said = ''",
            "said = '[]'", "said = '[[1]]'", "said = '[[]]]'",
        "said = '{}'", "said = 'null'", "said = '[[\"a\",\"b\",\"c\",\"d\"]]'", "said = '[[\"\\ud800\"]]'",
            "said = CAST(x'5b5b22ff225d5d' AS TEXT)", "said = '[[\"a'",
        "at = NULL", "at = 7", "at = 'yesterday'", "at = x'00'", "at = replace(at, 'T', ' ')",
    ];

    [TestCaseSource(nameof(s_damages))]
    public async Task A_row_that_cannot_be_read_is_a_gap_and_everyone_steps_over_it(string damage)
    {
        await KeepSevenAsync();
        Sql("PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'page'");
        Sql($"UPDATE page SET {damage} WHERE id & 0xFFFFFFFFF = 5");
        using (SqliteStore store = Open())
        {
            for (int twice = 0; twice < 2; twice++)
            {
                Assert.That(await ReadAsync(store, 1), Is.EqualTo("1 2 then 3"));
                Assert.That(await ReadAsync(store, 3), Is.EqualTo("6 7 then 8"));
                Assert.That(await ReadAsync(store, 4, 6), Is.EqualTo("then 6"));
            }
            Assert.That(_lines.All.Where(line => line.Contains("cannot be read", StringComparison.Ordinal)),
                Is.EqualTo(new[] { $"Room a: row {1L << 36 | 5} of table page cannot be read; its messages are told as a gap" }));
            Assert.That(await store.SubmitAsync("a", [Draft("4"), Draft("8")], default),
                Is.EqualTo(new Submission[] { new(4, WasKnown: true), new(8, WasKnown: false) }));
            Assert.That(Sql("SELECT seq FROM message WHERE seq NOT IN (3, 4, 5)"), Is.EqualTo(new[] { "1", "2", "6", "7", "8" }),
                "the view shows the others");
        }
        using (SqliteStore store = Open(keepMessages: 2))
        {
            await store.SubmitAsync("a", [Draft("9")], default);
            Assert.That(Sql("SELECT first FROM room"), Is.EqualTo(new[] { "8" }));
            Assert.That(Sql("SELECT id & 0xFFFFFFFFF FROM page"),
                Is.SupersetOf(new[] { "2", "7", "8", "9" }).And.SubsetOf(new[] { "2", "5", "7", "8", "9" }),
                    "they are still there for their keys, as far as one can read those");
        }
    }

    [Test]
    public async Task Whatever_bytes_a_row_has_reading_ends_and_the_others_are_there()
    {
        await KeepSevenAsync();
        using SqliteStore store = Open();
        string said = Sql("SELECT hex(said) FROM page WHERE id & 0xFFFFFFFFF = 5")[0];
        var random = new Random(7);
        for (int round = 0; round < 300; round++)
        {
            byte[] fuzzed = Convert.FromHexString(said);
            for (int i = random.Next(1, 4); i > 0; i--)
                fuzzed[random.Next(fuzzed.Length)] = (byte)random.Next(256);
            Sql($"UPDATE page SET said = CAST(x'{Convert.ToHexString(fuzzed[..random.Next(fuzzed.Length + 1)])}' AS TEXT) WHERE id & 0xFFFFFFFFF = 5");
            var seqs = new List<long>();
            for (long from = 1; from < 8;)
            {
                LogPage page = await store.ReadAsync("a", from, 8, default);
                Assert.That(page.Next, Is.GreaterThan(from));
                seqs.AddRange(page.Messages.Select(message => message.Seq));
                from = page.Next;
            }
            Assert.That(seqs, Is.Ordered.And.Unique.And.SupersetOf(new long[] { 1, 2, 6, 7 }));
        }
    }

    [Test]
    public async Task Rows_that_somebody_deleted_are_a_gap_in_the_middle_and_at_the_end()
    {
        await KeepSevenAsync();
        Sql("DELETE FROM page WHERE id & 0xFFFFFFFFF IN (5, 7)");
        using SqliteStore store = Open();
        Assert.That(await store.OpenAsync("a", default), Has.Property("Next").EqualTo(8));
        Assert.That(await ReadAsync(store, 1), Is.EqualTo("1 2 then 3"));
        Assert.That(await ReadAsync(store, 3), Is.EqualTo("then 8"));
        Assert.That(await store.SubmitAsync("a", [Draft("8")], default), Is.EqualTo(new[] { new Submission(8, false) }),
            "no number is given twice");
        Sql("DELETE FROM page WHERE id & 0xFFFFFFFFF = 8"); // under the server
        Assert.That(await ReadAsync(store, 8), Is.EqualTo("then 9"));
        Assert.That(await store.SubmitAsync("a", [Draft("9")], default), Is.EqualTo(new[] { new Submission(9, false) }));
        Assert.That(await ReadAsync(store, 1, 10), Is.EqualTo("1 2 then 3"));
        Assert.That(await ReadAsync(store, 3, 10), Is.EqualTo("9 then 10"));
    }

    [Test]
    public async Task A_room_that_somebody_deleted_is_another_log_and_its_followers_are_told()
    {
        await KeepSevenAsync();
        using SqliteStore store = Open();
        var pages = new List<LogPage>();
        await store.FollowAsync("a", pages.Add);
        Sql("DELETE FROM page; DELETE FROM room");
        Assert.That(await store.SubmitAsync("a", [Draft("new")], default), Is.EqualTo(new[] { new Submission(1, false) }));
        Assert.That(pages.Select(page => (page.Head.Next, page.Next, page.Messages.Count)),
            Is.EqualTo(new[] { (8L, 8L, 0), (1, 1, 0), (2, 2, 1) }));
        Assert.That(pages[1].Head.Epoch, Is.Not.EqualTo(pages[0].Head.Epoch).And.EqualTo(pages[2].Head.Epoch));
    }

    [Test]
    public async Task A_log_ends_before_its_rows_would_be_the_next_rooms()
    {
        using SqliteStore store = Open();
        const long LastSeq = (1L << 36) - 1;
        await store.SubmitAsync("a", [Draft("1")], default);
        await store.SubmitAsync("b", [Draft("1")], default);
        Sql($"UPDATE room SET next = {LastSeq} WHERE name = 'a'");
        Assert.That(await store.SubmitAsync("a", [Draft("2")], default), Is.EqualTo(new[] { new Submission(LastSeq, false) }));
        Assert.That(async () => await store.SubmitAsync("a", [Draft("3")], default),
            Throws.InstanceOf<StoreUnavailableException>().With.Message.Contains("is full"));
        Assert.That(await store.SubmitAsync("b", [Draft("2")], default), Is.EqualTo(new[] { new Submission(2, false) }));
        Assert.That(await ReadAsync(store, LastSeq), Is.EqualTo($"2 then {LastSeq + 1}"));
        Assert.That(Sql("SELECT text FROM message WHERE room = 'b'"), Is.EqualTo(new[] { "1", "2" }));
    }

    [Test]
    public async Task A_hash_that_two_keys_share_does_not_make_one_of_the_other()
    {
        using SqliteStore store = Open();
        await store.SubmitAsync("a", [Draft("1"), Draft("2")], default);
        string[] hashes = Sql("SELECT hash FROM key_hash ORDER BY seq");
        Sql($"UPDATE key_hash SET seq = 1 WHERE hash = {hashes[1]}");
        Assert.That(await store.SubmitAsync("a", [Draft("2")], default), Is.EqualTo(new[] { new Submission(3, false) }));
        Sql($"UPDATE key_hash SET seq = 99 WHERE hash = {hashes[0]}");
        Assert.That(await store.SubmitAsync("a", [Draft("1")], default), Is.EqualTo(new[] { new Submission(4, false) }),
            "beyond the end there is nothing");
    }

    [Test]
    public async Task A_batch_that_fails_is_refused_and_told_and_the_next_one_tries_anew()
    {
        using SqliteStore store = Open();
        await store.SubmitAsync("a", [Draft("1")], default);
        Sql("ALTER TABLE page RENAME TO hidden");
        for (int i = 0; i < 3; i++)
        {
            Assert.That(async () => await store.SubmitAsync("a", [Draft("2")], default),
                Throws.InstanceOf<StoreUnavailableException>().With.Message.Contain("no such table"));
            Assert.That(async () => await store.CheckAsync(default),
                Throws.InstanceOf<StoreUnavailableException>().With.Message.Contain("no such table"));
        }
        Sql("DROP VIEW message; ALTER TABLE hidden RENAME TO page");
        Assert.That(await store.SubmitAsync("a", [Draft("2")], default), Is.EqualTo(new[] { new Submission(2, false) }));
        await store.CheckAsync(default);
        Assert.That(_lines.All, Has.Some.Contains("no such table"));
        Assert.That(_lines.All, Has.Length.LessThan(6), "told when it changes, not each time");
    }

    [Test]
    public async Task An_exception_that_nobody_expects_costs_its_batch_and_not_the_writer()
    {
        var clock = new BrokenClock();
        using SqliteStore store = Open(clock: clock);
        await store.SubmitAsync("a", [Draft("1")], default);
        clock.IsBroken = true;
        for (int i = 0; i < 3; i++)
            Assert.That(async () => await store.SubmitAsync("a", [Draft("2")], default),
                Throws.InstanceOf<StoreUnavailableException>().With.Message.EqualTo("no time"));
        Assert.That(async () => await store.CheckAsync(default),
            Throws.InstanceOf<StoreUnavailableException>().With.Message.EqualTo("no time"));
        clock.IsBroken = false;
        Assert.That(await store.SubmitAsync("a", [Draft("2")], default), Is.EqualTo(new[] { new Submission(2, false) }));
        Assert.That(await ReadAsync(store, 1), Is.EqualTo("1 2 then 3"));
        Assert.That(_lines.All, Has.Some.Contains("unexpectedly"));
    }

    [Test]
    public async Task A_follower_that_throws_costs_nobody_anything()
    {
        using SqliteStore store = Open();
        var told = new List<long>();
        int calls = 0;
        await store.FollowAsync("a", _ => throw new InvalidOperationException($"{++calls}"));
        await store.FollowAsync("a", page => told.Add(page.Next));
        await store.SubmitAsync("a", [Draft("1")], default);
        await store.SubmitAsync("a", [Draft("2")], default);
        Assert.That((calls, told), Is.EqualTo((3, new List<long> { 1, 2, 3 })));
    }

    [Test]
    public async Task What_waits_for_the_disk_is_bounded_in_bytes_and_so_is_what_goes_there_at_once()
    {
        using SqliteStore store = Open();
        await store.SubmitAsync("a", [Draft("1")], default);
        var batches = new List<int>();
        await store.FollowAsync("a", page => batches.Add(page.Messages.Sum(message => message.Text.Length)));
        var submitted = new List<Task>();
        int refused = 0;
        using (var other = new SqliteConnection($"Data Source={_folder.File};Pooling=False"))
        {
            other.Open();
            Run(other, "BEGIN IMMEDIATE"); // the writer waits for it
            for (int i = 0; i < 75; i++)
                try
                {
                    submitted.Add(store.SubmitAsync("a", [new Draft(null, null, new byte[1 << 20])], default).AsTask());
                }
                catch (StoreUnavailableException error)
                {
                    Assert.That(error.Message, Does.Contain("wait for the disk"));
                    refused++;
                }
            Run(other, "ROLLBACK");
        }
        await Task.WhenAll(submitted).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.That(refused, Is.InRange(11, 12));
        Assert.That(batches.Sum(), Is.EqualTo(submitted.Count << 20));
        Assert.That(batches, Is.All.LessThan(6 << 20));
    }

    static Draft Draft(string text) => new(null, $"k{text}", Encoding.UTF8.GetBytes(text));

    static async Task<string> ReadAsync(SqliteStore store, long from, long to = long.MaxValue)
    {
        LogPage page = await store.ReadAsync("a", from, to, default);
        return $"{string.Join(' ', page.Messages.Select(message => Encoding.UTF8.GetString(message.Text)))} then {page.Next}".TrimStart();
    }

    string[] Sql(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.File};Pooling=False");
        connection.Open();
        return Run(connection, sql);
    }

    static string[] Run(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader rows = command.ExecuteReader();
        var all = new List<string>();
        while (rows.Read())
            all.Add($"{rows.GetValue(0)}");
        return [.. all];
    }

    sealed class BrokenClock : TimeProvider
    {
        public volatile bool IsBroken;

        public override DateTimeOffset GetUtcNow() => IsBroken ? throw new InvalidOperationException("no time") : base.GetUtcNow();
    }
}
