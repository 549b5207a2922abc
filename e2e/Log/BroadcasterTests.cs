using System.Collections.Concurrent;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

public sealed class BroadcasterTests : IDisposable
{
    readonly FakeTimeProvider _clock = new();
    readonly Broadcaster _broadcaster;
    readonly MemoryStore _store;
    readonly Rooms _rooms;

    public BroadcasterTests()
    {
        var options = new ChatOptions();
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

    [Test]
    public async Task What_becomes_due_while_the_pump_is_at_work_is_not_slept_over()
    {
        Room room = (await _rooms.EnterAsync("salon", default))!;
        var feed = new Feed(room, Dialect.Chat, null, _clock);
        var again = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using CancellationTokenSource limit = Rig.Patience();
        using var isAdvanced = new ManualResetEventSlim();
        int sweeps = 0;
        room.Join(feed, Resume.FromTheEnd);
        var output = new Output(PipeWriter.Create(Stream.Null), null, _clock);
        await feed.BeginAsync(output, this, (_, _) => { }, (_, _) =>
        {
            if (++sweeps == 1)
            {
                isAdvanced.Wait(limit.Token); // this clock loses a step that two threads take at once
                _clock.Advance(TimeSpan.FromSeconds(1)); // the next one is due, and nobody is asleep who could be woken
            }
            else
            {
                again.TrySetResult();
            }
            return null;
        });
        _clock.Advance(TimeSpan.FromSeconds(1));
        isAdvanced.Set();
        await again.Task.WaitAsync(limit.Token);
    }

    [Test, Platform("Linux", Reason = "where there is an epoll")]
    public async Task A_small_room_that_grows_several_times_in_one_turn_of_the_loop_is_served_once()
    {
        Listener listener = await Listener.JoinAsync(_rooms, "salon", Dialect.Plain, name: null, _clock);
        var sent = new ConcurrentQueue<ThreadStep>();
        listener.Room.Traced += step =>
        {
            if (step.What == "sent")
                sent.Enqueue(step);
        };
        using var loop = new Loop(NullLogger<Loop>.Instance);
        loop.UseSockets();
        loop.Start();
        using CancellationTokenSource limit = Rig.Patience();
        using var isOver = new ManualResetEventSlim();
        loop.Post(() =>
        {
            foreach (string text in (string[])["one", "two", "three"])
                _ = _store.SubmitAsync("salon", [new Draft(null, null, Encoding.UTF8.GetBytes(text))], default).AsTask(); // is done
            loop.Post(isOver.Set); // in the next turn
        });
        isOver.Wait(limit.Token);
        // The pump may still come by because somebody has joined.
        Assert.That(sent.Where(step => step.Thread != "pump").Select(step => (step.Thread, step.Seq)), Is.EqualTo(new[] { ("loop", 3L) }));
        Assert.That(listener.Texts, Is.EqualTo(new[] { "Message d'un client : one", "Message d'un client : two", "Message d'un client : three" }));
    }

    /// <summary>
    /// The pump looks whether there is work, finds none, and goes to sleep: a room that grows in between must not be slept over. Time
    /// stands still here, so that no sweep wakes the pump instead.
    /// </summary>
    [Test]
    public async Task A_room_that_grows_while_the_pump_falls_asleep_is_visited()
    {
        Room room = (await _rooms.EnterAsync("salon", default))!;
        var feed = new Feed(room, Dialect.Chat, null, _clock); // which has not begun: the walk is short
        room.Join(feed, Resume.FromTheEnd);
        int visits = 0;
        room.Traced += _ => Interlocked.Increment(ref visits);
        var random = new Random(1);
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(2))
        {
            int seen = Volatile.Read(ref visits);
            feed.Slice.Wake();
            long since = Stopwatch.GetTimestamp();
            while (Volatile.Read(ref visits) == seen) // it still waits for the pump
                if (Stopwatch.GetElapsedTime(since) > TimeSpan.FromSeconds(20))
                    Assert.Fail($"slept over it, after {seen} visits");
            Thread.SpinWait(random.Next(200)); // so that the next one comes at any moment of its falling asleep
        }
    }
}
