using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>What an operator gets wrong is told in one line: the option, what it got, what it may be. Never a stack trace.</summary>
public sealed class WrongStartTests
{
    static IEnumerable<TestCaseData> WrongStarts()
    {
        const string ListsAll = " (--help lists them all)";

        yield return Wrong("--hlep", "--hlep is not an option; did you mean --help?" + ListsAll);
        yield return Wrong("-v", "-v is not an option" + ListsAll);
        yield return Wrong("backpu f.db", "'backpu' is not a command; did you mean backup?" + ListsAll);
        yield return Wrong("serve", "'serve' is not a command" + ListsAll);
        yield return Wrong("--Chat:MaxRoms 3", "--Chat:MaxRoms is not an option; did you mean --Chat:MaxRooms?" + ListsAll);
        yield return Wrong("--database chat.db", "--database is not an option; did you mean --Chat:Database?" + ListsAll);
        yield return Wrong("--url http://*:80", "--url is not an option; did you mean --urls?" + ListsAll);
        yield return Wrong("--Loging:LogLevel:Default=Debug",
            "--Loging:LogLevel:Default is not an option; did you mean --Logging:LogLevel:Default?" + ListsAll);
        yield return Wrong("--urls http://127.0.0.1:0 http://127.0.0.2:0",
            "'http://127.0.0.2:0' is not understood: options begin with --, such as --urls http://localhost:8765");
        yield return Wrong("--urls", "--urls needs a value: --urls=VALUE");
        yield return Wrong("--Chat:PerAddressLoopback --Chat:Database=",
            "--Chat:PerAddressLoopback needs a value: --Chat:PerAddressLoopback=VALUE");
        yield return Wrong("--Chat:MaxRooms=3 --Chat:MaxRooms=4", "--Chat:MaxRooms is given twice");
        yield return Wrong("--Chat:MaxRooms x", "Chat:MaxRooms: 'x' is not a number from 1 to 2147483647 (rooms)");
        yield return Wrong("--Chat:MaxRooms 0", "Chat:MaxRooms: '0' is not a number from 1 to 2147483647 (rooms)");
        yield return Wrong("--Chat:MaxConnections 1e3", "Chat:MaxConnections: '1e3' is not a number from 1 to 2147483647 (clients)");
        yield return Wrong("--Chat:KeepDays=-1", "Chat:KeepDays: '-1' is not a number from 0 to 36500 (days)");
        yield return Wrong("--Chat:WindowBytes=1MB", "Chat:WindowBytes: '1MB' is not a number from 1024 to 1073741824 (bytes)");
        yield return Wrong("--Chat:MinFreeBytes=99999999999999999999",
            "Chat:MinFreeBytes: '99999999999999999999' is not a number from 0 to 9223372036854775807 (bytes)");
        yield return Wrong("--Chat:KeepAliveSeconds=", "Chat:KeepAliveSeconds: '' is not a number from 1 to 3600 (seconds)");
        yield return Wrong("--Chat:Durability=always", "Chat:Durability: 'always' is neither normal nor full");
        yield return Wrong("--Chat:PerAddressLoopback=yes", "Chat:PerAddressLoopback: 'yes' is neither true nor false");
        yield return Wrong("--Chat:AllowedOrigins=*",
            "Chat:AllowedOrigins: '*' is not an origin, such as https://chat.example; null is a page opened from disk, any is every site");
        yield return Wrong("--Chat:Proxies=10.0.0.0/99",
            "Chat:Proxies: '10.0.0.0/99' is not an address or a network, such as 10.0.0.7 or 10.0.0.0/8");
        yield return Wrong("--urls 8765",
            "urls: '8765' is not an address, such as http://localhost:8765, or http://*:8765 for other machines, too");
        yield return Wrong("--urls ftp://localhost", "urls: 'ftp://localhost' begins with ftp://, and may begin with http:// or https://");
        yield return Wrong("--urls http://localhost:99999", "urls: 'http://localhost:99999' has no port from 0 to 65535");
        yield return Wrong("--urls http://127.0.0.1:0/chat",
            "urls: 'http://127.0.0.1:0/chat' has a path, and may be no more than http://HOST:PORT");
        yield return Wrong("--http_ports=80,81", "http_ports: '80,81' has no port from 0 to 65535");
        yield return Wrong("--urls http://192.0.2.1:21399", "cannot listen on http://192.0.2.1:21399: ");
        yield return Wrong("--urls https://127.0.0.1:0", "urls: https:// needs a certificate: --Kestrel:Certificates:Default:Path=FILE.pfx, or a .pem with --Kestrel:Certificates:Default:KeyPath");
        yield return Wrong("--urls https://127.0.0.1:0 --Kestrel:Certificates:Default:Path=/none.pfx",
            $"Kestrel:Certificates:Default:Path: there is no file '{Path.GetFullPath("/none.pfx")}'");
        yield return Wrong("--urls https://127.0.0.1:0 --Kestrel:Certificates:Default:Path=FOLDER/README.md",
            "Kestrel: the certificate cannot be used: ");
        yield return Wrong("--Kestrel:Endpoints:A:Protocols=Http1", "The endpoint A is missing the required 'Url' parameter.");
        yield return Wrong("--Logging:LogLevel:Default=Loud",
            "Logging:LogLevel:Default: 'Loud' is not one of Trace, Debug, Information, Warning, Error, Critical, None");
        yield return Wrong("--Logging:Console:LogLevel:ChatMinimal=7x",
            "Logging:Console:LogLevel:ChatMinimal: '7x' is not one of Trace, Debug, Information, Warning, Error, Critical, None");
        yield return Wrong("--Logging:Console:FormatterName=jsno",
            "Logging:Console:FormatterName: 'jsno' is not one of simple, json, systemd");
        yield return Wrong("--Logging:Console:QueueFullMode=Drop", "Logging:Console:QueueFullMode: 'Drop' is not one of Wait, DropWrite");
        yield return Wrong("--Logging:Console:MaxQueueLength=0", "Logging:Console:MaxQueueLength: '0' is not a number from 1 on (lines)");
        yield return Wrong("--Logging:Console:FormatterOptions:TimestampFormat=%",
            "Logging:Console:FormatterOptions:TimestampFormat: '%' is not a format of .NET for times, such as yyyy-MM-dd HH:mm:ss");
        yield return Wrong("--contentRoot /none", $"contentRoot: there is no folder '{Path.GetFullPath("/none")}'");
        yield return Wrong("--Chat:Database=README.md", "FOLDER/README.md cannot be used: ");
        yield return Wrong("--Chat:Database=none/chat.db", "FOLDER/none/chat.db cannot be used: ");
        yield return Wrong("health --urls http://127.0.0.1:9", "http://127.0.0.1:9/readyz: ");
        yield return Wrong("health now", "'now' is not understood: options begin with --, such as --urls http://localhost:8765");
        yield return Wrong("backup", "backup needs FILE: chatminimal backup FILE");
        yield return Wrong("backup copy.db --Chat:Database=none.db", "there is no FOLDER/none.db: name the database with --Chat:Database");
        yield return Wrong("backup copy.db --Chat:Database=", "Chat:Database is empty: the messages are in the server's memory only");
        yield return Wrong("restore none.db", "there is no FOLDER/none.db");
        yield return Wrong("export", "export needs --room ROOM");

        static TestCaseData Wrong(string arguments, string line) => new TestCaseData(arguments, line).SetArgDisplayNames(arguments);
    }

