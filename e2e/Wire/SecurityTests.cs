using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Reflection;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>What SECURITY.md says and no other test holds; and that each test which it names is there.</summary>
public sealed class SecurityTests
{
    [TestCase("Information"), TestCase("Trace")]
    public async Task Neither_an_invitation_nor_what_is_said_is_in_the_log(string level)
    {
        string[] secrets = ["sesame-4711", "guess-4712", "text-4713", "Zoe-4714", "key-4715", "bearer-4716"];
        using var server = BuiltProcess.Server("Production", "--urls", "http://127.0.0.1:0", "--Chat:Database=",
            "--Chat:InviteKey=sesame-4711",
            "--Logging:Console:QueueFullMode=Wait", $"--Logging:LogLevel:Default={level}", $"--Logging:LogLevel:Microsoft={level}",
                "--Logging:LogLevel:ChatMinimal=Information");
        var address = new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]);
        Task<string> output = server.Output.ReadToEndAsync();
        using (var http = new HttpClient { BaseAddress = address })
        {
            Assert.That((await http.PostAsync("/messages?invite=sesame-4711&name=Zoe-4714", new StringContent("text-4713"))).StatusCode,
                Is.EqualTo(HttpStatusCode.Created));
            foreach (string target in (string[])["/messages?invite=sesame-4711", "/messages?invite=guess-4712",
                "/messages?room=%0a&invite=sesame-4711", "/messages?invite=sesame-4711&name=Zoe-4714&name=x"])
                (await http.GetAsync(target)).Dispose();
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "bearer-4716");
            Assert.That((await http.GetAsync("/messages")).StatusCode, Is.EqualTo(HttpStatusCode.Unauthorized));
        }
        var socket = new UriBuilder(address) { Scheme = "ws", Path = "/ws" }.Uri;
        using (Peer chat = await Peer.ConnectAsync(socket, "chat.v1", "invite=sesame-4711&name=Zoe-4714"))
        {
            await chat.SayAsync("key-4715", "text-4713");
            await chat.ReceiveMessageAsync();
            await chat.SayAsync("text-4713: no JSON");
            await chat.ReceiveAsync("refused");
            await chat.SayAsync("text-4713"u8.ToArray(), WebSocketMessageType.Binary);
            Assert.That(async () => { while (await chat.ReceiveAsync() is not null) { } }, Throws.Nothing);
        }
        Assert.That(async () => await Peer.ConnectAsync(socket, null, "invite=guess-4712"), Throws.InstanceOf<WebSocketException>());
        server.Signal("TERM");
        string[] lines = (await output).Split('\n');
        Assert.That(lines, Has.Some.Contains("Refused (401) 127.0.0.1").And.Some.Contains("Gave up (1003) on 127.0.0.1, room 'salon'"),
            "who it was is there");
        foreach (string secret in secrets)
            Assert.That(lines, Has.None.Contains(secret));
    }

    [Test, Platform("Linux", Reason = "where the limit is known")]
    public async Task TCP_connections_end_below_the_limit_of_open_files_and_the_server_goes_on()
    {
        string server = Environment.GetEnvironmentVariable("E2E_SERVER") is { } published
            ? published
            : $"dotnet {BuiltProcess.PathOf("Server")}";
        using var process = Process.Start(new ProcessStartInfo("sh",
            ["-c", $"ulimit -n 400; exec {server} --urls http://127.0.0.1:0 --Chat:Database="])
        { RedirectStandardOutput = true })!;
        var flood = new List<TcpClient>();
        try
        {
            string? line;
            do
                line = await process.StandardOutput.ReadLineAsync();
            while (line is not null && !line.Contains("Page: ", StringComparison.Ordinal));
            var address = new Uri(line!.Split("Page: ")[1]);
            _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
            using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit);
            string answer;
            do
            {
                var client = new TcpClient();
                flood.Add(client);
                await client.ConnectAsync(IPAddress.Loopback, address.Port, limit.Token);
                // And stays
                await client.GetStream().WriteAsync("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), limit.Token);
                answer = await new StreamReader(client.GetStream()).ReadLineAsync(limit.Token) ?? "";
            }
            while (answer == "HTTP/1.1 200 OK");
            Assert.That(answer, Is.EqualTo("HTTP/1.1 503 Service Unavailable"));
            Assert.That(flood, Has.Count.InRange(10, 400 - 128 + 1));
            flood.ForEach(client => client.Dispose());
            do // until the flood is noticed to be over
            {
                using RawPeer again = await RawPeer.RequestAsync(address.Port, "GET /healthz HTTP/1.1\nHost: localhost");
                answer = again.Answer;
                limit.Token.ThrowIfCancellationRequested();
            }
            while (!answer.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal));
        }
        finally
        {
            flood.ForEach(client => client.Dispose());
            process.Kill();
            await process.WaitForExitAsync();
        }
    }

    [TestCase("SECURITY.md"), TestCase("README.md")]
    public void Each_test_that_a_document_names_is_there_and_so_is_each_link(string document)
    {
        string root = BuiltProcess.PathOf("Root"), text = File.ReadAllText(Path.Combine(root, document));
        HashSet<string> tests =
            [.. typeof(SecurityTests).Assembly.GetTypes()
                .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
                    .Select(method => method.Name)];
        string[] named = [.. Regex.Matches(text, "`(?![A-Z_]+`)([A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+){3,})`")
            .Select(match => match.Groups[1].Value).Distinct()];
        Assert.That(named, Has.Length.GreaterThan(20));
        Assert.That(named, Is.SubsetOf(tests));
        foreach (Match link in Regex.Matches(text, @"\]\((?!https?:)([^)#]+)(#[^)]*)?\)"))
            Assert.That(Path.Exists(Path.Combine(root, link.Groups[1].Value)), link.Value);
    }
}
