using System.Net;
using System.Net.WebSockets;
using ChatMinimal.Client;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>ChatMinimal.Client, as a program uses it.</summary>
public sealed class ClientLibraryTests
{
    [Test]
    public async Task The_loop_of_its_README_says_and_reads()
    {
        using var server = ChatServer.Start();
        var chat = new ChatClient(server.Http, room: "cours", name: "Ana");
        Task<long> said = chat.SayAsync("Bonjour");
        await foreach (Client.Message message in chat.ReadAsync(TestContext.CurrentContext.CancellationToken))
        {
            Assert.That((message.Seq, message.Name, message.Text), Is.EqualTo((1L, "Ana", "Bonjour")));
            break;
        }
        Assert.That(await said, Is.EqualTo(1));
        Assert.That(chat.Position!.Seq, Is.EqualTo(1));
        Assert.That(chat.Unacknowledged, Is.Empty);
    }

    [Test]
    public async Task Through_restarts_it_reads_everything_once_in_order_and_says_each_of_its_own_once()
    {
        using var folder = new ChatFolder();
        var server = ChatServer.StartWith(folder, ("MessagesPerSecond", 0));
        try
        {
            var ana = new ChatClient(server.Http, name: "Ana");
            var bob = new ChatClient(server.Http, name: "Bob");
            Task<List<string>> heard = ReadAsync(ana);
            Task<List<string>> heardToo = ReadAsync(bob);
            var said = new List<Task<long>>();
            for (int restart = 0; restart < 3; restart++)
            {
                for (int i = 0; i < 50; i++)
                    said.AddRange(ana.SayAsync($"ana {restart}.{i}").WhileAsync(heard),
                        bob.SayAsync($"bob {restart}.{i}").WhileAsync(heardToo));
                await Task.WhenAll(said[^2], said[^1]); // both are connected: only a first connection may fail
                await server.DisposeAsync();
                said.Add(ana.SayAsync($"while it is down {restart}").WhileAsync(heard));
                server = server.StartAgain();
            }
            await Task.WhenAll(said);
            // Each ends when all of its own is acknowledged; that of the other may be later in the log.
            await Task.WhenAll(ana.SayAsync("the end of ana").WhileAsync(heard), bob.SayAsync("the end of bob").WhileAsync(heardToo));
            string[] all = await AllAsync(server, said.Count + 2);
            ana.Complete();
            bob.Complete();
            foreach (List<string> texts in (List<string>[])[await heard, await heardToo])
                Assert.That(texts, Is.EqualTo(all.Take(texts.Count)), "in order, none twice, none missing");
            Assert.That(all, Is.Unique);
            Assert.That(await Task.WhenAll(said), Is.Unique);
        }
        finally
        {
            await server.DisposeAsync();
        }
    }

    [Test]
    [Platform(Exclude = "Win", Reason = "a process is frozen by a signal")]
    public async Task A_server_that_falls_silent_is_left_and_found_again()
    {
        using var server = BuiltProcess.Server("Production", "--urls", "http://127.0.0.1:0", "--Chat:Database=");
        var chat = new ChatClient(new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]));
        server.Ignore();
        var isLeft = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        chat.Noted += note =>
        {
            if (note is ChatNote.Reconnecting)
                isLeft.TrySetResult();
        };
        Task<List<string>> heard = ReadAsync(chat);
        await chat.SayAsync("before").WhileAsync(heard);
        server.Signal("STOP");
        await Task.WhenAny(isLeft.Task, heard); // half a minute: a ping, and no pong
        server.Signal("CONT");
        await chat.SayAsync("after").WhileAsync(heard);
        chat.Complete();
        Assert.That(await heard, Is.EqualTo(new[] { "before", "after" }));
    }

    [Test]
    public async Task A_second_client_goes_on_where_the_first_one_stopped()
    {
        using var server = ChatServer.Start();
        using Peer other = await Peer.ChatAsync(server);
        await other.SayAsync("k1", "one");
        await other.ReceiveMessageAsync();
        var first = new ChatClient(server.Http);
        await foreach (Client.Message _ in first.ReadAsync(TestContext.CurrentContext.CancellationToken))
            break;
        _ = first.SayAsync("not sent any more");
        await other.SayAsync("k2", "two");
        await other.ReceiveMessageAsync();

        var second = new ChatClient(server.Http, position: first.Position, unacknowledged: first.Unacknowledged);
        second.Complete();
        Assert.That(await ReadAsync(second), Is.EqualTo(new[] { "two", "not sent any more" }));
    }

    [Test]
    public async Task What_the_server_refuses_is_told_in_its_words()
    {
        using var server = ChatServer.Start(("InviteKey", "hush"), ("MaxMessageBytes", 20));
        ChatRefusedException refusal = (await Assert.ThrowsAsync<ChatRefusedException>(() => ReadAsync(new ChatClient(server.Http))))!;
        Assert.That((refusal.Message, refusal.Status, refusal.MayPass),
            Is.EqualTo(("this chat is by invitation: ?invite=, or Authorization: Bearer", HttpStatusCode.Unauthorized, false)));

        var guest = new ChatClient(new Uri(server.Http, "?invite=hush"));
        Task<long> tooLong = guest.SayAsync("far too long for it, and more than eight times as long " + new string('x', 200));
        var notes = new List<ChatNote>();
        guest.Noted += notes.Add;
        guest.Complete();
        Assert.That(await ReadAsync(guest), Is.Empty);
        Assert.That((await Assert.ThrowsAsync<ChatRefusedException>(() => tooLong))!.Message, Does.StartWith("too_long: "));
        Assert.That(notes.OfType<ChatNote.Refused>().Single().Reason, Is.EqualTo("too_long"));
    }

    [Test]
    public async Task Where_nobody_is_the_first_connection_fails()
    {
        await Assert.ThrowsAsync<WebSocketException>(() => ReadAsync(new ChatClient(new Uri("http://127.0.0.1:9"))));
        Assert.Throws<ArgumentException>(() => _ = new ChatClient(new Uri("ftp://127.0.0.1")));
    }

    [Test]
    public async Task Another_log_is_read_from_its_start_and_that_is_noted()
    {
        var server = ChatServer.Start(); // in memory: another log at each start
        var chat = new ChatClient(server.Http);
        var notes = new List<ChatNote>();
        chat.Noted += notes.Add;
        Task<List<string>> heard = ReadAsync(chat);
        await chat.SayAsync("before").WhileAsync(heard);
        await server.DisposeAsync();
        using ChatServer again = server.StartAgain();
        await chat.SayAsync("after").WhileAsync(heard);
        chat.Complete();
        Assert.That(await heard, Is.EqualTo(new[] { "before", "after" }));
        Assert.That(notes.OfType<ChatNote.StartedAfresh>().Count(), Is.EqualTo(1));
    }

    static Task<List<string>> ReadAsync(ChatClient chat) => Task.Run(async () =>
    {
        var texts = new List<string>();
        await foreach (Client.Message message in chat.ReadAsync(TestContext.CurrentContext.CancellationToken))
            texts.Add(message.Text);
        return texts;
    });

    static async Task<string[]> AllAsync(ChatServer server, int count)
    {
        using Peer late = await Peer.ChatAsync(server, $"last={count + 1}");
        return [.. await late.ReceiveTextsAsync(count)];
    }
}
