using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ChatMinimal.E2E.Proxies;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

public sealed class CommandLineTests
{
    [Test]
    public void Every_option_is_in_the_table_once()
    {
        string[] options = [.. typeof(ChatOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.CanWrite).Select(property => property.Name)];
        Assert.That(ChatOption.All.Select(option => option.Name), Is.EquivalentTo(options));
        foreach (ChatOption option in ChatOption.All)
            Assert.That(option.Of(new ChatOptions()),
                Is.EqualTo(typeof(ChatOptions).GetProperty(option.Name)!.GetValue(new ChatOptions())), option.Name);
    }

    [TestCase("--help"), TestCase("-h"), TestCase("-?"), TestCase("help"), TestCase("backup --help"),
        TestCase("--urls http://127.0.0.1:0 --help")]
    public async Task Help_shows_every_option_with_its_default_and_unit_and_starts_nothing(string arguments)
    {
        using var server = BuiltProcess.Server("Production", arguments.Split(' '));
        (int code, string output, string error) = await server.EndAsync();
        Assert.That((code, error), Is.EqualTo((0, "")));
        foreach (ChatOption option in ChatOption.All)
            Assert.That(output, Does.Match($@"(?m)^  --{option.FullName} +{Regex.Escape(option.Default == "" ? "(none)" : option.Default)} \[{Regex.Escape(option.Unit)}\]: \w"));
        foreach (Command command in Command.All)
            Assert.That(output, Does.Contain($"  {command.Usage} "));
    }

    [Test]
    public async Task Version_shows_the_version()
    {
        using var server = BuiltProcess.Server("Production", "--version");
        (int code, string output, _) = await server.EndAsync();
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Match(@"^chatminimal \d+\.\d+\.\d+(-\w+)?\n$"));
    }

    [Test]
    public async Task The_start_tells_where_it_is_what_it_is_and_what_is_not_at_its_default()
    {
        using var server = BuiltProcess.Server("Production", "--urls=http://127.0.0.1:0", "--Chat:Database=", "--Chat:KeepDays=7",
            "--Chat:Sockets=auto", "--Chat:InviteKey=hush"); // the default, whatever the environment has
        Assert.That(await server.ReadUntilAsync("ChatMinimal "), Does.EndWith($"ChatMinimal {ProgramVersion.Text}, Production"));
        await server.ReadUntilAsync("Serveur WebSocket démarré sur ws://127.0.0.1:");
        await server.ReadUntilAsync("Page: http://127.0.0.1:");
        await server.ReadUntilAsync("Only this machine can connect; to let others, start the server with --urls http://*:8765");
        await server.ReadUntilAsync("Messages are stored in memory only");
        Assert.That(await server.ReadUntilAsync("Not at their default: "),
            Does.EndWith("Not at their default: Chat:KeepDays=7, Chat:InviteKey=(set)"), "and keeps the secret");
        if (OperatingSystem.IsWindows())
            return; // where a process cannot be asked to stop
        server.Signal("TERM");
        await server.ReadUntilAsync("Stopping after 0.00:00:");
        Assert.That(await server.EndAsync(), Is.EqualTo((0, "", "")), "the last line");
    }

    [Test]
    public async Task Health_is_0_while_the_server_can_commit_and_1_when_it_is_gone()
    {
        using var server = BuiltProcess.Server("Production", "--urls=http://127.0.0.1:0", "--Chat:Database=",
            "--AllowedHosts=chat.example");
        string address = (await server.ReadUntilAsync("Page: ")).Split("Page: ")[1];
        using (var health = BuiltProcess.Server("Production", "health", "--urls", address, "--AllowedHosts=chat.example"))
            Assert.That(await health.EndAsync(), Is.EqualTo((0, "ok\n", "")));
        server.Kill();
        await server.ExitAsync();
        using (var health = BuiltProcess.Server("Production", "health", "--urls", address))
            Assert.That((await health.EndAsync()).Code, Is.EqualTo(1));
    }

    [Test]
    public async Task Health_asks_this_machine_by_TLS_whatever_name_the_certificate_has()
    {
        using var folder = new ChatFolder();
        Certificate certificate = await Certificate.MakeAsync(Path.GetDirectoryName(folder.File)!); // of chat.example
        using var server = BuiltProcess.Server("Production", "--urls=https://127.0.0.1:0", "--Chat:Database=",
            "--Kestrel:Certificates:Default:Path", Path.Combine(certificate.Folder, "chat.crt"),
            "--Kestrel:Certificates:Default:KeyPath", Path.Combine(certificate.Folder, "chat.key"));
        string address = (await server.ReadUntilAsync("Page: ")).Split("Page: ")[1];
        using var health = BuiltProcess.Server("Production", "health", "--urls", address);
        Assert.That(await health.EndAsync(), Is.EqualTo((0, "ok\n", "")));
    }

    [Test]
    public async Task An_export_has_every_message_of_the_room_as_GET_messages_has_them()
    {
        using var folder = new ChatFolder();
        using var server = ChatServer.StartWith(folder, ("MessagesPerSecond", 0));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana&room=cours");
        for (int i = 0; i < 1500; i++)
            await ana.SayAsync($"key-{i}", $"é😀 \u0000 {i}");
        await ana.ReceiveTextsAsync(1500);
        using var export = BuiltProcess.Server("Production", "export", "--room", "cours", "--Chat:Database", folder.File);
        (int code, string output, string error) = await export.EndAsync();
        Assert.That((code, error), Is.EqualTo((0, "")));
        string[] lines = output.TrimEnd('\n').Split('\n');
        Assert.That(lines, Has.Length.EqualTo(1500));
        using var http = new HttpClient { BaseAddress = server.Http };
        JsonArray messages = JsonNode.Parse(await http.GetStringAsync("/messages?room=cours&after=0&last=1000"))!["messages"]!.AsArray();
        Assert.That(lines.Take(1000).Select(line => JsonNode.Parse(line)!.ToJsonString()),
            Is.EqualTo(messages.Select(message => message!.ToJsonString())));
    }
}
