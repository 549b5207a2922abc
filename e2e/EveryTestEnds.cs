using System.Collections.Concurrent;
using NUnit.Framework;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace ChatMinimal.E2E;

/// <summary>
/// Every test has an end. After <see cref="Rig.TestLimit"/> its token is cancelled, and with it whatever waits by
/// <see cref="Rig.Patience"/>; a test that does not wait, but spins, is named and takes the run with it a minute later.
/// A test that is skipped is told with its reason by the runner, and fails where E2E_STRICT is set, as in CI.
/// </summary>
[AttributeUsage(AttributeTargets.Assembly)]
sealed class EveryTestEndsAttribute : NUnitAttribute, IApplyToContext, ITestAction
{
    static readonly TimeSpan s_grace = TimeSpan.FromMinutes(1);
    static readonly bool s_isStrict = Environment.GetEnvironmentVariable("E2E_STRICT") is { Length: > 0 };

    readonly ConcurrentDictionary<string, Timer> _running = new();

    public void ApplyToContext(TestExecutionContext context)
    {
        context.TestCaseTimeout = (int)Rig.TestLimit.TotalMilliseconds;
        context.UseCancellation = true;
    }

    public ActionTargets Targets => ActionTargets.Test;

    public void BeforeTest(ITest test) =>
        _running[test.Id] = new Timer(_ => Environment.FailFast($"{test.FullName} has no end"), null, Rig.TestLimit + s_grace,
            Timeout.InfiniteTimeSpan);

    public void AfterTest(ITest test)
    {
        if (_running.TryRemove(test.Id, out Timer? timer))
            timer.Dispose();
        TestContext.ResultAdapter result = TestContext.CurrentContext.Result;
        if (s_isStrict && result.Outcome.Status == TestStatus.Skipped)
            Assert.Fail($"skipped: {result.Message}");
    }
}
