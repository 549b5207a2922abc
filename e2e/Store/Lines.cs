using ChatMinimal.Sqlite;
using Microsoft.Extensions.Logging;

namespace ChatMinimal.E2E.Store;

/// <summary>What the operator is told by a store, or its loop.</summary>
sealed class Lines : ILogger<SqliteStore>, ILogger<Loop>
{
    readonly List<string> _lines = [];

    public string[] All
    {
        get
        {
            lock (_lines)
                return [.. _lines];
        }
    }

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?,
        string> formatter)
    {
        lock (_lines)
            _lines.Add(formatter(state, exception));
    }
}
