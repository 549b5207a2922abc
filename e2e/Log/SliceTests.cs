using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

/// <summary>A room in slices, and several pumps: what each client is sent is what one pump would have sent it.</summary>
[TestFixture(1), TestFixture(2), TestFixture(8)]
public sealed class SliceTests : IDisposable
{
    static readonly string[] s_rooms = ["large", "small", "other"];

    readonly FakeTimeProvider _clock = new(); // stands still, so that no sweep does what a wake-up has forgotten
    readonly MemoryStore _store;
    readonly Broadcaster _broadcaster;
    readonly Rooms _rooms;
    readonly int _pumps;

    public SliceTests(int pumps)
    {
        var options = new ChatOptions { Pumps = _pumps = pumps, WindowBytes = 64 << 10 }; // some fall behind it
        _store = new MemoryStore(options, _clock);
        _broadcaster = new Broadcaster(options, _clock, NullLogger<Broadcaster>.Instance);
        _rooms = new Rooms(_store, options, _clock, _broadcaster);
    }

    [SetUp]
    public Task StartAsync() => _broadcaster.StartAsync(default);

    public void Dispose()
    {
        _rooms.Dispose();
        _broadcaster.Dispose();
    }

    Task<Listener> JoinAsync(string room, Dialect dialect = Dialect.Chat, string? name = null, bool isSlow = false) =>
        Listener.JoinAsync(_rooms, room, dialect, name, _clock, isSlow);

    static int[] Counts(Room room) => [.. room.Slices.All.Select(slice => slice.Count)];

    [Test]
    public async Task Whoever_comes_takes_the_first_free_place_and_whoever_leaves_frees_one()
    {
        var all = new List<Listener>();
        for (int i = 0; i < 2 * Slice.Most + 1; i++)
            all.Add(await JoinAsync("large"));
        Room room = all[0].Room;
        Assert.That(Counts(room), Is.EqualTo([Slice.Most, Slice.Most, 1]));
        Assert.That(room.Slices.All.Select(slice => slice.Pump).Distinct().Count(), Is.EqualTo(Math.Min(3, _pumps)));
        Slice[] before = room.Slices.All;

        await all[7].LeaveAsync();
        Assert.That(Counts(room), Is.EqualTo([Slice.Most - 1, Slice.Most, 1]));
        Listener late = await JoinAsync("large");
        Assert.That(late.Feed.Slice, Is.SameAs(before[0]));

        await all[^1].LeaveAsync();
        Assert.That(Counts(room), Is.EqualTo([Slice.Most, Slice.Most]), "an empty one at the end is gone");
        foreach (Listener first in all.Take(Slice.Most).Where((_, i) => i != 7).Append(late))
            await first.LeaveAsync();
        Assert.That(Counts(room), Is.EqualTo([0, Slice.Most]), "one in front is used again");
        Assert.That((await JoinAsync("large")).Feed.Slice, Is.SameAs(before[0]));
    }

    [Test]
    public async Task Each_is_sent_every_message_once_and_in_order_from_its_join_on_whoever_comes_and_goes()
    {
        int seed = Rig.Seed;
        await TestContext.Out.WriteLineAsync($"E2E_SEED={seed}");
        var texts = new ConcurrentDictionary<(string Room, long Seq), string>();
        var gone = new ConcurrentBag<Listener>();
        List<Listener>[] here = await Task.WhenAll(Enumerable.Range(0, 4).Select(actor => Task.Run(() => ActAsync(actor))));

        Listener[] stayed = [.. here.SelectMany(listeners => listeners)];
        await EventuallyAsync(stayed, one => one.Feed.Next == one.Room.Window.Head.Next); // else its pump has slept over it
        foreach (IGrouping<Room, Listener> room in stayed.GroupBy(one => one.Room))
            Assert.That(Counts(room.Key).Sum(), Is.EqualTo(room.Count()), $"seed {seed}");
        Assert.That(stayed[0].Room.Slices.All, Has.Length.GreaterThan(1), $"seed {seed}: it is about several");
        await Task.WhenAll(stayed.Select(one => one.LeaveAsync()));
        Check(stayed, gone, texts, $"seed {seed}");

        async Task<List<Listener>> ActAsync(int actor)
        {
            var random = new Random(seed + actor);
            var mine = new List<Listener>();
            for (int i = 0; i < 130; i++)
                mine.Add(await JoinAsync("large", Some(random), isSlow: i % 10 == 0));
            for (int step = 0; step < 100; step++)
            {
                string room = s_rooms[Math.Max(0, random.Next(6) - 3)]; // the large one mostly
                switch (random.Next(4))
                {
                    case 0:
                        mine.Add(await JoinAsync(room, Some(random), isSlow: random.Next(4) == 0));
                        break;
                    case 1 when mine.Count > 100:
                        int who = random.Next(1, mine.Count);
                        await mine[who].LeaveAsync();
                        gone.Add(mine[who]);
                        mine.RemoveAt(who);
                        break;
                    default:
                        Draft[] drafts = [.. Enumerable.Range(0, random.Next(1, 5)).Select(i =>
                            new Draft(null, null, Encoding.UTF8.GetBytes($"{actor}/{step}/{i} {new string('.', random.Next(200))}")))];
                        Submission[] submitted = await _store.SubmitAsync(room, drafts, default);
                        for (int i = 0; i < drafts.Length; i++)
                            texts[(room, submitted[i].Seq)] = Encoding.UTF8.GetString(drafts[i].Text);
                        break;
                }
            }
            return mine;
        }
    }

