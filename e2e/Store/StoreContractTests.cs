using System.Text;
using ChatMinimal.E2E.Postgres;
using ChatMinimal.Postgres;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>What every store promises, asked of every store.</summary>
[TestFixture("memory"), TestFixture("sqlite"), TestFixture("postgres")]
public sealed class StoreContractTests(string kind) : IDisposable
{
    readonly ChatFolder _folder = new();
    readonly List<IDisposable> _open = [];
    string _database = "";

    [SetUp]
    public async Task CreateAsync()
    {
        if (kind == "postgres")
            _database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
    }

    public void Dispose()
    {
        foreach (IDisposable store in _open)
            store.Dispose();
        _folder.Dispose();
    }

    IMessageStore Open(int keepMessages = 100_000)
    {
        var options = new ChatOptions { Database = _folder.File, KeepMessages = keepMessages };
        IMessageStore store = kind switch
        {
            "memory" => new MemoryStore(options, TimeProvider.System),
            "sqlite" => Started.Sqlite(options),
            _ => new PostgresStore(_database, options, TimeProvider.System, NullLogger<PostgresStore>.Instance),
        };
        if (store is IDisposable disposable)
            _open.Add(disposable);
        return store;
    }

    [Test]
    public async Task Seqs_are_from_1_without_gaps_each_room_its_own()
    {
        IMessageStore store = Open();
        Assert.That(await store.OpenAsync("a", default), Has.Property("First").EqualTo(1).And.Property("Next").EqualTo(1));
        for (int i = 1; i <= 100; i++)
        {
            Assert.That(await SayAsync(store, "a", $"{i}"), Is.EqualTo(new Submission(i, false)));
            Assert.That(await SayAsync(store, "b", $"{i}"), Is.EqualTo(new Submission(i, false)));
        }
        Assert.That(await store.OpenAsync("a", default), Has.Property("First").EqualTo(1).And.Property("Next").EqualTo(101));
    }

