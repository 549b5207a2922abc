using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

public sealed class BroadcasterTests
{
    [Test]
    public async Task What_becomes_due_while_the_pump_is_at_work_is_not_slept_over()
    {
        var clock = new FakeTimeProvider();
        var again = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int sweeps = 0;
        using var broadcaster = new Broadcaster(() =>
        {
            if (++sweeps == 1)
                clock.Advance(TimeSpan.FromSeconds(1)); // the next one is due, and nobody is asleep who could be woken
            else
                again.TrySetResult();
            return [];
        }, clock, NullLogger.Instance);
        clock.Advance(TimeSpan.FromSeconds(1));
        using CancellationTokenSource limit = Rig.Patience();
        await again.Task.WaitAsync(limit.Token);
    }

    /// <summary>
    /// The pump looks whether there is work, finds none, and goes to sleep: a room that grows in between must not be slept over. Time
    /// stands still here, so that no sweep wakes the pump instead.
    /// </summary>
    [Test]
    public void A_room_that_grows_while_the_pump_falls_asleep_is_visited()
    {
        var clock = new FakeTimeProvider();
        using var broadcaster = new Broadcaster(() => [], clock, NullLogger.Instance);
        var room = new Room("salon", new ChatOptions(), new WindowBudget(long.MaxValue), clock, broadcaster.Grown);
        var random = new Random(1);
        long start = Stopwatch.GetTimestamp();
        for (int visits = 0; Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(2); visits++)
        {
            broadcaster.Grown(room);
            long since = Stopwatch.GetTimestamp();
            while (!room.TryQueue()) // else it still waits for the pump
                if (Stopwatch.GetElapsedTime(since) > TimeSpan.FromSeconds(20))
                    Assert.Fail($"slept over it, after {visits} visits");
            room.Unqueue();
            Thread.SpinWait(random.Next(200)); // so that the next one comes at any moment of its falling asleep
        }
    }
}
