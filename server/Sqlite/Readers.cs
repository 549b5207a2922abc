namespace ChatMinimal.Sqlite;

/// <summary>
/// The readers are a few connections to the file that only read. Whoever wants to read waits for one in turn; each reads no more than
/// a page at a time, so the wait is short whatever the others read. Readers hold up nobody who writes (WAL).
/// </summary>
sealed class Readers(string path) : IDisposable
{
    const int Most = 4; // at once: more would not be faster, and each may hold 2 MB of the file in memory

    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(0.5);

    readonly SemaphoreSlim _turns = new(Most); // first come, first served
    readonly Lock _lock = new();
    readonly Stack<ChatFile> _idle = [];
    int _age; // how often all of them were given up

    /// <summary>Reads one snapshot of the file, on another thread than this one, which may be the writer's.</summary>
    public async Task<T> ReadAsync<T>(Func<ChatFile, T> read, CancellationToken cancel)
    {
        await _turns.WaitAsync(cancel);
        try
        {
            return await Task.Run(() => Use(read), cancel);
        }
        finally
        {
            _turns.Release();
        }
    }

    /// <summary>The same on this thread.</summary>
    public T Read<T>(Func<ChatFile, T> read)
    {
        _turns.Wait();
        try
        {
            return Use(read);
        }
        finally
        {
            _turns.Release();
        }
    }

    /// <summary>Those open now are closed, once they are idle: the file at the path, or its WAL, is not the one they have.</summary>
    public void Reset()
    {
        lock (_lock)
        {
            _age++;
            while (_idle.TryPop(out ChatFile? file))
                file.Dispose();
        }
    }

    /// <summary>Waits for those who still read, for a while.</summary>
    public void Dispose()
    {
        for (int i = 0; i < Most && _turns.Wait(s_stopTimeout); i++) { }
        Reset();
        _turns.Dispose();
    }

    T Use<T>(Func<ChatFile, T> read)
    {
        int age;
        ChatFile? file;
        lock (_lock)
        {
            age = _age;
            _idle.TryPop(out file);
        }
        try
        {
            file ??= ChatFile.OpenForReading(path);
            file.BeginReading.Run();
            T result = read(file);
            file.Rollback.Run();
            lock (_lock)
                if (age == _age)
                {
                    _idle.Push(file);
                    file = null;
                }
            return result;
        }
        finally
        {
            file?.Dispose();
        }
    }
}
