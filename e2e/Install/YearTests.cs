using ChatMinimal.Client;
using Microsoft.Data.Sqlite;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>A year in the life of a chat: an update, a backup, a catastrophe, a restore. Nobody misses a word without being told.</summary>
public sealed class YearTests
{
    const int People = 30;

    // As the first version made it.
    const string FirstVersion =
        """
        CREATE TABLE room (name TEXT NOT NULL PRIMARY KEY, epoch TEXT NOT NULL, first INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE page (room TEXT NOT NULL, last INTEGER NOT NULL, at TEXT NOT NULL, said TEXT NOT NULL, PRIMARY KEY (room, last)) WITHOUT ROWID;
        CREATE VIEW message AS
          SELECT room.name AS room, last - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.room = room.name JOIN json_each(said) AS each
          WHERE last - json_array_length(said) + 1 + each.key >= first;
        CREATE TABLE key_hash (hash INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
        CREATE TABLE state (is_open INTEGER NOT NULL);
        INSERT INTO state VALUES (0);
        PRAGMA application_id = 0x43684D6E;
        PRAGMA user_version = 1;
        INSERT INTO room VALUES ('salon', 'ours', 1);
        INSERT INTO page VALUES ('salon', 2, '2001-02-03T10:00:00.000Z', '[["the first","Zoé","k1"],["the second"]]');
        """;

