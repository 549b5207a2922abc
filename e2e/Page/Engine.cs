using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ChatMinimal.E2E.Page;

/// <summary>A browser that Playwright does not drive as it is installed: one page of Firefox, or of WebKit.</summary>
interface IEngine : IAsyncDisposable
{
    Task OpenAsync(string address);

    /// <summary>The value of an expression, by way of JSON; a promise is not waited for.</summary>
    Task<JsonNode?> EvaluateAsync(string expression);

    /// <summary>Types into what has the focus, by keys. \n is Enter.</summary>
    Task TypeAsync(string text);

    Task<byte[]> ScreenshotAsync();

    /// <summary>Gives the page this size, or the nearest that the engine's window can have.</summary>
    Task ResizeAsync(int width, int height);
}

static class Engine
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60); // for what takes three on a machine that is not busy

    const string Enter = "\uE007";

    public static string? PathOf(params string[] candidates) => candidates
        .SelectMany(name => Path.IsPathRooted(name) ? [name] : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, name)))
        .FirstOrDefault(File.Exists);

    public static IEnumerable<string> Keys(string text) =>
        text.Replace("\n", Enter, StringComparison.Ordinal).EnumerateRunes().Select(rune => rune.ToString());

    /// <summary>Waits until an expression is true.</summary>
    public static async Task UntilAsync(this IEngine engine, string expression)
    {
        var watch = Stopwatch.StartNew();
        while (await engine.EvaluateAsync($"!!({expression})") is not JsonValue value || !value.GetValue<bool>())
        {
            if (watch.Elapsed > Patience)
                throw new TimeoutException($"{expression}; the page says: {await engine.EvaluateAsync("document.body.innerText.slice(0, 2000)")}");
            await Task.Yield();
        }
    }

    public static Process Start(string program, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Reads on until a line has what is looked for, and returns what follows it; what comes later is dropped.</summary>
    public static async Task<string> ReadUntilAsync(StreamReader output, string mark)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (await output.ReadLineAsync(limit.Token) is { } line)
        {
            if (line.IndexOf(mark, StringComparison.Ordinal) is var at and >= 0)
            {
                _ = output.ReadToEndAsync(CancellationToken.None);
                return line[(at + mark.Length)..].Trim();
            }
        }
        throw new InvalidOperationException($"ended without saying {mark}");
    }

    public static async Task EndAsync(Process? process)
    {
        if (process is null)
            return;
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
    }
}

/// <summary>Firefox, by WebDriver BiDi over its own socket.</summary>
sealed class FirefoxEngine : IEngine
{
    readonly DirectoryInfo _profile = Directory.CreateTempSubdirectory("chatminimal-firefox-");
    readonly ClientWebSocket _socket = new();
    Process? _process;
    string _context = "";
    int _id;

    public static string? Program => Engine.PathOf("firefox-esr", "firefox");

    public static async Task<IEngine> StartAsync()
    {
        var engine = new FirefoxEngine();
        await File.WriteAllTextAsync(Path.Combine(engine._profile.FullName, "user.js"), """
            user_pref("intl.accept_languages", "fr-FR, fr");
            user_pref("datareporting.policy.dataSubmissionEnabled", false);
            user_pref("app.update.enabled", false);
            user_pref("network.captive-portal-service.enabled", false);
            user_pref("network.connectivity-service.enabled", false);
            """);
        engine._process = Engine.Start(Program!,
            ["--headless", "--no-remote", "--profile", engine._profile.FullName, "--remote-debugging-port", "0"],
                ("MOZ_HEADLESS_WIDTH", "1280"), ("MOZ_HEADLESS_HEIGHT", "800"));
        string address = await Engine.ReadUntilAsync(engine._process.StandardError, "WebDriver BiDi listening on ");
        using var limit = new CancellationTokenSource(Engine.Patience);
        await engine._socket.ConnectAsync(new Uri($"{address}/session"), limit.Token);
        await engine.CallAsync("session.new", new JsonObject { ["capabilities"] = new JsonObject() });
        engine._context = (string)(await engine.CallAsync("browsingContext.getTree", []))["contexts"]![0]!["context"]!;
        return engine;
    }

    public Task OpenAsync(string address) =>
        CallAsync("browsingContext.navigate", new() { ["context"] = _context, ["url"] = address, ["wait"] = "complete" });

    public async Task<JsonNode?> EvaluateAsync(string expression)
    {
        JsonNode answer = await CallAsync("script.evaluate", new()
        {
            ["expression"] = $"JSON.stringify({expression}) ?? 'null'",
            ["target"] = new JsonObject { ["context"] = _context },
            ["awaitPromise"] = false,
        });
        return (string?)answer["type"] == "success"
            ? JsonNode.Parse((string)answer["result"]!["value"]!)
            : throw new InvalidOperationException(answer.ToJsonString());
    }

    public Task TypeAsync(string text)
    {
        var actions = new JsonArray([.. Engine.Keys(text)
            .SelectMany(key => (JsonNode[])[new JsonObject { ["type"] = "keyDown", ["value"] = key },
                new JsonObject { ["type"] = "keyUp", ["value"] = key }])]);
        return CallAsync("input.performActions",
            new()
            {
                ["context"] = _context,
                ["actions"] = new JsonArray(new JsonObject { ["type"] = "key", ["id"] = "keys", ["actions"] = actions })
            });
    }

