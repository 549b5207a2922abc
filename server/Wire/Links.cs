using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Connections;

namespace ChatMinimal;

/// <summary>
/// The links are all TCP connections, whatever runs on them, HTTP, TLS or nothing yet. There are never so many that the process
/// runs out of descriptors: at that point a listening socket can neither accept nor refuse, and spins.
/// </summary>
sealed class Links(ChatOptions options, TimeProvider clock, OperatorLog log)
{
    /// <summary>
    /// For the first byte of a connection, and for the head of a request. Between two requests Kestrel's own limit holds: proxies
    /// hold connections ready.
    /// </summary>
    public static readonly TimeSpan SilenceTimeout = TimeSpan.FromSeconds(8);

    const int OtherDescriptors = 128; // what else the process will open: assemblies, the database's readers, the log

    static readonly byte[] s_full = Encoding.ASCII.GetBytes(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");

    readonly int _most = MostLinks(options);
    int _open;

    public TimeProvider Clock => clock;

    public TimeSpan SendTimeout => options.SendTimeout;

    /// <summary>How many there are.</summary>
    public int Open => Volatile.Read(ref _open);

    /// <summary>Connection middleware, below TLS and HTTP.</summary>
    public ConnectionDelegate Offer(ConnectionDelegate next) => connection =>
        Interlocked.Increment(ref _open) <= _most ? Link.RunAsync(connection, next, this) : RefuseAsync(connection);

    /// <summary>One has ended.</summary>
    public void Ended() => Interlocked.Decrement(ref _open);

    /// <summary>An answer that nobody reads is not held any longer.</summary>
    public void GiveUp(ConnectionContext connection)
    {
        log.AnswerNotRead(connection.RemoteEndPoint, options.SendTimeoutSeconds);
        connection.Abort();
    }

    async Task RefuseAsync(ConnectionContext connection)
    {
        try
        {
            log.TooManyLinks(_most, connection.RemoteEndPoint);
            await connection.Transport.Output.WriteAsync(s_full); // one write into an empty buffer: waits for nobody
        }
        finally
        {
            Ended();
        }
    }

    static int MostLinks(ChatOptions options)
    {
        int most = options.MaxTcpConnections > 0 ? options.MaxTcpConnections : (int)Math.Min(2L * options.MaxConnections, int.MaxValue);
        return Math.Max(1, Math.Min(most, MostDescriptors() - OpenDescriptors() - OtherDescriptors));
    }

    // Native AOT has a dozen by now; without it each assembly takes one or two.
    static int OpenDescriptors() => Directory.Exists("/proc/self/fd") ? Directory.EnumerateFileSystemEntries("/proc/self/fd").Count() : 0;

    // RLIMIT_NOFILE, as Linux tells it; elsewhere no number is known.
    static int MostDescriptors()
    {
        const string Name = "Max open files";
        if (!File.Exists("/proc/self/limits"))
            return int.MaxValue;
        string? line = File.ReadLines("/proc/self/limits").FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        string? soft = line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) ? limit : int.MaxValue;
    }
}
