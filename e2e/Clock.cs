using Microsoft.Extensions.Time.Testing;

namespace ChatMinimal.E2E;

/// <summary>
/// Time that passes when the test says so, for a server started with <see cref="ChatServer.StartWith(TimeProvider, ValueTuple{string,
/// object}[])"/>.
/// </summary>
static class Clock
{
    static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20); // of real time, for the server to do what is due

    /// <summary>
    /// Lets time pass, a step at a time, until this is done; returns how much did. What was due earlier would have come earlier.
    /// </summary>
    public static async Task<TimeSpan> PassUntilAsync(this FakeTimeProvider clock, Task done, TimeSpan? step = null, int most = 200)
    {
        DateTimeOffset start = clock.GetUtcNow();
        for (int steps = 0; !done.IsCompleted && steps < most; steps++)
        {
            clock.Advance(step ?? TimeSpan.FromSeconds(1));
            using CancellationTokenSource look = Rig.Patience(s_look);
            await done.WaitAsync(look.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        using CancellationTokenSource limit = Rig.Patience();
        await done.WaitAsync(limit.Token);
        return clock.GetUtcNow() - start;
    }
}
