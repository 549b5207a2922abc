using System.Collections.Concurrent;
using Microsoft.Playwright;
using NUnit.Framework;
using NUnit.Framework.Interfaces;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// A person's story: people (a browser context each) who open pages of a server. When a story fails, a trace and a
/// screenshot of each person's page are kept. However it ends, no page may have complained on its console.
/// </summary>
public abstract class PageTest
{
    readonly List<(IBrowserContext Context, IPage Page)> _people = [];
    readonly List<ChatServer> _servers = [];
    readonly ConcurrentQueue<string> _complaints = new();

    /// <summary>What a page may complain about in this story: the browser itself reports each connection that fails.</summary>
    protected string? Expected { get; set; }

    /// <summary>A server for this story. It ends after the pages have, so that none of them sees it go unless the story says so.</summary>
    internal ChatServer Serve(ChatServer server)
    {
        _servers.Add(server);
        return server;
    }

    /// <summary>A person opens a page; French unless said otherwise.</summary>
    internal async Task<Person> OpenAsync(string address, BrowserNewContextOptions? options = null)
    {
        options ??= new();
        options.Locale ??= "fr-FR";
        IBrowserContext context = await Browser.Instance.NewContextAsync(options);
        await context.Tracing.StartAsync(new() { Snapshots = true });
        IPage page = await context.NewPageAsync();
        _people.Add((context, page));
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning" && (Expected is null || !message.Text.Contains(Expected, StringComparison.Ordinal)))
                _complaints.Enqueue(message.Text);
        };
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.SetDefaultTimeout(15_000);
        await page.GotoAsync(address);
        return new Person(page);
    }

    internal Task<Person> OpenAsync(ChatServer server, string query = "", BrowserNewContextOptions? options = null) =>
        OpenAsync($"{server.Http}{query}", options);

    [SetUp]
    public void Patience() => Assertions.SetDefaultExpectTimeout(15_000);

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
        await context.Tracing.StopAsync(new() { Path = trace });
        TestContext.AddTestAttachment(screenshot);
        TestContext.AddTestAttachment(trace);
    }
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
    public ILocator Pending => Log.GetByText("en attente");
    public ILocator Newer => page.Locator("#newer");

    public Task IsConnectedAsync() => Assertions.Expect(Status).ToHaveTextAsync(new System.Text.RegularExpressions.Regex("^\\s*(Connecté|Connected)\\s*$"));

    public async Task CallThemselvesAsync(string name)
    {
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
