using System.Net;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>Several servers on one database are one chat: whoever is at which of them sees and does the same.</summary>
public sealed class ServersTests
{
    [Test]
    public async Task What_is_said_at_any_server_is_heard_at_all_of_them_in_one_order()
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
        using ChatServer a = Servers.Start(database), b = Servers.Start(database), c = Servers.Start(database);
        ChatServer[] servers = [a, b, c];
        Peer[] chats = await Task.WhenAll(servers.Select(server => Peer.ChatAsync(server, "last=0")));
        Peer[] plains = await Task.WhenAll(servers.Select(server => Peer.PlainAsync(server)));
        const int each = 30;
        await Task.WhenAll(chats.Select(async (peer, who) =>
        {
            for (int i = 0; i < each; i++)
                await peer.SayAsync($"{who}-{i}", $"chat {who}:{i}");
        }).Concat(plains.Select(async (peer, who) =>
        {
            for (int i = 0; i < each; i++)
                await peer.SayAsync($"plain {who}:{i}");
        })));
        List<string>[] heard = await Task.WhenAll(chats.Select(peer => peer.ReceiveTextsAsync(6 * each)));
        List<string>[] heardPlain = await Task.WhenAll(plains.Select(peer => peer.ReceiveTextsAsync(6 * each, plain: true)));
        foreach (List<string> texts in heard)
            Assert.That(texts, Is.EqualTo(heard[0]));
        foreach (List<string> texts in heardPlain)
            Assert.That(texts.Select(text => text["Message d'un client : ".Length..]), Is.EqualTo(heard[0]));
        Assert.That(heard[0], Is.Unique);
        foreach (var own in heard[0].GroupBy(text => text.Split(':')[0]))
            Assert.That(own.Select(text => text.Split(':')[1]), Is.EqualTo(Enumerable.Range(0, each).Select(i => $"{i}")), own.Key);
        foreach (ChatServer server in servers)
            Assert.That(await server.TextsAsync(), Is.EqualTo(heard[0]));
        foreach (Peer peer in (Peer[])[.. chats, .. plains])
            peer.Dispose();
    }

    [Test]
    public async Task A_client_resumes_at_any_server_even_one_that_lags()
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
        using ChatServer a = Servers.Start(database), b = Servers.Start(database);
        using Peer here = await Peer.ChatAsync(a, "last=0"), there = await Peer.ChatAsync(b, "last=0");
        for (int i = 1; i <= 50; i++)
        {
            await here.SayAsync($"k{i}", $"{i}");
            JsonObject seen = await here.ReceiveMessageAsync();
            // At once: the other server may not have heard of it yet.
            using Peer resumed = await Peer.ChatAsync(b, $"epoch={here.Epoch}&after={seen["seq"]}&at={seen["at"]}");
            JsonObject hello = await resumed.ReceiveAsync("hello");
            Assert.That(((bool?)hello["resumed"], (long)hello["next"]!), Is.EqualTo((true, i + 1L)));
            await resumed.SayAsync($"k{i}", $"{i}");
            Assert.That((long)(await resumed.ReceiveAsync("logged"))["seq"]!, Is.EqualTo(i), "said again elsewhere it is there once");
        }
        Assert.That(await there.ReceiveTextsAsync(50), Is.EqualTo(Enumerable.Range(1, 50).Select(i => $"{i}")));
        await here.SayAsync("k1", "another text");
        Assert.That((string)(await here.ReceiveAsync("refused"))["reason"]!, Is.EqualTo("key_taken"));
    }

    [Test]
    public async Task A_plain_client_that_changes_servers_receives_nothing_twice_and_misses_nothing()
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
        using ChatServer a = Servers.Start(database), b = Servers.Start(database);
        using Peer here = await Peer.ChatAsync(a, "last=0"), there = await Peer.ChatAsync(b, "last=0"); // both have the room open
        for (int i = 1; i <= 50; i++)
        {
            await here.SayAsync($"before-{i}", $"before {i}");
            await here.ReceiveMessageAsync();
            using Peer plain = await Peer.PlainAsync(b); // which may not have heard of it yet
            await here.SayAsync($"after-{i}", $"after {i}");
            await here.ReceiveMessageAsync();
            Assert.That(await plain.ReceiveAsync(), Is.EqualTo($"Message d'un client : after {i}"));
        }
        Assert.That(await there.ReceiveTextsAsync(100), Is.Unique);
    }

    [Test]
    public async Task Event_streams_and_GET_see_the_same_log_and_POST_adds_to_it()
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
        using ChatServer a = Servers.Start(database), b = Servers.Start(database);
        using var http = new HttpClient { BaseAddress = a.Http };
        using var other = new HttpClient { BaseAddress = b.Http };
        using var events = new StreamReader(await other.GetStreamAsync("/events?last=0"));
        using HttpResponseMessage posted = await http.PostAsync("/messages?name=Ana", new StringContent("posted"));
        Assert.That(posted.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        using CancellationTokenSource limit = Rig.Patience();
        string? line;
        do
            line = await events.ReadLineAsync(limit.Token);
        while (line?.StartsWith("data: ", StringComparison.Ordinal) == false);
        Assert.That((string)JsonNode.Parse(line![6..])!["text"]!, Is.EqualTo("posted"));
        Assert.That(await b.GetAsync("/messages"), Is.EqualTo(await a.GetAsync("/messages")));
    }

    [Test]
    public async Task Presence_and_typing_are_the_rooms_over_all_servers_and_a_dead_server_is_forgotten()
    {
        PostgresServer postgres = await PostgresServer.SharedAsync();
        string database = await postgres.CreateAsync(isHasty: true);
        using ChatServer a = Servers.Start(database);
        using var process = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--ConnectionStrings:Chat", database);
        var address = new Uri("ws" + (await process.ReadUntilAsync("démarré sur ws")).Split("sur ws")[1]);
        process.Ignore();
        using Peer ana = await Peer.ChatAsync(a, "name=Ana");
        using (Peer bob = await Peer.ConnectAsync(new Uri(address, "/ws"), "chat.v1", "name=Bob"))
        {
            await IsThereAsync(ana, ["Ana", "Bob"]);
            await IsThereAsync(bob, ["Ana", "Bob"]);
            using (Peer late = await Peer.ChatAsync(a, "name=Late"))
                Assert.That((int)(await late.ReceiveAsync("hello"))["online"]!, Is.EqualTo(3));
            JsonObject? typing = null;
            using CancellationTokenSource limit = Rig.Patience();
            while (typing is null) // which may be lost
            {
                await bob.SayAsync("""{"type":"typing"}""");
                await bob.SayAsync("""{"type":"nothing"}""");
                await bob.ReceiveAsync("refused");
                limit.Token.ThrowIfCancellationRequested();
                typing = await TypingAsync(ana);
            }
            Assert.That((string)typing["name"]!, Is.EqualTo("Bob"));
            process.Kill();
            await process.ExitAsync();
        }
        // A quarter of a minute, at once.
        await PostgresServer.ExecuteAsync(database, "UPDATE chat.presence SET seen = seen - interval '16 s' WHERE names LIKE '%Bob%'");
        await IsThereAsync(ana, ["Ana"]);

        static async Task<JsonObject?> TypingAsync(Peer peer)
        {
            await peer.SayAsync("""{"type":"nothing"}""");
            JsonObject said = await peer.ReceiveAsync("typing", "refused");
            return (string)said["type"]! == "typing" ? said : null;
        }
    }

    static async Task IsThereAsync(Peer peer, string[] names)
    {
        JsonObject presence;
        do
            presence = await peer.ReceiveAsync(TimeSpan.FromMinutes(1), "presence");
        while (!presence["names"]!.AsArray().Select(name => (string)name!).Order().SequenceEqual(names));
        Assert.That((int)presence["online"]!, Is.EqualTo(names.Length));
    }

    [Test]
    public async Task The_first_line_says_which_database_and_never_the_password()
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
        using var process = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--ConnectionStrings:Chat",
            $"{database};Password=very-secret");
        string line = await process.ReadUntilAsync("Messages are stored");
        Assert.That(line, Does.Match(@"Messages are stored in PostgreSQL: database chat\d+_\d+ at ").And.Not.Contain("secret"));
        process.Signal("TERM");
        (int code, string output, string error) = await process.EndAsync();
        Assert.That((code, output.Contains("secret"), error), Is.EqualTo((0, false, "")));
    }

    [TestCase("UPDATE chat.state SET version = 99", "was written by a newer ChatMinimal (schema 99; this one knows 1)")]
    [TestCase("ALTER TABLE chat.state RENAME TO other", "has a schema named chat that is not ChatMinimal's")]
    public async Task A_database_that_is_not_for_this_program_is_refused_in_one_line(string change, string reason)
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
        Servers.Start(database).Dispose();
        await PostgresServer.ExecuteAsync(database, change);
        using var process = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--ConnectionStrings:Chat", database);
        (int code, _, string error) = await process.EndAsync();
        Assert.That((code, error), Is.EqualTo((1, error)));
        Assert.That(error, Does.Match($@"^chatminimal: database chat\d+_\d+ at [^\n]* ").And.EndWith($"{reason}\n"));
    }

    [TestCase("Host"), TestCase("Hosst=db;Password=very-secret"), TestCase("Host=db;Port=many;Password=very-secret")]
    public async Task A_connection_string_that_is_none_is_refused_without_a_word_of_it(string connection)
    {
        using var process = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--ConnectionStrings:Chat", connection);
        (int code, string output, string error) = await process.EndAsync();
        Assert.That((code, output + error), Is.EqualTo((1, error)));
        Assert.That(error, Does.StartWith("chatminimal: ConnectionStrings:Chat is not a connection string").And.Not.Contain("secret").And.EndWith("...\n"));
    }

    [Test]
    public async Task Servers_that_start_together_make_the_database_once()
    {
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true);
        ChatServer[] servers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Servers.Start(database))));
        foreach (ChatServer server in servers)
            await server.IsReadyAsync();
        string[] epochs = await Task.WhenAll(servers.Select(async server =>
            (string)JsonNode.Parse(await server.GetAsync("/messages"))!["epoch"]!));
        Assert.That(epochs.Distinct().Count(), Is.EqualTo(1));
        foreach (ChatServer server in servers)
            await server.DisposeAsync();
    }
}
