using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class ConsoleClientTests
{
    [Test]
    public async Task With_a_message_it_says_what_the_course_s_client_says()
    {
        using var server = ChatServer.Start();
        using var client = BuiltProcess.Client("--url", $"ws://127.0.0.1:{server.Port}", "Hello, WebSocket Server!");
        Assert.That(await client.EndAsync(), Is.EqualTo((0,
            """
            Envoi : Hello, WebSocket Server!
            Réponse du serveur : Message d'un client : Hello, WebSocket Server!

            """.ReplaceLineEndings("\n"), "")));
    }

    [Test]
    public async Task Among_others_who_talk_it_waits_for_its_own_message()
    {
        using var server = ChatServer.Start(("MessagesPerSecond", 0));
        using Peer chatterbox = await Peer.PlainAsync(server, "room=cours");
        using var enough = new CancellationTokenSource();
        var talking = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                await chatterbox.SayAsync("bla");
                await chatterbox.ReceiveAsync();
            }
        });
        using var client = BuiltProcess.Client("--url", $"ws://127.0.0.1:{server.Port}", "--room", "cours", "--name", "Zoé",
            "deux\nlignes");
        (int code, string output, _) = await client.EndAsync();
        await enough.CancelAsync();
        await talking;
        Assert.That((code, output),
            Is.EqualTo((0, "Envoi : deux\nlignes\nRéponse du serveur : Message d'un client (Zoé) : deux\nlignes\n")));
    }

    [Test]
    public async Task Without_a_server_it_says_so_and_ends_with_1()
    {
        foreach (string[] message in (string[][])[["hello"], []])
        {
            using var client = BuiltProcess.Client(["--url", "ws://127.0.0.1:9", .. message]);
            (int code, string output, string error) = await client.EndAsync();
            Assert.That((code, output), Is.EqualTo((1, "")));
            Assert.That(error, Does.StartWith("Serveur injoignable / cannot reach ws://127.0.0.1:9 : "));
        }
    }

    [Test]
    public async Task From_a_pipe_each_line_is_a_message_and_the_end_waits_for_them()
    {
        using var server = ChatServer.Start();
        using Peer witness = await Peer.PlainAsync(server);
        using var client = BuiltProcess.Client("--url", $"ws://127.0.0.1:{server.Port}", "--name", "Ana");
        await client.Input.WriteAsync("un\n\ndeux é 😀\ntrois");
        client.Input.Close();
        (int code, string output, _) = await client.EndAsync();
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Match(@"^\d\d:\d\d Ana : un\n\d\d:\d\d Ana : deux é 😀\n\d\d:\d\d Ana : trois\n$"));
        Assert.That(await witness.ReceiveTextsAsync(3, plain: true),
            Is.EqualTo(new[] { "un", "deux é 😀", "trois" }.Select(line => $"Message d'un client (Ana) : {line}")));
    }

    [Test]
    public async Task Other_people_s_line_breaks_cannot_forge_a_line()
    {
        using var server = ChatServer.Start();
        using Peer mallory = await Peer.ChatAsync(server, "name=Mallory");
        await mallory.SayAsync("k", "hi\n12:00 Ana : I owe Mallory a beer");
        await mallory.ReceiveMessageAsync();
        using var client = BuiltProcess.Client("--url", $"ws://127.0.0.1:{server.Port}", "--name", "Ana");
        await client.Input.WriteAsync("fin");
        client.Input.Close();
        (_, string output, _) = await client.EndAsync();
        Assert.That(output, Does.Match(@"^\d\d:\d\d Mallory : hi\n      12:00 Ana : I owe Mallory a beer\n\d\d:\d\d Ana : fin\n$"));
    }

    [Test]
    public async Task It_comes_back_after_a_restart_and_says_once_what_was_typed_meanwhile()
    {
        using var server = ChatServer.Start();
        using var client = BuiltProcess.Client("--url", $"ws://127.0.0.1:{server.Port}", "--name", "Ana");
        await client.Input.WriteLineAsync("before");
        await client.ReadUntilAsync("Ana : before");
        await server.DisposeAsync();
        await client.Input.WriteLineAsync("meanwhile");
        await client.Input.FlushAsync();
        using ChatServer again = server.StartAgain();
        await client.ReadUntilAsync("Ana : meanwhile");
        await client.Input.WriteLineAsync("after");
        client.Input.Close();
        (int code, string output, _) = await client.EndAsync();
        Assert.That((code, output.Split(' ')[^1]), Is.EqualTo((0, "after\n")));
        using Peer late = await Peer.ChatAsync(again);
        Assert.That(await late.ReceiveTextsAsync(2), Is.EqualTo(new[] { "meanwhile", "after" }));
    }

    [Test]
    public async Task Other_people_s_words_do_not_steer_the_terminal()
    {
        using var server = ChatServer.Start();
        using Peer rascal = await Peer.PlainAsync(server);
        using var client = BuiltProcess.Client("--url", $"ws://127.0.0.1:{server.Port}");
        await rascal.SayAsync("\u001b[2J\u0007gone");
        Assert.That(await client.ReadUntilAsync("gone"), Does.EndWith("anonyme : ␛[2J␇gone"));
    }

    [TestCase("--hlep", "--hlep is not an option: --help lists them; a message like that comes after --")]
    [TestCase("--room", "Required argument missing for option: '--room'.")]
    [TestCase("--url=ftp://localhost",
        "--url: 'ftp://localhost' is not ws://HOST:PORT, wss://HOST:PORT, or the page's http://HOST:PORT, https://HOST:PORT")]
    [TestCase("--url=localhost:8765",
        "--url: 'localhost:8765' is not ws://HOST:PORT, wss://HOST:PORT, or the page's http://HOST:PORT, https://HOST:PORT")]
    public async Task An_option_that_it_does_not_know_is_refused_in_one_line_and_said_to_nobody(string option, string line)
    {
        using var client = BuiltProcess.Client(option);
        Assert.That(await client.EndAsync(), Is.EqualTo((1, "", $"chatminimal-client: {line}\n")));
    }

    [Test]
    public async Task After_two_dashes_a_message_may_begin_with_one()
    {
        using var server = ChatServer.Start();
        using var client = BuiltProcess.Client("--url", $"http://127.0.0.1:{server.Port}", "--", "--hlep"); // the page's address will do
        (int code, string output, _) = await client.EndAsync();
        Assert.That((code, output), Is.EqualTo((0, "Envoi : --hlep\nRéponse du serveur : Message d'un client : --hlep\n")));
    }

    [Test]
    public async Task A_refusal_is_told_with_the_server_s_reason()
    {
        using var server = ChatServer.Start(("InviteKey", "hush"));
        foreach (string[] message in (string[][])[["hello"], []])
        {
            using var client = BuiltProcess.Client(["--url", $"ws://127.0.0.1:{server.Port}", .. message]);
            Assert.That(await client.EndAsync(),
                Is.EqualTo((1, "", "Refusé / refused : this chat is by invitation: ?invite=, or Authorization: Bearer\n")));
        }
        using var badRoom = BuiltProcess.Client("--url", $"ws://127.0.0.1:{server.Port}?invite=hush", "--room", "a b");
        Assert.That((await badRoom.EndAsync()).Error, Is.EqualTo("Refusé / refused : room: 1 to 64 of A-Z a-z 0-9 - _\n"));
    }
}
