namespace ChatMinimal.Postgres;

/// <summary>
/// Readiness is whether the database takes what it is given. The operator is told when that changes, and /readyz asks.
/// </summary>
sealed class Readiness(PostgresStore store)
{
    static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(2);

    readonly Lock _lock = new(); // guards what follows
    Task _check = Task.CompletedTask;
    volatile string? _trouble;

    /// <summary>The database did not take what it was given last.</summary>
    public bool HasTrouble => _trouble is not null;

    /// <param name="trouble">Null: it took it.</param>
    public void SetTrouble(string? trouble)
    {
        lock (_lock)
        {
            if (trouble is null == _trouble is null)
                return;
            _trouble = trouble;
        }
        if (trouble is null)
            store.Log.StoreRecovered();
        else
            store.Log.StoreFailed(trouble);
    }

    /// <summary>
    /// Whether a transaction goes through. One is asked for at a time, so that a database that hangs does not gather questions.
    /// </summary>
    public async ValueTask CheckAsync(CancellationToken cancel)
    {
        Task check;
        lock (_lock)
            check = _check = _check.IsCompleted ? SignAsync() : _check;
        try
        {
            await check.WaitAsync(s_timeout, store.Clock, cancel);
        }
        catch (TimeoutException)
        {
            throw new StoreUnavailableException(
                $"{store.Database.Name} does not answer: nothing was committed for {s_timeout.TotalSeconds} s");
        }
    }

    /// <summary>Writes down that this server is here.</summary>
    public async Task SignAsync()
    {
        try
        {
            await store.Database.UseAsync(async (connection, cancel) =>
            {
                await Queries.SignAsync(connection, store.Id, cancel);
                return true;
            }, store.Stopping);
            SetTrouble(null);
        }
        catch (StoreUnavailableException error)
        {
            SetTrouble(error.Message);
            throw;
        }
    }
}
