using Npgsql;

namespace ChatMinimal.Postgres;

/// <summary>
/// The database: where it is, and connections to it. Whatever fails there is a <see cref="StoreUnavailableException"/>, and all of
/// it may pass: what was asked for can be asked for again.
/// </summary>
sealed class Database : IAsyncDisposable
{
    const int ConnectTimeout = 3;   // seconds, where the connection string does not say
    const int CommandTimeout = 4;   // seconds, likewise: after it nobody knows whether the statement was executed
    const int MostConnections = 20; // likewise: a database has a hundred for all its servers
    const string NoSchema = "3F000", NoTable = "42P01", NoFunction = "42883";

    readonly NpgsqlDataSource _source;
    readonly SemaphoreSlim _migrating = new(1);
    volatile bool _isMigrated;

    /// <param name="connectionString">Npgsql's.</param>
    /// <exception cref="SchemaException">It cannot be used.</exception>
    public Database(string connectionString)
    {
        NpgsqlSlimDataSourceBuilder builder;
        try
        {
            builder = new NpgsqlSlimDataSourceBuilder(connectionString);
        }
        // Whose message may quote the password
        catch (Exception error) when (error is ArgumentException or FormatException or KeyNotFoundException)
        {
            throw new SchemaException("ConnectionStrings:Chat is not a connection string of Npgsql, such as Host=db;Database=chat;Username=chat;Password=...");
        }
        NpgsqlConnectionStringBuilder settings = builder.ConnectionStringBuilder;
        bool isGiven(string keyword) => settings.ShouldSerialize(keyword);
        settings.Timeout = isGiven("Timeout") ? settings.Timeout : ConnectTimeout;
        settings.CommandTimeout = isGiven("Command Timeout") ? settings.CommandTimeout : CommandTimeout;
        settings.MaxPoolSize = isGiven("Maximum Pool Size") ? settings.MaxPoolSize : MostConnections;
        settings.HostRecheckSeconds = isGiven("Host Recheck Seconds") ? settings.HostRecheckSeconds : 1;
        settings.ApplicationName ??= "chatminimal";
        // A statement that takes too long is left behind with its connection. To cancel it would not be safe: a commit that waits for
        // a synchronous standby would then be acknowledged without it.
        settings.CancellationTimeout = -1;
        settings.NoResetOnClose = true; // there is nothing to reset: what is set is set for the transaction
        builder.EnableArrays();
        builder.ConfigureTypeLoading(types => types.EnableTypeLoading(false)); // PostgreSQL's own are all that we use
        builder.EnableTransportSecurity();
        Timeout = TimeSpan.FromSeconds(settings.CommandTimeout);
        Name = $"database {settings.Database ?? settings.Username} at {settings.Host}";
        if (settings.Host?.Contains(',') == true)
        {
            settings.TargetSessionAttributes = null; // whatever was asked for: a chat is written to
            _source = builder.BuildMultiHost().WithTargetSession(TargetSessionAttributes.Primary);
        }
        else
        {
            _source = builder.Build();
        }
    }

    /// <summary>For the operator: never the password.</summary>
    public string Name { get; }

    /// <summary>How long a statement may take.</summary>
    public TimeSpan Timeout { get; }

    /// <summary>Does something on a connection whose database has our schema.</summary>
    public async Task<T> UseAsync<T>(Func<NpgsqlConnection, CancellationToken, Task<T>> use, CancellationToken cancel)
    {
        try
        {
            await using NpgsqlConnection connection = await _source.OpenConnectionAsync(cancel);
            if (!_isMigrated)
                await MigrateAsync(connection, cancel);
            return await use(connection, cancel);
        }
        catch (PostgresException error) when (error.SqlState is NoSchema or NoTable or NoFunction) // another database than the one before
        {
            _isMigrated = false;
            throw new StoreUnavailableException(error.MessageText, error);
        }
        catch (SchemaException error)
        {
            throw new StoreUnavailableException(error.Message, error);
        }
        catch (PostgresException error)
        {
            throw new StoreUnavailableException(error.MessageText, error);
        }
        catch (Exception error)
            when (error is NpgsqlException or System.Net.Sockets.SocketException or IOException or TimeoutException
                or ObjectDisposedException)
        {
            throw new StoreUnavailableException($"{Name}: {Innermost(error)}", error);
        }
    }

    /// <summary>A connection of the caller's own, for as long as it likes.</summary>
    public async Task<NpgsqlConnection> OpenAsync(CancellationToken cancel) => await _source.OpenConnectionAsync(cancel);

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    async Task MigrateAsync(NpgsqlConnection connection, CancellationToken cancel)
    {
        await _migrating.WaitAsync(cancel);
        try
        {
            if (!_isMigrated)
                await Schema.MigrateAsync(connection, Name, cancel);
            _isMigrated = true;
        }
        finally
        {
            _migrating.Release();
        }
    }

    static string Innermost(Exception error) =>
        error is AggregateException or NpgsqlException or IOException && error.InnerException is { } inner
            ? Innermost(inner)
            : error.Message;
}