    public async Task<byte[]> ScreenshotAsync() =>
        Convert.FromBase64String((string)(await CallAsync("browsingContext.captureScreenshot", new() { ["context"] = _context }))["data"]!);

    public Task ResizeAsync(int width, int height) =>
        CallAsync("browsingContext.setViewport",
            new() { ["context"] = _context, ["viewport"] = new JsonObject { ["width"] = width, ["height"] = height } });

    async Task<JsonNode> CallAsync(string method, JsonObject parameters)
    {
        int id = ++_id;
        using var limit = new CancellationTokenSource(2 * Engine.Patience);
        byte[] call = Encoding.UTF8.GetBytes(new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters }.ToJsonString());
        await _socket.SendAsync(call.AsMemory(), WebSocketMessageType.Text, true, limit.Token);
        while (true)
        {
            JsonNode answer = JsonNode.Parse(await ReceiveAsync(limit.Token))!;
            if ((int?)answer["id"] != id)
                continue; // an event
            return answer["result"] ?? throw new InvalidOperationException(answer.ToJsonString());
        }
    }

    async Task<string> ReceiveAsync(CancellationToken cancel)
    {
        using var message = new MemoryStream();
        var buffer = new byte[65536];
        ValueWebSocketReceiveResult received;
        do
        {
            received = await _socket.ReceiveAsync(buffer.AsMemory(), cancel);
            message.Write(buffer, 0, received.Count);
        }
        while (!received.EndOfMessage);
        return Encoding.UTF8.GetString(message.ToArray());
    }

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        await Engine.EndAsync(_process);
        _profile.Delete(recursive: true);
    }
}

/// <summary>WebKitGTK, by WebDriver, on a display of its own.</summary>
sealed class WebKitEngine : IEngine
{
    readonly HttpClient _http = new() { Timeout = 2 * Engine.Patience };
    Process? _display, _driver;
    string _session = "";

    public static string? Missing =>
        Engine.PathOf("WebKitWebDriver") is null ? "WebKitWebDriver (webkit2gtk-driver)" : MiniBrowser is null ? "MiniBrowser"
            : Engine.PathOf("Xvfb") is null ? "Xvfb" : null;

    static string? MiniBrowser =>
        Engine.PathOf("/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser", "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser");

    public static async Task<IEngine> StartAsync()
    {
        var engine = new WebKitEngine
        {
            _display =
            Engine.Start(Engine.PathOf("Xvfb")!, ["-displayfd", "1", "-screen", "0", "1400x1000x24"])
        };
        string? number = await engine._display.StandardOutput.ReadLineAsync().WaitAsync(Engine.Patience);
        int port = FreePort();
        // MiniBrowser's own sandbox needs namespaces that a container does not give.
        engine._driver = Engine.Start(Engine.PathOf("WebKitWebDriver")!, [$"--port={port}"], ("DISPLAY", $":{number}"),
            ("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1"), ("LIBGL_ALWAYS_SOFTWARE", "1"));
        engine._http.BaseAddress = new Uri($"http://127.0.0.1:{port}/");
        await engine.AnswersAsync(port);
        var options = new JsonObject { ["binary"] = MiniBrowser, ["args"] = new JsonArray("--automation") };
        JsonNode session = (await engine.CallAsync("session",
            new() { ["capabilities"] = new JsonObject { ["alwaysMatch"] = new JsonObject { ["webkitgtk:browserOptions"] = options } } }))!;
        engine._session = $"session/{session["sessionId"]}";
        await engine.ResizeAsync(1280, 800);
        return engine;
    }

    public Task OpenAsync(string address) => CallAsync($"{_session}/url", new() { ["url"] = address });

    public async Task<JsonNode?> EvaluateAsync(string expression) =>
        JsonNode.Parse((string)(await CallAsync($"{_session}/execute/sync",
            new() { ["script"] = $"return JSON.stringify({expression}) ?? 'null'", ["args"] = new JsonArray() }))!);

    public async Task TypeAsync(string text)
    {
        JsonNode active = (await CallAsync($"{_session}/element/active", null))!;
        await CallAsync($"{_session}/element/{active.AsObject().First().Value}/value",
            new() { ["text"] = string.Concat(Engine.Keys(text)) });
    }

    public async Task<byte[]> ScreenshotAsync() => Convert.FromBase64String((string)(await CallAsync($"{_session}/screenshot", null))!);

    public async Task ResizeAsync(int width, int height)
    {
        const int Bars = 60; // of the window
        await CallAsync($"{_session}/window/rect", new() { ["width"] = width, ["height"] = height + Bars });
    }

    // GET where there is nothing to say, POST where there is.
    async Task<JsonNode?> CallAsync(string path, JsonObject? body)
    {
        using HttpResponseMessage response = body is null ? await _http.GetAsync(path) : await _http.PostAsJsonAsync(path, body);
        JsonNode? value = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["value"];
        return response.IsSuccessStatusCode
            ? value?.DeepClone()
            : throw new InvalidOperationException(value?.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
    }

    async Task AnswersAsync(int port)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync("127.0.0.1", port);
                return;
            }
            catch (SocketException) when (watch.Elapsed < Engine.Patience && !_driver!.HasExited) { } // not yet
        }
    }

    static int FreePort()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            using HttpResponseMessage _ = await _http.DeleteAsync(_session);
        }
        catch (HttpRequestException) { } // it has gone already
        _http.Dispose();
        await Engine.EndAsync(_driver);
        await Engine.EndAsync(_display);
    }
}
