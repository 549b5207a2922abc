using ChatMinimal.Sqlite;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>Several read the file at once, and one writes it.</summary>
public sealed class ReadersTests
{
    [Test]
    public async Task Several_read_at_once_each_its_own_moment_and_the_writer_commits_meanwhile()
    {
        using var folder = new ChatFolder();
        using var store = Started.Sqlite(new ChatOptions { Database = folder.File });
        using var readers = new Readers(folder.File);
        using var inside = new CountdownEvent(Readers.Most);
        using var committed = new ManualResetEventSlim();
        using CancellationTokenSource limit = Rig.Patience();
        await SubmitAsync(store);

        (long Before, long After)[] read;
        Task<(long, long)>[] reading = [.. Enumerable.Range(0, Readers.Most).Select(_ => readers.ReadAsync(file =>
        {
            long before = NextOf(file);
            inside.Signal();
            committed.Wait(limit.Token);
            return (before, NextOf(file));
        }, limit.Token))];
        try
        {
            Assert.That(await Task.Run(() => inside.Wait(TimeSpan.FromSeconds(60), limit.Token)), "all of them are at it");
            await SubmitAsync(store); // which waits for none of them
        }
        finally
        {
            committed.Set();
            read = await Task.WhenAll(reading);
        }
        Assert.That(read, Is.All.EqualTo((2L, 2L)), "of one moment");
        Assert.That(await readers.ReadAsync(NextOf, limit.Token), Is.EqualTo(3));
    }

    [Test]
    public async Task However_many_want_to_read_there_are_so_many_connections_and_no_more()
    {
        using var folder = new ChatFolder();
        using var store = Started.Sqlite(new ChatOptions { Database = folder.File });
        using var readers = new Readers(folder.File);
        using var full = new CountdownEvent(Readers.Most);
        using CancellationTokenSource limit = Rig.Patience();
        int now = 0, most = 0;
        await Task.WhenAll(Enumerable.Range(0, 10 * Readers.Most).Select(_ => readers.ReadAsync(file =>
        {
            int at = Interlocked.Increment(ref now);
            InterlockedMax(ref most, at);
            if (!full.IsSet)
                full.Signal();
            full.Wait(limit.Token); // so that nobody leaves before as many as may be are there
            Interlocked.Decrement(ref now);
            return NextOf(file);
        }, limit.Token)));
        Assert.That(most, Is.EqualTo(Readers.Most));
    }

    static long NextOf(ChatFile file) => Rows.ReadHead(file, "salon", "").Head.Next;

    static async Task SubmitAsync(SqliteStore store) =>
        await store.SubmitAsync("salon", [new Draft(null, null, "salut"u8.ToArray())], default);

    static void InterlockedMax(ref int most, int value)
    {
        for (int seen = Volatile.Read(ref most); seen < value; seen = Volatile.Read(ref most))
            if (Interlocked.CompareExchange(ref most, value, seen) == seen)
                return;
    }
}