    [Test]
    public async Task From_many_at_once_the_order_is_one_and_each_ones_own_is_kept()
    {
        IMessageStore store = Open();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(who => Task.Run(async () =>
        {
            for (int i = 0; i < 100; i++)
                await SayAsync(store, "a", $"{who}:{i}", key: $"{who}-{i}");
        })));
        List<Message> all = await AllAsync(store, "a");
        Assert.That(all.Select(message => message.Seq), Is.EqualTo(Enumerable.Range(1, 2000)));
        foreach (var own in all.Select(Text).GroupBy(text => text.Split(':')[0]))
            Assert.That(own, Is.EqualTo(Enumerable.Range(0, 100).Select(i => $"{own.Key}:{i}")));
    }

    [Test]
    public async Task What_is_read_is_what_was_said_byte_for_byte()
    {
        IMessageStore store = Open();
        string[] texts = ["", " ", "\0", "a\0b", "é😀\u2028\r\n", "\uFEFFx", new string('x', 65_536), "'; DROP TABLE message; --"];
        for (int i = 0; i < texts.Length; i++)
            await store.SubmitAsync("a",
                [new Draft(i % 2 == 0 ? "Zoé 😀" : null, i % 2 == 0 ? $"k{i}" : null, Encoding.UTF8.GetBytes(texts[i]))], default);
        List<Message> all = await AllAsync(store, "a");
        Assert.That(all.Select(Text), Is.EqualTo(texts));
        Assert.That(all.Select(message => message.Name), Is.EqualTo(texts.Select((_, i) => i % 2 == 0 ? "Zoé 😀" : null)));
        Assert.That(all.Select(message => message.Key), Is.EqualTo(texts.Select((_, i) => i % 2 == 0 ? $"k{i}" : null)));
        Assert.That(all.Select(message => message.At.Kind), Is.All.EqualTo(DateTimeKind.Utc));
        Assert.That(all[0].At, Is.EqualTo(DateTime.UtcNow).Within(TimeSpan.FromSeconds(10)));
    }

    [Test]
    public async Task A_follower_is_told_where_the_log_is_then_each_message_once_exactly_as_it_reads()
    {
        IMessageStore store = Open();
        for (int i = 1; i <= 50; i++)
            await SayAsync(store, "a", $"{i}", key: $"{i}");
        var pages = new List<LogPage>();
        IDisposable following = await store.FollowAsync("a", pages.Add);
        Assert.That(pages.Single(),
            Is.EqualTo(new LogPage(await store.OpenAsync("a", default), 51, pages[0].Messages)).And.Property("Messages").Empty);
        await Task.WhenAll(Enumerable.Range(0, 10).Select(who => Task.Run(async () =>
        {
            for (int i = 0; i < 100; i++)
                await SayAsync(store, "a", $"{who}:{i}", key: $"{who}-{i}");
        })));
        following.Dispose();
        await SayAsync(store, "a", "is not told");
        Message[] told = [.. pages.SelectMany(page => page.Messages)];
        Assert.That(told.Select(message => message.Seq), Is.EqualTo(Enumerable.Range(51, 1000)));
        Assert.That(pages[1..].Select(page => page.Next), Is.EqualTo(pages[1..].Select(page => page.Messages[^1].Seq + 1)));
        List<Message> read = await AllAsync(store, "a");
        Assert.That(told.Select(Whole), Is.EqualTo(read[50..^1].Select(Whole)));
    }

    [Test]
    public async Task A_key_with_another_text_is_taken_and_where_its_text_is_gone_it_is_known()
    {
        IMessageStore store = Open(keepMessages: 2);
        await SayAsync(store, "a", "first", key: "k");
        Assert.That(await SayAsync(store, "a", "first", key: "k"), Is.EqualTo(new Submission(1, WasKnown: true)));
        Assert.That(await SayAsync(store, "a", "other", key: "k"), Is.EqualTo(new Submission(1, WasKnown: true, IsTaken: true)));
        Submission[] atOnce =
            await store.SubmitAsync("a",
                [new(null, "x", "1"u8.ToArray()), new(null, "x", "2"u8.ToArray()), new(null, "x", "1"u8.ToArray())], default);
        Assert.That(atOnce, Is.EqualTo(new Submission[] { new(2, false), new(2, true, true), new(2, true) }));
        for (int i = 0; i < 300; i++)
            await SayAsync(store, "a", $"{i}");
        Assert.That(await SayAsync(store, "a", "other", key: "k"), Is.EqualTo(new Submission(1, WasKnown: true)),
            "there is no text to compare");
    }

    [Test, NonParallelizable] // measures the heap
    public async Task Whoever_only_asks_for_rooms_leaves_nothing_behind()
    {
        IMessageStore store = Open();
        await SayAsync(store, "a", "first");
        long before = 0;
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < (kind == "postgres" ? 500 : 5000); i++)
            {
                string room = $"nobody-{round}-{i}";
                await store.OpenAsync(room, default);
                await store.ReadAsync(room, 1, 10, default);
                (await store.FollowAsync(room, _ => { })).Dispose();
            }
            long now = GC.GetTotalMemory(forceFullCollection: true);
            if (round > 0) // else it is what every start costs
                Assert.That(now - before, Is.LessThan(500_000), "less than 100 bytes a room");
            before = now;
        }
    }

    [Test]
    public async Task A_key_is_in_the_log_once_and_its_seq_is_told_again()
    {
        IMessageStore store = Open();
        await SayAsync(store, "a", "before");
        Submission[] answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => SayAsync(store, "a", $"try {i}", key: "same")));
        Assert.That(answers.Select(answer => answer.Seq), Is.All.EqualTo(2));
        Assert.That(answers.Count(answer => !answer.WasKnown), Is.EqualTo(1));
        Assert.That(await SayAsync(store, "b", "another room", key: "same"), Is.EqualTo(new Submission(1, false)));
        Assert.That(await SayAsync(store, "a", "after"), Is.EqualTo(new Submission(3, false)));
        Assert.That((await AllAsync(store, "a")).Count, Is.EqualTo(3));
    }

    [Test]
    public async Task Only_so_many_messages_are_kept_and_their_keys_are_known_for_longer()
    {
        IMessageStore store = Open(keepMessages: 10);
        for (int i = 1; i <= 1000; i++)
            await SayAsync(store, "a", $"{i}", key: i % 2 == 0 ? $"k{i}" : null);
        Assert.That(await store.OpenAsync("a", default), Has.Property("First").EqualTo(991).And.Property("Next").EqualTo(1001));
        LogPage page = await store.ReadAsync("a", 1, 1001, default);
        Assert.That(page.Head.First, Is.EqualTo(991));
        Assert.That(page.Messages.Select(message => message.Seq), Is.EqualTo(Enumerable.Range(991, 10)));
        Assert.That(await SayAsync(store, "a", "again", key: "k2"), Is.EqualTo(new Submission(2, true)));
        Assert.That((await store.ReadAsync("a", 995, 997, default)).Messages.Select(message => message.Seq),
            Is.EqualTo(new[] { 995, 996 }));
        Assert.That((await store.ReadAsync("a", 1001, 1010, default)).Messages, Is.Empty);
    }

    [Test]
    public async Task In_time_a_key_is_forgotten_too_and_takes_no_room()
    {
        IMessageStore store = Open(keepMessages: 10);
        await SayAsync(store, "a", "first", key: "first");
        for (int unit = 0; unit < 400; unit++) // every other unit is of plain clients, who have no keys; a comma and a quote look like one
            await store.SubmitAsync("a",
                [.. Enumerable.Range(0, 256)
                    .Select(i => new Draft(null, unit % 2 == 0 ? $"{unit}-{i}" : null, Encoding.UTF8.GetBytes(",\"")))], default);
        Assert.That((await SayAsync(store, "a", "again", key: "200-7")).WasKnown, "of which a hundred thousand are not yet over");
        if (kind == "memory")
            return; // counts keys, not messages
        Assert.That((await SayAsync(store, "a", "again", key: "first")).WasKnown, Is.False);
        if (kind == "postgres")
        {
            Assert.That(await PostgresServer.ExecuteAsync(_database, "SELECT count(*) FROM chat.key"),
                Is.InRange(100_000, 100_000 + 16_384 + 256), "each has one, the server's own or the client's");
            Assert.That(await PostgresServer.ExecuteAsync(_database, "SELECT count(*) FROM chat.page"), Is.InRange(1, 3),
                "messages go, whoever still knows their keys");
            return;
        }
        using var file = new SqliteConnection($"Data Source={_folder.File};Mode=ReadOnly;Pooling=False");
        file.Open();
        Assert.That(Ask("SELECT count(*) FROM key_hash"), Is.InRange(49_900, 50_700));
        Assert.That(Ask("SELECT count(*) FROM page WHERE id & 0xFFFFFFFFF < 102000"), Is.InRange(190, 210),
            "those without keys went with their messages");
        Assert.That(Ask("SELECT count(*) FROM message"), Is.InRange(10, 10 + 256));

        long Ask(string sql)
        {
            using SqliteCommand command = file.CreateCommand();
            command.CommandText = sql;
            return (long)command.ExecuteScalar()!;
        }
    }

    [Test]
    public async Task What_is_submitted_at_once_stays_together_and_a_key_counts_from_the_first()
    {
        IMessageStore store = Open();
        Submission[][] answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(who => Task.Run(async () =>
            await store.SubmitAsync("a",
                [.. Enumerable.Range(0, 600)
                    .Select(i => new Draft(null, i % 3 == 0 ? $"{who}-{i % 50}" : null, Encoding.UTF8.GetBytes($"{who}:{i}")))],
                        default))));
        List<Message> all = await AllAsync(store, "a");
        Assert.That(all.Select(message => message.Seq), Is.EqualTo(Enumerable.Range(1, all.Count)));
        for (int who = 0; who < 20; who++)
        {
            long[] added = [.. answers[who].Where(answer => !answer.WasKnown).Select(answer => answer.Seq)];
            Assert.That(added, Is.EqualTo(Enumerable.Range((int)added[0], added.Length)));
            for (int i = 0; i < 600; i++)
            {
                Message message = all[(int)answers[who][i].Seq - 1];
                Assert.That(answers[who][i].WasKnown ? message.Key : Text(message),
                    Is.EqualTo(answers[who][i].WasKnown ? $"{who}-{i % 50}" : $"{who}:{i}"));
            }
            Assert.That(added, Has.Length.EqualTo(400 + 50), "400 have no key, the others 50 between them");
        }
    }

    [Test]
    public async Task Nothing_is_in_a_room_that_nobody_spoke_in()
    {
        IMessageStore store = Open();
        Assert.That((await store.ReadAsync("nobody", 1, 10, default)).Messages, Is.Empty);
        LogHead head = await store.OpenAsync("nobody", default);
        await SayAsync(store, "nobody", "first");
        Assert.That((await store.OpenAsync("nobody", default)).Epoch, Is.EqualTo(head.Epoch),
            "who came before the first message is in the same log");
    }

    static async Task<Submission> SayAsync(IMessageStore store, string room, string text, string? name = null, string? key = null) =>
        (await store.SubmitAsync(room, [new Draft(name, key, Encoding.UTF8.GetBytes(text))], default))[0];

    static async Task<List<Message>> AllAsync(IMessageStore store, string room)
    {
        var all = new List<Message>();
        while (await store.ReadAsync(room, all.Count + 1, long.MaxValue, default) is { Messages: [_, ..] page })
            all.AddRange(page);
        return all;
    }

    static string Text(Message message) => Encoding.UTF8.GetString(message.Text);

    static string Whole(Message message) => $"{message.Seq} {message.At:O} {message.Name} {message.Key} {Text(message)}";
}
