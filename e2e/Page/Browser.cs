using System.Diagnostics;
using Microsoft.Playwright;
using NUnit.Framework;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// Provides the browser once for all page tests: one that is here already, else Playwright's own, downloaded, else the
/// system's package. A candidate counts when it launches. When none does, every test fails, with all the reasons.
/// </summary>
[SetUpFixture]
public sealed class Browser
{
    static IPlaywright? s_playwright;
    static IBrowser? s_browser;

    public static IBrowser Instance => s_browser ?? throw new InvalidOperationException("no browser");

    [OneTimeSetUp]
    public async Task ProvideAsync()
    {
        s_playwright = await Playwright.CreateAsync();
        var reasons = new List<string>();
        foreach ((string name, Func<Task<BrowserTypeLaunchOptions?>> prepare) in Candidates())
        {
            try
            {
                if (await prepare() is { } options)
                {
                    s_browser = await LaunchAsync(options);
                    await TestContext.Progress.WriteLineAsync($"browser: {name}, {s_browser.Version}");
                    return;
                }
                reasons.Add($"{name}: not here");
            }
            catch (Exception error) // whatever it is, the next one may do
            {
                reasons.Add($"{name}: {error.Message.Split('\n')[0]}");
            }
        }
        Assert.Fail("No browser to test with.\n" + string.Join('\n', reasons));
    }

    [OneTimeTearDown]
    public async Task EndAsync()
    {
        if (s_browser is not null)
            await s_browser.CloseAsync();
        s_playwright?.Dispose();
    }

    static Task<IBrowser> LaunchAsync(BrowserTypeLaunchOptions options)
    {
        options.Args = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]; // nothing but this machine
        return s_playwright!.Chromium.LaunchAsync(options);
    }

    // In the order of what they cost.
    static IEnumerable<(string, Func<Task<BrowserTypeLaunchOptions?>>)> Candidates()
    {
        if (Environment.GetEnvironmentVariable("E2E_BROWSER") is { Length: > 0 } chosen)
        {
            yield return ($"E2E_BROWSER={chosen}", () => Executable(chosen));
            yield break;
        }
        yield return ("Playwright's headless shell", () => Found(new()));
        yield return ("chromium-headless-shell", () => OnPath("chromium-headless-shell"));
        yield return ("Chrome", () => Found(new() { Channel = "chrome" }));
        yield return ("Edge", () => Found(new() { Channel = "msedge" }));
        yield return ("chromium", () => OnPath("chromium"));
        yield return ("chromium-browser", () => OnPath("chromium-browser"));
        yield return ("Playwright's headless shell, downloaded", DownloadAsync);
        yield return ("chromium-headless-shell, by apt-get", InstallAsync);
    }

    static Task<BrowserTypeLaunchOptions?> Found(BrowserTypeLaunchOptions options) => Task.FromResult<BrowserTypeLaunchOptions?>(options);

    static Task<BrowserTypeLaunchOptions?> Executable(string path) => Found(new() { ExecutablePath = path });

    static Task<BrowserTypeLaunchOptions?> OnPath(string name)
    {
        string? path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
        return path is null ? Task.FromResult<BrowserTypeLaunchOptions?>(null) : Executable(path);
    }

    static async Task<BrowserTypeLaunchOptions?> DownloadAsync()
    {
        // Milliseconds: no internet is found out soon
        Environment.SetEnvironmentVariable("PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT", "10000");
        int code = (await Task.Run(() => new Microsoft.Playwright.Program()
            .RunWithResult(["install", "--only-shell", "chromium"]))).ExitCode;
        return code == 0 ? new() : throw new InvalidOperationException($"the download ended with {code}");
    }

    static async Task<BrowserTypeLaunchOptions?> InstallAsync()
    {
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root")
            return null;
        await RunAsync("apt-get", "update"); // a list that is not reachable is no reason to stop
        int code = await RunAsync("apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300",
            "chromium-headless-shell", "fonts-liberation");
        return code == 0 ? await OnPath("chromium-headless-shell") : throw new InvalidOperationException($"apt-get ended with {code}");
    }

    static async Task<int> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        using Process process = Process.Start(start)!;
        await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}
