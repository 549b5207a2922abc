using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using ChatMinimal.E2E.Proxies;
using Npgsql;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>
/// Behind a proxy that gives each transaction another connection, notifications do not arrive: servers follow by polling, and all else is
/// the same.
/// </summary>
[Platform(Exclude = "Win", Reason = "as Debian has it")]
public sealed class PgBouncerTests
{
    [Test]
    public async Task Behind_PgBouncer_in_transaction_mode_servers_follow_by_polling()
    {
        PostgresServer postgres = await PostgresServer.SharedAsync();
        var direct = new NpgsqlConnectionStringBuilder(await postgres.CreateAsync());
        await using PgBouncer bouncer = await PgBouncer.StartAsync(direct);
        string database = new NpgsqlConnectionStringBuilder(direct.ConnectionString)
        {
            Host = "127.0.0.1",
            Port = bouncer.Port
        }.ConnectionString;
        using var process = BuiltProcess.Server("Development", "--urls", "http://127.0.0.1:0", "--ConnectionStrings:Chat", database);
        var there = new Uri("ws" + (await process.ReadUntilAsync("démarré sur ws")).Split("sur ws")[1]);
        Assert.That(await process.ReadUntilAsync("polling"), Does.Contain("notifications do not arrive"));
        process.Ignore();
        using ChatServer a = Servers.Start(database);
        using Peer here = await Peer.ChatAsync(a, "last=0"), other = await Peer.ConnectAsync(new Uri(there, "/ws"), "chat.v1", "last=0");
        for (int i = 0; i < 50; i++)
        {
            (Peer says, Peer hears) = i % 2 == 0 ? (here, other) : (other, here);
            if (i == 25)
                await PostgresServer.ExecuteAsync(postgres.Connection("postgres"),
                    $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{direct.Database}'");
            Assert.That(await says.SayUntilReceivedAsync($"{i}", $"{i}"), Is.EqualTo(i + 1));
            Assert.That((string)(await hears.ReceiveAsync(TimeSpan.FromMinutes(1), "message"))["text"]!, Is.EqualTo($"{i}"));
        }
    }

    /// <summary>Debian's, pooling transactions, in front of one database.</summary>
    sealed class PgBouncer : IAsyncDisposable
    {
        readonly Process _process;
        readonly DirectoryInfo _folder;

        PgBouncer(Process process, DirectoryInfo folder, int port) => (_process, _folder, Port) = (process, folder, port);

        public int Port { get; }

        public static async Task<PgBouncer> StartAsync(NpgsqlConnectionStringBuilder behind)
        {
            string program = Programs.Find("pgbouncer") ?? Programs.Ignore("pgbouncer is not installed");
            DirectoryInfo folder = Directory.CreateTempSubdirectory("chatminimal-pgbouncer-");
            int port = PostgresServer.FreePort();
            string configuration = Path.Combine(folder.FullName, "pgbouncer.ini");
            await File.WriteAllTextAsync(configuration, $"""
                [databases]
                * = host={behind.Host} port={behind.Port} user={behind.Username}
                [pgbouncer]
                listen_addr = 127.0.0.1
                listen_port = {port}
                unix_socket_dir =
                auth_type = any
                pool_mode = transaction
                default_pool_size = 5
                """);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(folder.FullName, (UnixFileMode)0b111_101_101); // rwxr-xr-x
            }
            string[] command = Environment.UserName == "root"
                ? ["setpriv", "--reuid=nobody", "--clear-groups", program, configuration]
                : [program, configuration];
            var process = Process.Start(new ProcessStartInfo(command[0], command[1..])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true
            })!;
            _ = Task.WhenAll(process.StandardError.BaseStream.CopyToAsync(Stream.Null),
                process.StandardOutput.BaseStream.CopyToAsync(Stream.Null));
            await Servers.UntilAsync(async () =>
            {
                using var probe = new TcpClient();
                try
                {
                    await probe.ConnectAsync(IPAddress.Loopback, port);
                    return true;
                }
                catch (SocketException) when (!process.HasExited) { return false; }
            });
            return new PgBouncer(process, folder, port);
        }

        public async ValueTask DisposeAsync()
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
            _folder.Delete(recursive: true);
        }
    }
}
