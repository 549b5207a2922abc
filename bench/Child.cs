using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ChatMinimal.Bench;

/// <summary>A child is a process that the benchmark started, on the core it was given, and that does not outlive it.</summary>
sealed class Child : IDisposable
{
    static readonly List<Process> s_alive = [];

    readonly Process _process;

    /// <param name="log">Where its output goes; null when we read it.</param>
    /// <param name="cores">The cores it gets; none: any.</param>
    public Child(string[] command, string folder, string? log, int[] cores, params (string Name, string Value)[] environment)
    {
        string[] pin = cores.Length > 0 ? ["taskset", "-c", string.Join(',', cores)] : [];
        string[] whole = log is null
            ? [.. pin, .. command]
            : ["/bin/sh", "-c", "log=$1; shift; exec \"$@\" >\"$log\" 2>&1 </dev/null", "sh", log, .. pin, .. command];
        var start = new ProcessStartInfo(whole[0], whole[1..]) { WorkingDirectory = folder, RedirectStandardOutput = log is null };
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        lock (s_alive)
        {
            _process = Process.Start(start)!;
            s_alive.Add(_process);
        }
    }

    public int Id => _process.Id;
    public bool Ended => _process.HasExited;

    /// <summary>Null, when it did not end in time.</summary>
    public string? Output(TimeSpan limit)
    {
        Task<string> output = _process.StandardOutput.ReadToEndAsync();
        return output.Wait(limit) ? output.Result : null;
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Asks until the answer begins as it should: "HTTP/1.1 101" for an upgrade, "HTTP/1.1 200" for a page.</summary>
    public bool Answers(int port, string path, bool upgrade, TimeSpan limit)
    {
        byte[] request = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n" + (upgrade
            ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            : "Connection: close\r\n\r\n"));
        string wanted = upgrade ? "HTTP/1.1 101" : "HTTP/1.1 200";
        byte[] answer = new byte[1024];
        for (var time = Stopwatch.StartNew(); time.Elapsed < limit && !Ended; Thread.Sleep(1))
        {
            try
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 2000 };
                socket.Connect(IPAddress.Loopback, port);
                _ = socket.Send(request);
                int count = socket.Receive(answer);
                if (Encoding.ASCII.GetString(answer, 0, count).StartsWith(wanted, StringComparison.Ordinal))
                    return true;
            }
            catch (SocketException) { } // not yet
        }
        return false;
    }

    public void Dispose()
    {
        Kill(_process);
        lock (s_alive)
            _ = s_alive.Remove(_process);
        _process.Dispose();
    }

    public static void KillAll()
    {
        lock (s_alive)
            s_alive.ForEach(Kill);
    }

    static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
            _ = process.WaitForExit(5000);
        }
        catch (InvalidOperationException) { } // it has ended
    }
}
