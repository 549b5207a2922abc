using System.Text;
using ChatMinimal.E2E.Store;
using ChatMinimal.Postgres;
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

    [Test]
    public async Task The_lines_of_an_export_are_imported_into_a_room_of_a_database()
    {
        using var folder = new ChatFolder();
        string database = await (await PostgresServer.SharedAsync()).CreateAsync(isHasty: true), lines = folder.File + ".jsonl";
        var begin = new DateTime(2026, 11, 25, 20, 0, 0, DateTimeKind.Utc);
        Message[] messages = [.. Enumerable.Range(301, 1000).Where(seq => seq != 500).Select(seq => new Message(seq,
            begin.AddMilliseconds(seq / 300), seq % 2 == 0 ? "Zoé" : null, Encoding.UTF8.GetBytes($"{seq} 😀\0\""),
            seq % 3 == 0 ? $"k{seq}" : null))];
        byte[] all = [.. messages.SelectMany(message => (byte[])[.. ServerMessage.Json(message), (byte)'\n'])];
        string[] import = ["import", lines, "--room", "a", "--ConnectionStrings:Chat", database];

        await File.WriteAllBytesAsync(lines, [.. all, .. all]);
        Assert.That(await RunAsync(import), Is.EqualTo("chatminimal: line 1000: message 301 comes after message 1300\n"));
        await File.WriteAllBytesAsync(lines, all);
        Assert.That(await RunAsync(import), Is.EqualTo("999 messages imported into room 'a'\n"));
        Assert.That(await RunAsync(import), Does.EndWith("has messages already: an import goes into an empty one\n"));

        using var store = new PostgresStore(database, new ChatOptions(), TimeProvider.System, NullLogger<PostgresStore>.Instance);
        LogHead head = await store.OpenAsync("a", default);
        Assert.That((head.First, head.Next), Is.EqualTo((301L, 1301L)));
        Assert.That((await AllAsync(store, "a"))[1..], Is.EqualTo(messages.Select(TextOf)));
        Submission[] known = await store.SubmitAsync("a", [new(null, "k303", messages[2].Text), new(null, "new", [])], default);
        Assert.That(known, Is.EqualTo(new Submission[] { new(303, WasKnown: true), new(1301, WasKnown: false) }));
    }

    static Task<string> CopyAsync(params string[] arguments) => RunAsync(["copy", .. arguments]);

    static async Task<string> RunAsync(string[] arguments)
    {
        using var process = BuiltProcess.Server("Production", arguments);
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
            all.AddRange(page.Messages.Select(TextOf));
            from = page.Next;
        }
        return [.. all];
    }

    static string TextOf(Message message) =>
        $"{message.Seq} {message.At:O} {message.Name} {message.Key} {Encoding.UTF8.GetString(message.Text)}";
}
