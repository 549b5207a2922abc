using System.Net;
using System.Text.Json.Nodes;
using Npgsql;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>
/// Whatever happens to the database: nothing is acknowledged that is not there afterwards, what cannot be committed is refused, and the
/// same words said again are in the log once.
/// </summary>
[Platform(Exclude = "Win", Reason = "signals")]
public sealed class DatabaseFaultTests
{
    [Test]
    public async Task Down_at_start_the_server_starts_says_so_and_goes_on_when_it_is_up()
    {
        int port = PostgresServer.FreePort();
        using var process = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0",
            "--ConnectionStrings:Chat", $"Host=127.0.0.1;Port={port};Username=postgres;Database=postgres");
        Assert.That(await process.ReadUntilAsync("cannot be stored"), Does.Contain($"database postgres at 127.0.0.1: Connection refused"));
        using var http = new HttpClient
        {
            BaseAddress =
            new Uri("http" + (await process.ReadUntilAsync("démarré sur ws")).Split("sur ws")[1])
        };
        Assert.That((await http.GetAsync("/readyz")).StatusCode, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That((await http.GetAsync("/healthz")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        using (HttpResponseMessage posted = await http.PostAsync("/messages", new StringContent("too early")))
            Assert.That(posted.StatusCode, Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        await using PostgresServer postgres = await PostgresServer.StartAsync(port: port);
        await process.ReadUntilAsync("can be stored again");
        using (HttpResponseMessage posted = await http.PostAsync("/messages", new StringContent("now")))
            Assert.That(posted.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        process.Signal("TERM");
        await process.EndAsync();
    }

    [Test]
    public async Task Restarted_killed_and_cut_off_it_loses_nothing_and_nothing_is_said_twice()
    {
        await using PostgresServer postgres = await PostgresServer.StartAsync();
        PostgresServer running = postgres;
        string database = await postgres.CreateAsync();
        using ChatServer a = Servers.StartImpatient(database), b = Servers.StartImpatient(database);
        using Peer chat = await Peer.ChatAsync(a, "last=0"), other = await Peer.ChatAsync(b, "last=0");
        var said = new List<string>();
        foreach (string what in (string[])["terminated", "restarted", "killed", "terminated"])
        {
            using Peer plain = await PlainAsync(a);
            string text = $"{what}-{said.Count}";
            await chat.SayAsync(text, text);
            await plain.SayAsync($"plain {text}");
            switch (what)
            {
                case "terminated":
                    await PostgresServer.ExecuteAsync(postgres.Connection("postgres"),
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'chatminimal'");
                    break;
                case "restarted":
                    await running.StopAsync();
                    running = await PostgresServer.StartAsync(postgres.Folder, postgres.Port);
                    break;
                default:
                    await running.KillAsync();
                    running = await PostgresServer.StartAsync(postgres.Folder, postgres.Port);
                    break;
            }
            await chat.SayUntilReceivedAsync(text, text);
            said.Add(text);
            if (await ReceivesAsync(plain, $"Message d'un client : plain {text}")) // else its patience was over, of which it was told
                said.Add($"plain {text}");
        }
        List<string> kept = await a.TextsAsync();
        Assert.That(kept, Is.Unique);
        Assert.That(kept, Is.SupersetOf(said));
        Assert.That(await other.ReceiveTextsAsync(kept.Count), Is.EqualTo(kept));
        await running.StopAsync();
    }

    [Test]
    public async Task Restarted_empty_it_is_another_log_told_as_such()
    {
        await using PostgresServer postgres = await PostgresServer.StartAsync();
        string database = await postgres.CreateAsync();
        using ChatServer a = Servers.StartImpatient(database), b = Servers.StartImpatient(database);
        using Peer chat = await Peer.ChatAsync(a, "last=0"), other = await Peer.ChatAsync(b, "last=0");
        await chat.SayUntilReceivedAsync("before", "before");
        await other.ReceiveTextsAsync(1);
        string epoch = other.Epoch;
        await PostgresServer.ExecuteAsync(database, "DROP SCHEMA chat CASCADE");
        await chat.SayUntilReceivedAsync("after", "after");
        Assert.That((string)(await other.ReceiveAsync("hello"))["epoch"]!, Is.Not.EqualTo(epoch));
        Assert.That(await other.ReceiveTextsAsync(1), Is.EqualTo(new[] { "after" }));
        Assert.That(await b.TextsAsync(), Is.EqualTo(new[] { "after" }));
    }

    [Test]
    public async Task Paused_it_is_waited_for_a_while_then_refused_and_what_was_on_its_way_is_there_once()
    {
        await using PostgresServer postgres = await PostgresServer.StartAsync();
        using ChatServer server = Servers.StartImpatient(await postgres.CreateAsync());
        await RefusesThenRecoversAsync(server, () => postgres.SignalAll("STOP"), () => postgres.SignalAll("CONT"), isReadable: false);
    }

    [Test]
    public async Task With_no_connection_left_messages_are_refused_until_there_is_one()
    {
        await using PostgresServer postgres =
            await PostgresServer.StartAsync(settings: ["max_connections=12", "superuser_reserved_connections=0"]);
        string database = await postgres.CreateAsync();
        using ChatServer server = Servers.StartImpatient(database);
        var hogs = new List<NpgsqlConnection>();
        await RefusesThenRecoversAsync(server, () =>
        {
            // Whatever place becomes free is taken at once.
            Terminate(postgres);
            for (int missed = 0; missed < 50 && hogs.Count < 12;)
            {
                var hog = new NpgsqlConnection($"{database};Pooling=False;Application Name=hog");
                try
                {
                    hog.Open();
                    hogs.Add(hog);
                    Terminate(postgres, hogs[0]);
                }
                catch (NpgsqlException)
                {
                    missed++;
                    hog.Dispose();
                    if (hogs.Count > 0)
                        Terminate(postgres, hogs[0]);
                }
            }
        }, () => hogs.ForEach(hog => hog.Dispose()), isReadable: false);

        static void Terminate(PostgresServer postgres, NpgsqlConnection? by = null)
        {
            const string sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'chatminimal'";
            if (by is null)
            {
                PostgresServer.ExecuteAsync(postgres.Connection("postgres"), sql).Wait();
                return;
            }
            using NpgsqlCommand command = by.CreateCommand();
            command.CommandText = sql;
            command.ExecuteScalar();
        }
    }

    [Test]
    public async Task Read_only_it_is_read_and_messages_are_refused()
    {
        PostgresServer postgres = await PostgresServer.SharedAsync();
        string database = await postgres.CreateAsync();
        string name = new NpgsqlConnectionStringBuilder(database).Database!;
        using ChatServer server = Servers.StartImpatient(database);
        await RefusesThenRecoversAsync(server, () => Set("on"), () => Set("off"), isReadable: true);

        void Set(string value)
        {
            PostgresServer.ExecuteAsync(postgres.Connection("postgres"),
                $"ALTER DATABASE {name} SET default_transaction_read_only = {value}").Wait();
            PostgresServer.ExecuteAsync(postgres.Connection("postgres"),
                $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'").Wait();
        }
    }

    // A disk of a few megabytes, which only root can mount.
    [Test, Explicit("mounts a file system")]
    public async Task With_its_disk_full_messages_are_refused_until_there_is_space()
    {
        string folder = Directory.CreateTempSubdirectory("chatminimal-disk-").FullName;
        await PostgresServer.RunAsync("mount", ["-t", "tmpfs", "-o", "size=128m", "tmpfs", folder]);
        try
        {
            await using PostgresServer postgres = await PostgresServer.StartOnAsync(folder);
            using ChatServer server = Servers.StartImpatient(await postgres.CreateAsync());
            using Peer chat = await Peer.ChatAsync(server, "last=0");
            string filler = Path.Combine(folder, "filler");
            await chat.SayUntilReceivedAsync("before", "before");
            Fill(filler);
            var acknowledged = new List<string> { "before" };
            string? refused = null;
            for (int i = 0; refused is null; i++) // until what was allocated before is used up, too
            {
                string text = $"{i} {new string('x', 60_000)}";
                await chat.SayAsync($"k{i}", text);
                JsonObject said = await chat.ReceiveAsync(TimeSpan.FromMinutes(1), "message", "refused");
                if ((string)said["type"]! == "message")
                    acknowledged.Add(text);
                else
                    refused = text;
                Assert.That((string?)said["reason"], Is.EqualTo(refused is null ? null : "store_unavailable"));
            }
            File.Delete(filler);
            await server.IsReadyAsync();
            await chat.SayUntilReceivedAsync($"k{refused.Split(' ')[0]}", refused);
            Assert.That(await server.TextsAsync(), Is.EqualTo((string[])[.. acknowledged, refused]), "all that was acknowledged, once");
        }
        finally
        {
            await PostgresServer.RunAsync("umount", ["-l", folder]);
            Directory.Delete(folder);
        }

        static void Fill(string path)
        {
            using FileStream file = File.Create(path);
            try
            {
                while (true)
                    file.Write(new byte[4096]);
            }
            catch (IOException) { } // it is full
        }
    }

    [Test]
    public async Task A_lock_on_one_rooms_row_is_a_trouble_of_that_room_alone()
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync();
        using ChatServer server = Servers.StartImpatient(database);
        using Peer locked = await Peer.ChatAsync(server, "room=locked&last=0"), free = await Peer.ChatAsync(server, "room=free&last=0");
        await locked.SayUntilReceivedAsync("first", "first");
        await using (var somebody = new NpgsqlConnection(database))
        {
            await somebody.OpenAsync();
            await using NpgsqlTransaction transaction = await somebody.BeginTransactionAsync();
            await using (var take = new NpgsqlCommand("SELECT FROM chat.room WHERE name = 'locked' FOR UPDATE", somebody, transaction))
                await take.ExecuteNonQueryAsync();
            await locked.SayAsync("second", "second");
            Assert.That((string)(await locked.ReceiveAsync("refused"))["reason"]!, Is.EqualTo("store_unavailable"));
            Assert.That(await free.SayUntilReceivedAsync("k", "meanwhile"), Is.EqualTo(1)); // a slow disk may refuse it once
            await server.IsReadyAsync();
        }
        Assert.That(await locked.SayUntilReceivedAsync("second", "second"), Is.EqualTo(2));
    }

    [Test]
    public async Task With_the_listening_connection_lost_alone_news_are_late_and_nothing_else()
    {
        PostgresServer postgres = await PostgresServer.SharedAsync();
        string database = await postgres.CreateAsync(isHasty: true);
        string name = new NpgsqlConnectionStringBuilder(database).Database!;
        using ChatServer a = Servers.StartImpatient(database), b = Servers.StartImpatient(database);
        using Peer here = await Peer.ChatAsync(a, "last=0"), there = await Peer.ChatAsync(b, "last=0");
        for (int i = 0; i < 20; i++)
        {
            await PostgresServer.ExecuteAsync(postgres.Connection("postgres"),
                $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE 'LISTEN%'");
            await here.SayUntilReceivedAsync($"{i}", $"{i}");
            Assert.That(await there.ReceiveTextsAsync(1), Is.EqualTo(new[] { $"{i}" }));
        }
    }

    [Test]
    public async Task An_older_backup_restored_under_the_servers_is_another_log_even_when_filled_again()
    {
        await using PostgresServer postgres = await PostgresServer.StartAsync();
        string database = await postgres.CreateAsync();
        using ChatServer a = Servers.StartImpatient(database), b = Servers.StartImpatient(database);
        using Peer chat = await Peer.ChatAsync(a, "last=0"), other = await Peer.ChatAsync(b, "last=0");
        for (int i = 1; i <= 3; i++)
            await chat.SayUntilReceivedAsync($"{i}", $"{i}");
        string backup = await postgres.BackUpAsync();
        for (int i = 4; i <= 6; i++)
            await chat.SayUntilReceivedAsync($"{i}", $"{i}");
        await other.ReceiveTextsAsync(6);
        string epoch = other.Epoch;
        await postgres.StopAsync();
        await using PostgresServer restored = await PostgresServer.StartAsync(backup, postgres.Port);
        // Somebody who knows nothing of what was there fills it past where it was, before the others look.
        await PostgresServer.ExecuteAsync(database, "SELECT count(*) FROM generate_series(1, 5) AS i, chat.submit('salon', '', 1, NULL, '', ARRAY['f' || i], ARRAY[1], ARRAY['[[\"f' || i || '\"]]'], 100, '1s')");
        JsonObject hello = await other.ReceiveAsync(TimeSpan.FromMinutes(1), "hello");
        Assert.That((string)hello["epoch"]!, Is.Not.EqualTo(epoch));
        Assert.That(await other.ReceiveTextsAsync(8), Is.EqualTo(new[] { "1", "2", "3", "f1", "f2", "f3", "f4", "f5" }));
        Assert.That((string)(await chat.ReceiveAsync(TimeSpan.FromMinutes(1), "hello"))["epoch"]!, Is.EqualTo((string)hello["epoch"]!),
            "one other log");
        await other.SayUntilReceivedAsync("4", "4"); // not there any more
        Assert.That((await a.TextsAsync())[^1], Is.EqualTo("4"));
    }

    // A database that has just come back has been noticed once one can come in.
    static async Task<Peer> PlainAsync(ChatServer server)
    {
        await server.IsReadyAsync();
        return await Peer.PlainAsync(server);
    }

    // False: it was closed before, with the code that says so.
    static async Task<bool> ReceivesAsync(Peer plain, string text)
    {
        string? heard;
        do
            heard = await plain.ReceiveAsync(TimeSpan.FromMinutes(1));
        while (heard is not null && heard != text);
        Assert.That(plain.CloseStatus, Is.EqualTo(heard is null ? (System.Net.WebSockets.WebSocketCloseStatus)1013 : null));
        return heard is not null;
    }

    static async Task RefusesThenRecoversAsync(ChatServer server, Action begin, Action end, bool isReadable)
    {
        using Peer chat = await Peer.ChatAsync(server, "last=0"), plain = await Peer.PlainAsync(server);
        await chat.SayUntilReceivedAsync("before", "before");
        Assert.That(await plain.ReceiveAsync(), Is.EqualTo("Message d'un client : before"));
        begin();
        await chat.SayAsync("during", "during");
        Assert.That((string)(await chat.ReceiveAsync(TimeSpan.FromMinutes(1), "refused"))["reason"]!, Is.EqualTo("store_unavailable"));
        await plain.SayAsync("patient"); // is not answered: it waits
        await server.IsReadyAsync(isReady: false);
        Assert.That(await server.StatusAsync("/healthz"), Is.EqualTo(HttpStatusCode.OK));
        if (isReadable)
            Assert.That(await server.TextsAsync(), Is.EqualTo(new[] { "before" }));
        end();
        await server.IsReadyAsync();
        await chat.SayUntilReceivedAsync("during", "during");
        bool isPatient = await ReceivesAsync(plain, "Message d'un client : patient"); // within ten seconds
        List<string> kept = await server.TextsAsync();
        Assert.That(kept, Is.Unique);
        Assert.That(kept.Where(text => text != "patient"), Is.EqualTo(new[] { "before", "during" }));
        Assert.That(kept.Contains("patient") || !isPatient);
    }
}
