using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>The WAL is as long as somebody who reads makes it, which the operator is told, and no longer.</summary>
public sealed class WalTests
{
    const int Most = 500; // messages of 1 MiB: an end, far beyond what is needed

    [Test]
    public async Task A_WAL_that_somebody_reads_grows_which_is_told_and_without_readers_it_is_short_again()
    {
        using var folder = new ChatFolder();
        var lines = new Lines();
        var wal = new FileInfo(folder.File + "-wal");
        using var store = Started.Sqlite(new ChatOptions { Database = folder.File, MinFreeBytes = 0, KeepMessages = 1 },
            TimeProvider.System, lines);
        using var other = new SqliteConnection($"Data Source={folder.File};Pooling=False");
        other.Open();
        Run(other, "BEGIN; SELECT * FROM room"); // and forgets to end it
        await SubmitUntilAsync(store, () => lines.All.Any(line => line.Contains("MB and grows", StringComparison.Ordinal)));
        wal.Refresh();
        Assert.That(wal.Length, Is.GreaterThan(64 << 20));

        Run(other, "COMMIT");
        await SubmitUntilAsync(store, () =>
        {
            wal.Refresh();
            return wal.Length <= 16 << 20; // 8 MB, and what was written since
        });
        Assert.That(lines.All, Has.Length.LessThan(4), "told of each doubling, not of each batch");
    }

    static async Task SubmitUntilAsync(SqliteStore store, Func<bool> isSo)
    {
        for (int i = 0; i < Most; i++)
        {
            await store.SubmitAsync("a", [new Draft(null, null, new byte[1 << 20])], default);
            if (isSo())
                return;
        }
        Assert.Fail($"not after {Most} MB");
    }

    static void Run(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