    [TestCaseSource(nameof(WrongStarts))]
    public async Task A_wrong_start_is_one_line_and_exit_code_1(string arguments, string line)
    {
        using var folder = new ChatFolder();
        string root = Path.GetDirectoryName(folder.File)!;
        await File.WriteAllTextAsync(Path.Combine(root, "README.md"), "# Neither a database nor a certificate");
        line = line.Replace("FOLDER/none/", Path.Combine(root, "none") + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            .Replace("FOLDER/", root + Path.DirectorySeparatorChar, StringComparison.Ordinal);
        string[] given = arguments.Replace("FOLDER/", root + Path.DirectorySeparatorChar, StringComparison.Ordinal).Split(' ');
        bool isServer = given[0].StartsWith('-');
        // So that what should not start could
        string[] more = !isServer ? [] : [.. Without(given, "--urls", "http://127.0.0.1:0"), .. Without(given, "--Chat:Database", "")];
        using var server = BuiltProcess.ServerWith(start => start.WorkingDirectory = root,
            [.. given, .. given[^1] == "--urls" ? [] : more]);
        (int code, string output, string error) = await server.EndAsync();
        Assert.That((code, output), Is.EqualTo((1, "")));
        Assert.That(error, line.EndsWith(": ", StringComparison.Ordinal) ? Does.StartWith("chatminimal: "
            + line) : Is.EqualTo($"chatminimal: {line}\n"));
        Assert.That(error.TrimEnd('\n'), Does.Not.Contain("\n").And.Not.Contain("   at "));
    }

    static string[] Without(string[] given, string option, string value) =>
        given.Any(argument => argument.StartsWith(option, StringComparison.Ordinal)) ? [] : [$"{option}={value}"];

    [TestCase("{ \"Chat\": { \"MaxRooms\": 3 ", "appsettings.json"), TestCase("not JSON", "appsettings.json")]
    [TestCase("{ \"Chat\": { \"MaxRoms\": 3 } }", "Chat:MaxRoms is not an option; did you mean Chat:MaxRooms?")]
    [TestCase("{ \"Chat\": { \"MaxRooms\": [3] } }", "Chat:MaxRooms is one value, not an object or a list")]
    [TestCase("{ \"Chat\": { \"KeepDays\": 1.5 } }", "Chat:KeepDays: '1.5' is not a number from 0 to 36500 (days)")]
    public async Task A_broken_appsettings_json_is_one_line(string json, string part)
    {
        using var folder = new ChatFolder();
        string root = Path.GetDirectoryName(folder.File)!;
        await File.WriteAllTextAsync(Path.Combine(root, "appsettings.json"), json);
        using var server = BuiltProcess.Server("Production", "--contentRoot", root, "--Chat:Database=", "--urls=http://127.0.0.1:0");
        (int code, _, string error) = await server.EndAsync();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(error, Does.StartWith("chatminimal: ").And.Contain(part));
        Assert.That(error.TrimEnd('\n'), Does.Not.Contain("\n"));
    }

    [Test]
    public async Task An_option_in_the_environment_is_checked_like_one_on_the_command_line()
    {
        using var server = BuiltProcess.ServerWith(start => start.Environment["Chat__MaxRoms"] = "3", "--Chat:Database=",
            "--urls=http://127.0.0.1:0");
        (int code, _, string error) = await server.EndAsync();
        Assert.That((code, error),
            Is.EqualTo((1, "chatminimal: Chat:MaxRoms is not an option; did you mean Chat:MaxRooms? (--help lists them all)\n")));
    }

    [Test]
    public async Task A_port_that_is_taken_is_one_line()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        string address = $"http://127.0.0.1:{((IPEndPoint)taken.LocalEndpoint).Port}";
        using var server = BuiltProcess.Server("Production", "--urls", address, "--Chat:Database=");
        (int code, _, string error) = await server.EndAsync();
        Assert.That((code, error), Is.EqualTo((1, $"chatminimal: Failed to bind to address {address}: address already in use.\n")));
    }

    [Test]
    public async Task A_database_that_a_server_uses_is_one_line_for_a_second_server_and_for_a_restore()
    {
        using var folder = new ChatFolder();
        using var first = ChatServer.StartWith(folder);
        string copy = folder.File + ".copy";
        using (var backup = BuiltProcess.Server("Production", "backup", copy, "--Chat:Database", folder.File))
            Assert.That((await backup.EndAsync()).Code, Is.Zero);
        foreach (string[] arguments in (string[][])[["--urls=http://127.0.0.1:0"], ["restore", copy]])
        {
            using var second = BuiltProcess.Server("Production", [.. arguments, "--Chat:Database", folder.File]);
            (int code, _, string error) = await second.EndAsync();
            Assert.That((code, error), Is.EqualTo((1, $"chatminimal: {folder.File} is in use by another server\n")));
        }
    }
}