    static Dialect Some(Random random) => random.Next(3) == 0 ? Dialect.Plain : Dialect.Chat;

    static void Check(Listener[] stayed, IEnumerable<Listener> gone,
        ConcurrentDictionary<(string Room, long Seq), string> texts, string seed)
    {
        Dictionary<(string Room, string Text), long> seqs = texts.ToDictionary(pair =>
            (pair.Key.Room, $"Message d'un client : {pair.Value}"), pair => pair.Key.Seq);
        foreach (Listener one in stayed.Concat(gone))
        {
            long[] seen = one.Feed.Dialect == Dialect.Plain
                ? [.. one.Texts.Select(text => seqs[(one.Room.Name, text)])]
                : [.. one.Sent("message").Select(message => (long)message["seq"]!)];
            if (one.Feed.Dialect == Dialect.Chat && seen.Length > 0)
                Assert.That(seen[0], Is.EqualTo((long)one.Sent("hello").Single()["next"]!), seed);
            if (one.Feed.Dialect == Dialect.Chat)
                Assert.That(one.Sent("message").Select(message => (string)message["text"]!),
                    Is.EqualTo(seen.Select(seq => texts[(one.Room.Name, seq)])), seed);
            if (seen.Length > 0)
                Assert.That(seen, Is.EqualTo(Enumerable.Range((int)seen[0], seen.Length).Select(seq => (long)seq)), seed);
            long next = one.Room.Window.Head.Next;
            Assert.That(seen.Length > 0 ? seen[0] : next, Is.LessThanOrEqualTo(stayed.Contains(one) ? one.JoinedAt : next), seed);
            if (stayed.Contains(one))
                Assert.That(one.Feed.Next, Is.EqualTo(next), seed);
        }
    }

    [Test]
    public async Task Who_is_here_and_who_types_is_told_once_to_everyone_in_every_slice()
    {
        var all = new List<Listener>();
        for (int i = 0; i < 2 * Slice.Most + 10; i++)
            all.Add(await JoinAsync("large", name: $"n{i}"));
        _clock.Advance(TimeSpan.FromSeconds(1)); // when the first has been told for so long, what has changed is told
        await EventuallyAsync(all, one => (int?)one.Sent("presence").LastOrDefault()?["online"] == all.Count);

        Listener typist = all[3];
        typist.Room.Typing(typist.Feed);
        await EventuallyAsync(all, one => one == typist || one.Sent("typing").Length > 0);
        Listener late = await JoinAsync("large"); // into a slice that was told before
        await _store.SubmitAsync("large", [new Draft(null, null, "and on"u8.ToArray())], default);
        await EventuallyAsync(all.Append(late), one => one.Sent("message").Length > 0);
        Assert.That(all.Append(late).Select(one => one.Sent("typing").Length),
            Is.EqualTo(all.Append(late).Select(one => one == typist || one == late ? 0 : 1)));
    }

    static async Task EventuallyAsync(IEnumerable<Listener> all, Func<Listener, bool> isSo)
    {
        using CancellationTokenSource limit = Rig.Patience();
        while (!all.All(isSo))
        {
            Assert.That(limit.IsCancellationRequested, Is.False, $"not so: {all.Count(one => !isSo(one))}");
            await Task.Yield();
        }
    }
}
