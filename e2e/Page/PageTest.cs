using System.Collections.Concurrent;
using Microsoft.Playwright;
using NUnit.Framework;
using NUnit.Framework.Interfaces;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// A person's story: people (a browser context each) who open pages of a server, all at a desk or all on a phone. When a story
/// fails, a screenshot of each person's page is kept, and where E2E_TRACE is set a trace. However it ends, no page may have complained on
/// its console.
/// </summary>
public abstract class PageTest(Profile profile = Profile.Desk)
{
    const float Patience = 60_000; // ms; it is never waited out where all is well
    // A snapshot at each step takes its time
    static readonly bool s_isTraced = Environment.GetEnvironmentVariable("E2E_TRACE") is { Length: > 0 };

    readonly List<(IBrowserContext Context, IPage Page)> _people = [];
    readonly List<ChatServer> _servers = [];
    readonly ConcurrentQueue<string> _complaints = new();

    /// <summary>
    /// What the browser reports by itself while a link is down or a server stops, and while the page asks why: nobody answers, the answer
    /// is cut short, or it is that the server is shutting down.
    /// </summary>
    protected static readonly string[] NoConnection = ["WebSocket connection to", "Failed to load resource: net::ERR_", "status of 503"];

    /// <summary>A script: from now on nothing happens on the page because time has passed.</summary>
    protected const string StopTime = "() => { globalThis.setTimeout = () => 0; }";

    const string BlockedWorker = "Service Worker registration blocked by Playwright";

    /// <summary>What a page may complain about in this story.</summary>
    protected string[] Expected { get; set; } = [];

    /// <summary>A server for this story. It ends after the pages have, so that none of them sees it go unless the story says so.</summary>
    internal ChatServer Serve(ChatServer server)
    {
        _servers.Add(server);
        return server;
    }

    /// <summary>A person opens a page; French unless said otherwise.</summary>
    internal async Task<Person> OpenAsync(string address, BrowserNewContextOptions? options = null, Func<IPage, Task>? prepare = null)
    {
        options ??= new();
        options.Locale ??= "fr-FR";
        options.ServiceWorkers ??= ServiceWorkerPolicy.Block; // a story that answers in the server's place is not to be answered by one
        if (profile == Profile.Phone)
            (options.ViewportSize, options.IsMobile, options.HasTouch) =
                (options.ViewportSize ?? new() { Width = 390, Height = 844 }, true, true);
        IBrowserContext context = await Browser.Instance.NewContextAsync(options);
        if (s_isTraced)
            await context.Tracing.StartAsync(new() { Snapshots = true });
        IPage page = await context.NewPageAsync();
        _people.Add((context, page));
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning" && message.Text != BlockedWorker
                && !Expected.Any(text => message.Text.Contains(text, StringComparison.Ordinal)))
                _complaints.Enqueue(message.Text);
        };
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.SetDefaultTimeout(Patience);
        await page.AddInitScriptAsync("Math.random = () => 0.01;"); // the jitter of the back-off: a test is always lucky
        if (prepare is not null)
            await prepare(page);
        await page.GotoAsync(address);
        return new Person(page);
    }

    internal Task<Person> OpenAsync(ChatServer server, string query = "", BrowserNewContextOptions? options = null, Func<IPage,
        Task>? prepare = null) =>
        OpenAsync($"{server.Http}{query}", options, prepare);

    [SetUp]
    public void BePatient() => Assertions.SetDefaultExpectTimeout(Patience);

    [TearDown]
    public async Task EndAsync()
    {
        bool failed = TestContext.CurrentContext.Result.Outcome.Status == TestStatus.Failed;
        for (int i = 0; i < _people.Count; i++)
        {
            (IBrowserContext context, IPage page) = _people[i];
            if (failed)
                await KeepAsync(context, page, $"{TestContext.CurrentContext.Test.MethodName}-{i}");
            await context.CloseAsync();
        }
        foreach (ChatServer server in _servers)
            await server.DisposeAsync();
        if (!failed)
            Assert.That(_complaints, Is.Empty, "no console error anywhere");
    }

    static async Task KeepAsync(IBrowserContext context, IPage page, string name)
    {
        string folder = Path.Combine(BuiltProcess.PathOf("Root"), "TestResults", "pages");
        Directory.CreateDirectory(folder);
        string screenshot = Path.Combine(folder, $"{name}.png"), trace = Path.Combine(folder, $"{name}.zip");
        await page.ScreenshotAsync(new() { Path = screenshot });
        TestContext.AddTestAttachment(screenshot);
        if (!s_isTraced)
            return;
        await context.Tracing.StopAsync(new() { Path = trace });
        TestContext.AddTestAttachment(trace);
    }
}

/// <summary>What the people of a story sit in front of: 1280 x 720 with a mouse, or 390 x 844 with a finger.</summary>
public enum Profile
{
    Desk,
    Phone,
}

/// <summary>A page as the one in front of it sees it.</summary>
sealed class Person(IPage page)
{
    public IPage Page => page;
    public ILocator Input => page.GetByRole(AriaRole.Textbox, new() { NameRegex = new("^Message$"), Exact = true });
    public ILocator Name => page.GetByLabel(new System.Text.RegularExpressions.Regex("^(Votre nom|Your name)$"));
    public ILocator Status => page.GetByRole(AriaRole.Status);
    public ILocator Log => page.GetByRole(AriaRole.Log);
    public ILocator Messages => page.Locator("#messages p");
    public ILocator Pending => Log.GetByRole(AriaRole.Img, new() { Name = "En attente" });
    public ILocator Me => page.Locator("#me");
    public ILocator Online => page.Locator("#online");
    public ILocator Notice => page.Locator("#notice");
    public ILocator Authors => page.Locator(".author");
    public ILocator Dividers => page.Locator(".divider");
    public ILocator Newer => page.Locator("#newer");

    public Task IsConnectedAsync() =>
        Assertions.Expect(Status).ToHaveTextAsync(new System.Text.RegularExpressions.Regex("^\\s*(Connecté|Connected)\\s*$"));

    public async Task CallThemselvesAsync(string name)
    {
        if (!await Name.IsVisibleAsync())
            await page.GetByRole(AriaRole.Button, new() { Name = "changer" }).ClickAsync();
        await Name.FillAsync(name);
        await Name.PressAsync("Enter");
    }

    public async Task SayAsync(string text)
    {
        await Input.FillAsync(text);
        await Input.PressAsync("Enter");
    }

    /// <summary>Sees exactly these messages, in this order.</summary>
    public Task SeesAsync(params IEnumerable<string> texts) => Assertions.Expect(Messages).ToHaveTextAsync(texts);
}
