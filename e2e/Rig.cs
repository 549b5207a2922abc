using System.Globalization;
using NUnit.Framework;

namespace ChatMinimal.E2E;

/// <summary>What all tests share: how long they wait, and what whoever runs the suite may ask of it by environment variables.</summary>
static class Rig
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60); // for anything that happens at once on a machine that is not busy

    /// <summary>E2E_SEED=N repeats a run of whatever is random.</summary>
    public static int Seed { get; } = (int?)Number("E2E_SEED") ?? Environment.TickCount & 0xFFFF;

    /// <summary>How long one test may take: long runs as long as was asked for, and some minutes.</summary>
    public static TimeSpan TestLimit { get; } = TimeSpan.FromMinutes(3)
        + (Long("E2E_FUZZ") ?? default) + (Long("E2E_SOAK") ?? default) + TimeSpan.FromSeconds(6 * (Number("E2E_CRASHES") ?? 0));

    /// <summary>How long a long run is to take, from a variable that has it in minutes; null when nobody asked for one.</summary>
    public static TimeSpan? Long(string variable) => Number(variable) is { } minutes ? TimeSpan.FromMinutes(minutes) : null;

    /// <summary>An end to waiting: that of the test, or soon.</summary>
    public static CancellationTokenSource Patience(TimeSpan? most = null)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.CurrentContext.CancellationToken);
        limit.CancelAfter(most ?? s_patience);
        return limit;
    }

    /// <summary>What this task comes to, for as long as the other goes on; then what that has failed with.</summary>
    public static async Task<T> WhileAsync<T>(this Task<T> task, Task other)
    {
        if (await Task.WhenAny(task, other) == other)
            await other;
        return await task;
    }

    static double? Number(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } number ? double.Parse(number, CultureInfo.InvariantCulture) : null;
}
