using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>Whoever comes from another machine: here by this one's own address on the network, which is no loopback.</summary>
public sealed class OtherMachineTests
{
    static IPAddress? Outside => NetworkInterface.GetAllNetworkInterfaces().Where(card => card.OperationalStatus == OperationalStatus.Up)
        .SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(known => known.Address)
        .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address));

    // The README's table: dotnet run and published, from another machine.
    [TestCase("Development", "", "null", false), TestCase("Development", "", "http://localhost:5500", false),
        TestCase("Development", "", "SERVER", true)]
    [TestCase("Development", "null", "null", true), TestCase("Development", "http://localhost:5500", "http://localhost:5500", true)]
    [TestCase("Production", "", "SERVER", true), TestCase("Production", "null", "null", true),
        TestCase("Production", "http://localhost:5500", "http://localhost:5500", true)]
    public async Task Pages_come_in_as_the_README_says(string environment, string allowed, string origin, bool isAllowed)
    {
        (BuiltProcess server, Uri address) = await StartAsync(environment, "--Chat:AllowedOrigins", allowed);
        using (server)
            Assert.That(await StatusAsync(address, "Origin",
                origin.Replace("SERVER", $"http://{address.Authority}", StringComparison.Ordinal)), Is.EqualTo(isAllowed ? 200 : 403));
    }

    [Test]
    public async Task A_forwarded_address_of_a_stranger_is_not_believed_and_that_is_logged_once()
    {
        (BuiltProcess server, Uri address) = await StartAsync("Production");
        using (server)
        {
            for (int i = 0; i < 3; i++)
                await StatusAsync(address, "X-Forwarded-For", "203.0.113.7");
            Assert.That(await server.ReadUntilAsync("X-Forwarded-For"), Does.EndWith($"{address.Host} sends X-Forwarded-For and is not a known proxy: its clients count as one address (Chat:Proxies)"));
            await StatusAsync(address, "Origin", "https://evil.example");
            string line;
            do
                line = await server.ReadUntilAsync("");
            while (line.Contains("more like this", StringComparison.Ordinal)); // a second later, if that is over
            Assert.That(line, Does.Contain($"Refused (403) {address.Host}, room ''"),
                "no second line of that, and the address is the stranger's");
        }
    }

    static async Task<(BuiltProcess Server, Uri Address)> StartAsync(string environment, params string[] options)
    {
        if (Outside is not { } outside)
        {
            Assert.Ignore("this machine has no address but its loopback");
            throw new InvalidOperationException();
        }
        var server = BuiltProcess.Server(environment, ["--urls", "http://*:0", "--Chat:Database=", .. options]);
        int port = new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]).Port;
        await server.ReadUntilAsync("Messages are stored");
        return (server, new Uri($"http://{outside}:{port}"));
    }

    static async Task<int> StatusAsync(Uri address, string header, string value)
    {
        using var http = new HttpClient { BaseAddress = address };
        http.DefaultRequestHeaders.Add(header, value);
        return (int)(await http.GetAsync("/messages")).StatusCode;
    }
}
