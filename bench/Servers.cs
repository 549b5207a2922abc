using System.Diagnostics;
using System.Globalization;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace ChatMinimal.Bench;

/// <summary>
/// Several of our servers on one PostgreSQL, against one on SQLite: talkers in one room, each of which says its next message when it hears
/// its own. Told: messages a second, how long each took, and the CPU that a message costs the servers and the database.
/// </summary>
static class Servers
{
    const int Talkers = 32; // in all, spread over the servers

    static readonly TimeSpan s_warm = TimeSpan.FromSeconds(4), s_measure = TimeSpan.FromSeconds(10);

    public static async Task RunAsync(string connection, string data)
    {
        Console.WriteLine($"{Talkers} talkers in one room, closed loop, 64 bytes; {s_measure.TotalSeconds} s; {Environment.ProcessorCount} cores for everything\n");
        Console.WriteLine("| store | servers | messages/s | p50 ms | p99 ms | servers, us CPU/message | engine, us CPU/message |\n|---|---|---|---|---|---|---|");
        await MeasureAsync("SQLite", 1, null, null);
        foreach (int servers in (int[])[1, 2, 4])
            await MeasureAsync("PostgreSQL", servers, connection, data);
    }

    static async Task MeasureAsync(string store, int count, string? connection, string? data)
    {
        string folder = Directory.CreateTempSubdirectory("chatminimal-bench-").FullName;
        int[] ports = [.. Enumerable.Range(0, count).Select(_ => Child.FreePort())];
        Child[] children = [.. ports.Select(port => Start(port, folder, connection))];
        try
        {
            for (int i = 0; i < count; i++)
                if (!children[i].Answers(ports[i], "/healthz", upgrade: false, TimeSpan.FromSeconds(30)))
                    throw new InvalidOperationException("a server does not answer");
            string room = Path.GetFileName(folder).Replace('.', '-');
            using var stop = new CancellationTokenSource();
            var latencies = new List<double>();
            bool isMeasured = false;
            Task[] talking = [.. Enumerable.Range(0, Talkers)
                .Select(i => TalkAsync(new Uri($"ws://127.0.0.1:{ports[i % count]}/ws?last=0&room={room}"), i, took =>
            {
                lock (latencies)
                    if (Volatile.Read(ref isMeasured))
                        latencies.Add(took);
            }, stop.Token))];
            await Task.Delay(s_warm);
            double servers = Cpu(children), engine = EngineCpu(data);
            Volatile.Write(ref isMeasured, true);
            await Task.Delay(s_measure);
            Volatile.Write(ref isMeasured, false);
            (servers, engine) = (Cpu(children) - servers, EngineCpu(data) - engine);
            await stop.CancelAsync();
            await Task.WhenAll(talking);
            latencies.Sort();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {store} | {count} | {latencies.Count / s_measure.TotalSeconds:F0} | {latencies[latencies.Count / 2]:F1} | {latencies[latencies.Count * 99 / 100]:F1} | {1e6 * servers / latencies.Count:F0} | {(connection is null ? "in the server" : $"{1e6 * engine / latencies.Count:F0}")} |"));
        }
        finally
        {
            foreach (Child child in children)
                child.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }

    static Child Start(int port, string folder, string? connection)
    {
        string[] store = connection is null ? [] : [$"--ConnectionStrings:Chat={connection}"];
        Launch launch = Workshop.Published(aot: false, ["--Logging:LogLevel:Default=Warning", .. store]);
        string[] command = [.. launch.Command.Select(part => part.Replace("{port}", $"{port}", StringComparison.Ordinal)
            .Replace("{folder}", folder, StringComparison.Ordinal))];
        return new Child(command, folder, Path.Combine(folder, $"{port}.log"), cores: []);
    }

    static async Task TalkAsync(Uri server, int who, Action<double> took, CancellationToken stop)
    {
        try
        {
            using var socket = new ClientWebSocket();
            socket.Options.AddSubProtocol("chat.v1");
            await socket.ConnectAsync(server, stop);
            var buffer = new byte[64 << 10];
            string text = new('x', 64);
            for (int i = 0; ; i++)
            {
                string key = $"{who}-{i}";
                long since = Stopwatch.GetTimestamp();
                await socket.SendAsync(Encoding.UTF8.GetBytes($$"""{"type":"say","key":"{{key}}","text":"{{text}}"}"""),
                    WebSocketMessageType.Text, true, stop);
                while (await ReceiveAsync(socket, buffer, stop) != key) { }
                took(Stopwatch.GetElapsedTime(since).TotalMilliseconds);
            }
        }
        catch (OperationCanceledException) { } // it is over
    }

    // The key of what was said, if it has one.
    static async Task<string?> ReceiveAsync(ClientWebSocket socket, byte[] buffer, CancellationToken stop)
    {
        int length = 0;
        ValueWebSocketReceiveResult received;
        do
        {
            received = await socket.ReceiveAsync(buffer.AsMemory(length), stop);
            length += received.Count;
        }
        while (!received.EndOfMessage);
        using var said = JsonDocument.Parse(buffer.AsMemory(0, length));
        return said.RootElement.TryGetProperty("key", out JsonElement key) ? key.GetString() : null;
    }

    static double Cpu(Child[] children) => children.Sum(child => new ProcessUsage(child.Id).CpuSeconds());

    // Of the PostgreSQL whose data is in this folder: its processes work there.
    static double EngineCpu(string? data) => data is null ? 0 : Process.GetProcesses().Sum(process =>
    {
        using (process)
            try
            {
                return process.ProcessName.StartsWith("postgres", StringComparison.Ordinal) // and what it does
                    && Directory.ResolveLinkTarget($"/proc/{process.Id}/cwd", returnFinalTarget: false)?.FullName == data
                    ? process.TotalProcessorTime.TotalSeconds
                    : 0;
            }
            catch (Exception error) when (error is IOException or InvalidOperationException)
            {
                return 0; // it has ended
            }
    });
}
