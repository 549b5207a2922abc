using ChatMinimal.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ChatMinimal.E2E.Store;

/// <summary>Stores without a host, which would have started them.</summary>
static class Started
{
    public static SqliteStore Sqlite(ChatOptions options, TimeProvider? clock = null, ILogger<SqliteStore>? log = null)
    {
        var store = new SqliteStore(
            options, clock ?? TimeProvider.System, log ?? NullLogger<SqliteStore>.Instance, new Loop(NullLogger<Loop>.Instance));
        _ = store.StartAsync(default); // done when it returns
        return store;
    }
}
