using System.Text;
using ChatMinimal.Postgres;
using ChatMinimal.E2E.Store;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Postgres;

/// <summary>A chat moves from a file into a database and back: everything is there as it was, and clients notice nothing.</summary>
public sealed class CopyTests
{
    [Test]
    public async Task Seq_epoch_time_and_key_are_the_same_there_and_back()
    {
        using var folder = new ChatFolder();
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true), back = folder.File + "-back";
        var options = new ChatOptions { Database = folder.File, KeepMessages = 1000 };
        var logs = new Dictionary<string, string[]>();
        using (var file = Started.Sqlite(options))
        {
            for (int batch = 0; batch < 30; batch++) // the oldest are no longer retained, their keys are
                await file.SubmitAsync("a",
                    [.. Enumerable.Range(0, 100)
                        .Select(i => new Draft(i % 2 == 0 ? "Zoé" : null, i % 3 == 0 ? $"k{batch}-{i}" : null,
                            Encoding.UTF8.GetBytes($"{batch}:{i} 😀\0\"")))], default);
            await file.SubmitAsync("b", [new Draft(null, null, [])], default);
            foreach (string room in (string[])["a", "b"])
                logs[room] = await AllAsync(file, room);
        }
        Assert.That(await CopyAsync("--from", folder.File, "--to", database), Does.Match(@"^\d+ messages in 2 rooms copied\n$"));
        using (var shared = new PostgresStore(database, options, TimeProvider.System, NullLogger<PostgresStore>.Instance))
            await IsSameAsync(shared);
        Assert.That(await CopyAsync("--from", folder.File, "--to", database),
            Does.EndWith("has rooms already: a copy goes into an empty one\n"));
        await CopyAsync("--from", database, "--to", back);
        using (var file = Started.Sqlite(new ChatOptions { Database = back, KeepMessages = 1000 }))
            await IsSameAsync(file);

        async Task IsSameAsync(IMessageStore store)
        {
            foreach ((string room, string[] all) in logs)
                Assert.That(await AllAsync(store, room), Is.EqualTo(all), room);
            Submission[] known =
                await store.SubmitAsync("a", [new(null, "k0-3", "gone"u8.ToArray()), new(null, "k29-99", "another"u8.ToArray())], default);
            Assert.That(known, Is.EqualTo(new Submission[] { new(4, WasKnown: true), new(3000, WasKnown: true, IsTaken: true) }));
        }
    }

    static async Task<string> CopyAsync(params string[] arguments)
    {
        using var process = BuiltProcess.Server("Production", ["copy", .. arguments]);
        (_, string output, string error) = await process.EndAsync();
        return output + error;
    }

    static async Task<string[]> AllAsync(IMessageStore store, string room)
    {
        LogHead head = await store.OpenAsync(room, default);
        var all = new List<string> { $"{head}" };
        for (long from = head.First; from < head.Next;)
        {
            LogPage page = await store.ReadAsync(room, from, head.Next, default);
            all.AddRange(page.Messages.Select(message =>
                $"{message.Seq} {message.At:O} {message.Name} {message.Key} {Encoding.UTF8.GetString(message.Text)}"));
            from = page.Next;
        }
        return [.. all];
    }
}