    [Test]
    public async Task An_update_a_backup_while_thirty_talk_a_catastrophe_a_restore()
    {
        using var folder = new ChatFolder();
        string backup = folder.File + ".backup";
        using (var connection = new SqliteConnection($"Data Source={folder.File};Pooling=False"))
        {
            connection.Open();
            using SqliteCommand create = connection.CreateCommand();
            create.CommandText = FirstVersion;
            create.ExecuteNonQuery();
        }

        // The update: this version starts on that file.
        BuiltProcess server = Start(folder, "http://127.0.0.1:0");
        var address = new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]);
        server.Ignore();
        Person[] people = [.. Enumerable.Range(0, People).Select(i => new Person(address, $"person {i}"))];
        await Task.WhenAll(people.Select(person => person.SayAsync("before the backup")));

        // The backup, while they talk.
        using var enough = new CancellationTokenSource();
        var talking = Task.WhenAll(people.Select(async person =>
        {
            while (!enough.IsCancellationRequested)
                await person.SayAsync("during the backup");
        }));
        using (var copy = BuiltProcess.Server("Production", "backup", backup, "--Chat:Database", folder.File))
        {
            (int code, _, string error) = await copy.EndAsync();
            Assert.That((code, error), Is.EqualTo((0, "")));
        }
        await enough.CancelAsync();
        await talking;
        await Task.WhenAll(people.Select(person => person.SayAsync("after the backup")));
        string[] before = await AllAsync(address);
        Assert.That(before[..2], Is.EqualTo(new[] { "the first", "the second" }), "the first version's are there");

        // The catastrophe: the process is killed, and the file overwritten. It does not start, and says why.
        server.Kill();
        await server.ExitAsync();
        server.Dispose();
        await File.WriteAllTextAsync(folder.File, "not a database any more, but for its name; and longer than a page's head");
        using (BuiltProcess broken = Start(folder, address.OriginalString))
            Assert.That((await broken.EndAsync()).Error, Does.Match($@"^chatminimal: .*cannot be used: .*\n$"));
        Task<long>[] meanwhile = [.. people.Select(person => person.SayAsync("while it was down"))];

        // The restore, and on.
        using (var restore = BuiltProcess.Server("Production", "restore", backup, "--Chat:Database", folder.File))
            Assert.That((await restore.EndAsync()).Code, Is.Zero);
        Assert.That(File.Exists(folder.File + "-replaced"), "what was there is put aside");
        server = Start(folder, address.OriginalString);
        await server.ReadUntilAsync("Page: ");
        server.Ignore();
        await Task.WhenAll(meanwhile);
        await Task.WhenAll(people.Select(person => person.SayAsync("after the restore")));

        string[] all = await AllAsync(address);
        foreach (Person person in people)
            await person.EndAsync(all.Length);
        Assert.That(all[..2], Is.EqualTo(new[] { "the first", "the second" }));
        Assert.That(all, Is.Unique, "nobody's was said twice");
        Assert.That(all.Count(text => text.EndsWith("while it was down", StringComparison.Ordinal)), Is.EqualTo(People));
        Assert.That(all.Count(text => text.EndsWith("after the restore", StringComparison.Ordinal)), Is.EqualTo(People));
        foreach (Person person in people)
        {
            // Before: all there was from its first message to its last. After: it was told that the log is another, and reads that one to
            // its end.
            Assert.That(person.Before, Is.EqualTo(before.SkipWhile(text => text != person.Before[0]).Take(person.Before.Count)),
                person.Name);
            Assert.That(person.WasTold, Is.True, person.Name);
            Assert.That(person.Connections, Is.EqualTo(2), "nobody had to come again but for the catastrophe");
            Assert.That(person.After, Is.EqualTo(all[^person.After.Count..]), person.Name);
        }
        await server.StopAsync();
        server.Dispose();
    }

    static BuiltProcess Start(ChatFolder folder, string address) =>
        BuiltProcess.Server("Production", "--urls", address, "--Chat:Database", folder.File, "--Chat:MessagesPerSecond=0");

    static async Task<string[]> AllAsync(Uri address)
    {
        // Everything up to a last word of the test's own.
        var reader = new ChatClient(new Uri(address, "?last=1000000"));
        long seq = 0;
        Task<long> last = reader.SayAsync($"now {Guid.NewGuid()}");
        var texts = new List<string>();
        await foreach (Client.Message message in reader.ReadAsync(TestContext.CurrentContext.CancellationToken))
        {
            texts.Add(message.Text);
            if (last.IsCompletedSuccessfully && message.Seq >= (seq = await last))
                break;
        }
        Assert.That(texts, Has.Count.EqualTo(seq), "no hole");
        return [.. texts];
    }

    /// <summary>One of the thirty: says what it is told to, each time differently, and remembers what it has read.</summary>
    sealed class Person
    {
        readonly ChatClient _chat;
        readonly TaskCompletionSource _readAll = new(TaskCreationOptions.RunContinuationsAsynchronously);
        readonly Task _life;
        int _said;
        int _until = int.MaxValue;
        long _seq;

        public Person(Uri address, string name)
        {
            Name = name;
            _chat = new ChatClient(address, name: name);
            _chat.Noted += note =>
            {
                WasTold |= note is ChatNote.StartedAfresh;
                if (note is ChatNote.Connected)
                    Connections++;
            };
            _life = Task.Run(LiveAsync);
        }

        public string Name { get; }
        public List<string> Before { get; } = [];
        public List<string> After { get; } = [];
        public bool WasTold { get; private set; }
        public int Connections { get; private set; }

        public Task<long> SayAsync(string text) =>
            _chat.SayAsync($"{Name}, {Interlocked.Increment(ref _said)}, {text}").WhileAsync(_life);

        async Task LiveAsync()
        {
            await foreach (Client.Message message in _chat.ReadAsync(TestContext.CurrentContext.CancellationToken))
            {
                (WasTold ? After : Before).Add(message.Text);
                Interlocked.Exchange(ref _seq, message.Seq); // a fence, as below: one of the two sees the other
                if (WasTold && message.Seq >= Volatile.Read(ref _until))
                    _readAll.TrySetResult();
            }
        }

        /// <summary>Reads as far as this seq, and leaves.</summary>
        public async Task EndAsync(int seq)
        {
            Interlocked.Exchange(ref _until, seq);
            if (Volatile.Read(ref _seq) < seq)
                await _readAll.Task.WaitAsync(TestContext.CurrentContext.CancellationToken);
            _chat.Complete();
            await _life;
        }
    }
}
