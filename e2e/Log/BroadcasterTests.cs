using System.Diagnostics;
using System.IO.Pipelines;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

public sealed class BroadcasterTests : IDisposable
{
    readonly FakeTimeProvider _clock = new();
    readonly Broadcaster _broadcaster;
    readonly Rooms _rooms;

    public BroadcasterTests()
    {
        var options = new ChatOptions();
        _broadcaster = new Broadcaster(options, _clock, NullLogger<Broadcaster>.Instance);
        _rooms = new Rooms(new MemoryStore(options, _clock), options, _clock, _broadcaster);
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
        int sweeps = 0;
        room.Join(feed, Resume.FromTheEnd);
        var output = new Output(PipeWriter.Create(Stream.Null), null, _clock);
        await feed.BeginAsync(output, this, (_, _) => { }, (_, _) =>
        {
            if (++sweeps == 1)
                _clock.Advance(TimeSpan.FromSeconds(1)); // the next one is due, and nobody is asleep who could be woken
            else
                again.TrySetResult();
            return null;
        });
        _clock.Advance(TimeSpan.FromSeconds(1));
        using CancellationTokenSource limit = Rig.Patience();
        await again.Task.WaitAsync(limit.Token);
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
