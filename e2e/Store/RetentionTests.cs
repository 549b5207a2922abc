using System.Text;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>KeepDays: a message is retained so long, within the hour; in a room that nobody speaks in any more, too.</summary>
[TestFixture("memory"), TestFixture("sqlite")]
public sealed class RetentionTests(string kind) : IDisposable
{
    readonly ChatFolder _folder = new();
    readonly FakeTimeProvider _clock = new(new DateTimeOffset(2001, 2, 3, 10, 0, 0, TimeSpan.Zero));
    IMessageStore? _store;

    public void Dispose()
    {
        (_store as IDisposable)?.Dispose();
        _folder.Dispose();
    }

    IMessageStore Open(int keepDays)
    {
        var options = new ChatOptions { Database = _folder.File, KeepDays = keepDays };
        return _store = kind == "memory"
            ? new MemoryStore(options, _clock)
            : Started.Sqlite(options, _clock);
    }

    [Test]
    public async Task After_so_many_days_a_message_is_a_gap_its_key_is_known_and_what_is_younger_stays()
    {
        IMessageStore store = Open(keepDays: 2);
        await SayAsync(store, "a", "old", key: "k");
        await SayAsync(store, "quiet", "old");
        _clock.Advance(TimeSpan.FromHours(30));
        await SayAsync(store, "a", "young");
        _clock.Advance(TimeSpan.FromHours(17)); // 47 hours
        await store.CheckAsync(default);
        Assert.That(await store.OpenAsync("a", default), Has.Property("First").EqualTo(1), "not yet");

        _clock.Advance(TimeSpan.FromHours(2)); // 49
        await FirstIsAsync(store, "a", 2);
        await FirstIsAsync(store, "quiet", 2);
        LogPage page = await store.ReadAsync("a", 1, long.MaxValue, default);
        Assert.That(page.Messages.Select(message => (message.Seq, Encoding.UTF8.GetString(message.Text))),
            Is.EqualTo(new[] { (2L, "young") }));
        Assert.That(await SayAsync(store, "a", "other", key: "k"), Is.EqualTo(new Submission(1, WasKnown: true)),
            "there is no text to compare");
        Assert.That(await SayAsync(store, "quiet", "again"), Is.EqualTo(new Submission(2, WasKnown: false)), "no number is given twice");
    }

    [Test]
    public async Task Without_the_option_nobodys_history_is_deleted()
    {
        IMessageStore store = Open(new ChatOptions().KeepDays);
        Assert.That(new ChatOptions().KeepMessages, Is.Zero);
        await store.SubmitAsync("a", [.. Enumerable.Range(0, 5000).Select(i => new Draft(null, null, Encoding.UTF8.GetBytes($"{i}")))],
            default);
        _clock.Advance(TimeSpan.FromDays(10_000));
        await SayAsync(store, "a", "last");
        Assert.That(await store.OpenAsync("a", default), Has.Property("First").EqualTo(1).And.Property("Next").EqualTo(5002));
    }

    // The sweep goes through the store's own queue, so each question waits for some of it.
    static async Task FirstIsAsync(IMessageStore store, string room, long first)
    {
        using CancellationTokenSource limit = Rig.Patience(Rig.TestLimit);
        while ((await store.OpenAsync(room, limit.Token)).First != first)
            await store.CheckAsync(limit.Token);
    }

    static async Task<Submission> SayAsync(IMessageStore store, string room, string text, string? key = null) =>
        (await store.SubmitAsync(room, [new Draft(null, key, Encoding.UTF8.GetBytes(text))], default))[0];
}
