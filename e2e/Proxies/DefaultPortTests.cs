using System.Diagnostics;
using System.Runtime.Versioning;
using ChatMinimal.E2E.Page;
using Microsoft.Playwright;
using NUnit.Framework;

namespace ChatMinimal.E2E.Proxies;

/// <summary>
/// The page in a real browser on the ports that an address does not name: 443 behind a proxy, 80 without one. In a network namespace
/// of its own, so that no port of the machine is touched; only where one may make one.
/// </summary>
[Platform("Linux", Reason = "network namespaces"), SupportedOSPlatform("linux")]
public sealed class DefaultPortTests : IDisposable
{
    readonly ChatFolder _folder = new();
    readonly string _network = $"chat-{Environment.ProcessId}-{TestContext.CurrentContext.Test.ID}";

    string Folder => Path.GetDirectoryName(_folder.File)!;

    [SetUp]
    public async Task IsolateAsync()
    {
        if (Environment.UserName != "root" || Programs.Find("ip") is null || await RunAsync("ip", "netns", "add", _network) != 0)
            Assert.Ignore("only as root, with ip (Debian: iproute2), where network namespaces may be made");
        Assert.That(await RunAsync("ip", "-n", _network, "link", "set", "lo", "up"), Is.Zero);
    }

    public void Dispose()
    {
        RunAsync("ip", "netns", "del", _network).GetAwaiter().GetResult();
        _folder.Dispose();
    }

    [TestCase("nginx"), TestCase("caddy")]
    public async Task The_page_works_on_port_443_behind_a_proxy(string kind)
    {
        using BuiltProcess server = await ServerAsync("http://127.0.0.1:8765");
        using Proxy proxy = await Proxy.StartAsync(kind, await Certificate.MakeAsync(Folder), Folder, server: 8765, port: 443,
            network: _network);
        await TalksAsync("https://chat.example/");
    }

    [Test]
    public async Task The_page_works_on_port_80_without_a_proxy()
    {
        using BuiltProcess server = await ServerAsync("http://127.0.0.1:80");
        await TalksAsync("http://chat.example/");
    }

    async Task<BuiltProcess> ServerAsync(string url)
    {
        var server = BuiltProcess.ServerIn(_network, "Production", "--urls", url, "--Chat:Database=");
        await server.ReadUntilAsync("démarré sur ws");
        server.Ignore();
        return server;
    }

    // Two people open the page, and one hears the other.
    async Task TalksAsync(string address)
    {
        string browser = Environment.GetEnvironmentVariable("E2E_BROWSER")
            ?? ((string[])["chromium-headless-shell", "chromium", "google-chrome"]).Select(Programs.Find)
                .FirstOrDefault(found => found is not null)
            ?? Programs.Ignore("no browser on the path (Debian: chromium-headless-shell)");
        string inside = Path.Combine(Folder, "browser");
        await File.WriteAllTextAsync(inside, $"#!/bin/sh\nexec ip netns exec {_network} {browser} \"$@\"\n");
        File.SetUnixFileMode(inside, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        using IPlaywright playwright = await Playwright.CreateAsync();
        await using IBrowser chromium = await playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = inside,
            Args = ["--host-resolver-rules=MAP chat.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        });
        Person[] people = [await OpenAsync(chromium, address), await OpenAsync(chromium, address)];
        await people[0].SayAsync("bonjour");
        await people[1].SeesAsync("bonjour");
    }

    static async Task<Person> OpenAsync(IBrowser chromium, string address)
    {
        IBrowserContext context = await chromium.NewContextAsync(new() { IgnoreHTTPSErrors = true, Locale = "fr-FR" });
        IPage page = await context.NewPageAsync();
        using CancellationTokenSource limit = Rig.Patience();
        while (true)
        {
            try
            {
                await page.GotoAsync(address);
                break;
            }
            catch (PlaywrightException error) when (error.Message.Contains("ERR_CONNECTION_REFUSED", StringComparison.Ordinal)
                && !limit.IsCancellationRequested)
            {
                // The proxy is not there yet
            }
        }
        var person = new Person(page);
        await person.IsConnectedAsync();
        return person;
    }

    static async Task<int> RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}
