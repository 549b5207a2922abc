using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The readers are a few connections to the file that only read. Whoever wants to read waits for a free one, first come, first served; each
/// reads no more than a page at a time, so the wait is short whatever the others read. Readers hold up nobody who writes (WAL).
/// </summary>
sealed class Readers(string path) : IDisposable
{
    /// <summary>
    /// At once: each takes a thread of the pool, and up to 2 MB. At least two, so that one whom the disk holds up holds up nobody else.
    /// </summary>
    public static readonly int Most = Math.Clamp(Environment.ProcessorCount / 2, 2, 4);

    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(0.5);

    readonly SemaphoreSlim _free = new(Most);
    readonly Lock _lock = new();
    readonly Stack<ChatFile> _idle = [];
    bool _isClosed;

    /// <summary>Reads one snapshot of the file, on another thread than this one, which may be the writer's.</summary>
    public async Task<T> ReadAsync<T>(Func<ChatFile, T> read, CancellationToken cancel)
    {
        await _free.WaitAsync(cancel);
        try
        {
            return await Task.Run(() => Use(read), cancel);
        }
        finally
        {
            _free.Release();
        }
    }

    /// <summary>Whether there is a file with our tables.</summary>
    public bool CanRead
    {
        get
        {
            try
            {
                Read(file => Rows.ReadHead(file, "", ""));
                return true;
            }
            catch (SqliteException)
            {
                return false;
            }
        }
    }

    /// <summary>The same on this thread.</summary>
    public T Read<T>(Func<ChatFile, T> read)
    {
        _free.Wait();
        try
        {
            return Use(read);
        }
        finally
        {
            _free.Release();
        }
    }

    /// <summary>Closes all of them while this is done, for the file at the path, or its WAL, will not be the one they have.</summary>
    public void Without(Action action)
    {
        for (int i = 0; i < Most; i++)
            _free.Wait();
        try
        {
            CloseIdle();
            action();
        }
        finally
        {
            _free.Release(Most);
        }
    }

    /// <summary>Waits for those who still read, for a while; who comes later, or takes longer, closes what he had himself.</summary>
    public void Dispose()
    {
        lock (_lock)
            _isClosed = true;
        int free = 0;
        while (free < Most && _free.Wait(s_stopTimeout))
            free++;
        CloseIdle();
        if (free > 0)
            _free.Release(free);
    }

    T Use<T>(Func<ChatFile, T> read)
    {
        ChatFile? file;
        lock (_lock)
        {
            if (_isClosed)
                throw new StoreUnavailableException("the server is shutting down");
            _idle.TryPop(out file);
        }
        try
        {
            file ??= ChatFile.OpenForReading(path);
            file.BeginReading.Run();
            T result = read(file);
            file.Rollback.Run();
            lock (_lock)
                if (!_isClosed)
                {
                    _idle.Push(file);
                    file = null;
                }
            return result;
        }
        finally
        {
            file?.Dispose(); // it failed, and another one may not; or nobody needs it any more
        }
    }

    void CloseIdle()
    {
        lock (_lock)
            while (_idle.TryPop(out ChatFile? file))
                file.Dispose();
    }
}
