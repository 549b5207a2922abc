using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

/// <summary>A server that listens on a unix socket, and what kill -9 leaves of it.</summary>
[Platform(Exclude = "Win", Reason = "no unix sockets behind a proxy there")]
public sealed class SocketFileTests : IDisposable
{
    readonly ChatFolder _folder = new();

    string Path => System.IO.Path.Combine(System.IO.Path.GetDirectoryName(_folder.File)!, "chat.sock");

    public void Dispose() => _folder.Dispose();

    [Test]
    public async Task A_socket_file_that_kill_9_left_behind_does_not_prevent_a_start()
    {
        for (int life = 1; life <= 3; life++)
        {
            using BuiltProcess server = Start();
            await server.ReadUntilAsync("Serveur WebSocket démarré");
            using HttpClient http = Client();
            Assert.That((await http.PostAsync("/messages", new StringContent($"{life}"))).StatusCode, Is.EqualTo(HttpStatusCode.Created));
            Assert.That(await http.GetStringAsync("/messages"), Does.Contain("\"seq\":" + life), "the same chat");
            server.Kill();
            await server.ExitAsync();
            Assert.That(File.Exists(Path), "what the next one finds");
        }
    }

    [Test]
    public async Task A_socket_on_which_a_server_answers_is_refused_in_one_line_and_left_to_it()
    {
        using BuiltProcess first = Start();
        await first.ReadUntilAsync("Serveur WebSocket démarré");
        using (BuiltProcess second = Start(database: ""))
            Assert.That(await second.EndAsync(), Is.EqualTo((1, "", $"chatminimal: {Path} is in use by another server\n")));
        first.Signal("STOP"); // it does not answer now, and has the socket all the same
        using (BuiltProcess second = Start(database: ""))
            Assert.That((await second.EndAsync()).Error, Does.EndWith("is in use by another server\n"));
        first.Signal("CONT");
        using HttpClient http = Client();
        Assert.That(await http.GetStringAsync("/healthz"), Is.EqualTo("ok\n"));
    }

    [Test]
    public async Task A_file_that_is_no_socket_is_left_as_it_is()
    {
        await File.WriteAllTextAsync(Path, "a letter");
        using BuiltProcess server = Start();
        (int code, _, string error) = await server.EndAsync();
        Assert.That((code, error), Is.EqualTo((1, $"chatminimal: {Path} is not a socket: an address such as http://unix:/run/chat.sock is a file of the server's own\n")));
        Assert.That(await File.ReadAllTextAsync(Path), Is.EqualTo("a letter"));
    }

    BuiltProcess Start(string? database = null) =>
        BuiltProcess.Server("Production", "--urls", $"http://unix:{Path}", $"--Chat:Database={database ?? _folder.File}");

    HttpClient Client() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancel) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path), cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://localhost") };
}
