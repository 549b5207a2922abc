using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace ChatMinimal.Sqlite;

/// <summary>
/// A statement is a piece of SQL, prepared once and run many times, by SQLite's own functions: text goes in and out as the
/// bytes it is, NUL included, and nothing is allocated on the way. Parameters and columns count from 1 and 0, as SQLite has it.
/// </summary>
sealed class Statement : IDisposable
{
    readonly sqlite3 _database;
    readonly sqlite3_stmt _statement;

    public Statement(SqliteConnection connection, string sql)
    {
        _database = connection.Handle!;
        Check(sqlite3_prepare_v2(_database, sql, out _statement));
    }

    public Statement Bind(int parameter, long value)
    {
        Check(sqlite3_bind_int64(_statement, parameter, value));
        return this;
    }

    public Statement Bind(int parameter, ReadOnlySpan<byte> utf8)
    {
        Check(sqlite3_bind_text(_statement, parameter, utf8));
        return this;
    }

    public Statement Bind(int parameter, string? value)
    {
        Check(value is null ? sqlite3_bind_null(_statement, parameter) : sqlite3_bind_text(_statement, parameter, value));
        return this;
    }

    /// <summary>True: there is a row. After false the statement can be bound anew.</summary>
    public bool Step()
    {
        int result = sqlite3_step(_statement);
        if (result == SQLITE_ROW)
            return true;
        sqlite3_reset(_statement); // also what gives up the read lock
        if (result != SQLITE_DONE)
            Check(result);
        return false;
    }

    /// <summary>Runs to the end; returns how many rows it changed.</summary>
    public int Run()
    {
        while (Step()) { }
        return sqlite3_changes(_database);
    }

    /// <summary>The first column of the first row; null when there is none.</summary>
    public long? Scalar()
    {
        if (!Step())
            return null;
        long? value = IsNull(0) ? null : Int64(0);
        sqlite3_reset(_statement);
        return value;
    }

    /// <summary>Done with it, though there may be more rows.</summary>
    public void Reset() => sqlite3_reset(_statement);

    public bool IsNull(int column) => sqlite3_column_type(_statement, column) == SQLITE_NULL;

    public bool IsText(int column) => sqlite3_column_type(_statement, column) == SQLITE_TEXT;

    public long Int64(int column) => sqlite3_column_int64(_statement, column);

    /// <summary>Valid until the next step.</summary>
    public ReadOnlySpan<byte> Bytes(int column) => sqlite3_column_blob(_statement, column);

    public string? Text(int column) => IsNull(column) ? null : Encoding.UTF8.GetString(Bytes(column));

    public void Dispose() => _statement.Dispose();

    void Check(int result) => SqliteException.ThrowExceptionForRC(result, _database);
}
