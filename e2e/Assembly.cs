using ChatMinimal.E2E;
using NUnit.Framework;

[assembly: Parallelizable(ParallelScope.All)]
[assembly: LevelOfParallelism(6)] // many stories mostly wait: for a pause to end, a timeout to come
[assembly: FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[assembly: EveryTestEnds]
