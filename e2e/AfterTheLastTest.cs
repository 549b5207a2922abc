using ChatMinimal.E2E.Postgres;
using NUnit.Framework;

namespace ChatMinimal.E2E;

/// <summary>Stops, after the last test, the PostgreSQL server that tests may have shared.</summary>
[SetUpFixture]
public sealed class AfterTheLastTest
{
    [OneTimeTearDown]
    public static Task StopAsync() => PostgresServer.StopSharedAsync();
}
