using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Microsoft.Data.Sqlite;

namespace ChatMinimal.E2E.Crash;

/// <summary>A server that is treated badly: always on the same port and file, whichever process it is.</summary>
sealed class CrashServer : IAsyncDisposable
{
    readonly ChatFolder _folder = new();
    readonly int _port = FreePort();
    TaskCompletionSource _up = new();

    public BuiltProcess Process { get; private set; } = null!;
    public int Port => _port;
    public string File => _folder.File;

    /// <summary>Completes when there is one to connect to.</summary>
    public Task Up() => Volatile.Read(ref _up).Task;

    public async Task StartAsync()
    {
        Process = Another();
        await Process.ReadUntilAsync("Serveur WebSocket démarré");
        Process.Ignore();
        Volatile.Read(ref _up).TrySetResult();
    }

    /// <summary>One more on the same file.</summary>
    public BuiltProcess Another() =>
        BuiltProcess.Server("Development", "--urls", $"http://127.0.0.1:{_port}", "--Chat:Database", File, "--Chat:MessagesPerSecond", "0");

    /// <summary>By kill -9, or as asked for.</summary>
    public async Task EndAsync(bool kindly = false)
    {
        Volatile.Write(ref _up, new TaskCompletionSource());
        if (kindly)
            Process.Signal("TERM");
        else
            Process.Kill();
        await Process.ExitAsync();
        Process.Dispose();
    }

    public async Task<long> LastSeqAsync()
    {
        using var http = new HttpClient();
        return (long)JsonNode.Parse(await http.GetStringAsync($"http://127.0.0.1:{_port}/messages?last=0"))!["next"]! - 1;
    }

    /// <summary>The first column of what the file has to say to this.</summary>
    public List<string> Sql(string sql) => Read(sql, row => $"{row.GetValue(0)}");

    public List<Entry> Kept() =>
        Read("SELECT seq, text FROM message WHERE room = 'salon' ORDER BY seq", row => new Entry(row.GetInt64(0), row.GetString(1)));

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return default;
    }

    List<T> Read<T>(string sql, Func<SqliteDataReader, T> of)
    {
        using var connection = new SqliteConnection($"Data Source={File};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader row = command.ExecuteReader();
        var all = new List<T>();
        while (row.Read())
            all.Add(of(row));
        return all;
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
