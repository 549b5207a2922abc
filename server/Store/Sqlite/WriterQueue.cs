namespace ChatMinimal.Sqlite;

/// <summary>
/// What waits for the writer: submissions, and what it is asked to do between two batches. It is the only thing that other threads share
/// with the writer's, and bounded in bytes.
/// </summary>
/// <remarks>
/// The writer is called whenever an entry comes into an empty list, and takes both lists under the same lock. So an entry is either in what
/// it took, or it is called for it. A call for what it has taken already costs one more look.
/// </remarks>
/// <param name="filled">Called under the lock, on any thread.</param>
sealed class WriterQueue(Action filled)
{
    const int Largest = 64 << 20; // bytes, of everyone together: about a second's worth; beyond it messages are refused

    readonly Lock _lock = new(); // guards what follows; held for moments
    List<Submitted> _submitted = [];
    List<Action> _asked = [];
    long _bytes; // of what is submitted and has no answer yet
    bool _isStopped;

    /// <exception cref="StoreUnavailableException">There is too much already, or the server stops.</exception>
    public void Add(Submitted submitted)
    {
        lock (_lock)
        {
            ThrowIfStopped();
            if (_bytes > 0 && _bytes + submitted.Bytes > Largest)
                throw new StoreUnavailableException($"{_bytes} bytes of messages wait for the disk already");
            Metrics.Queued(_bytes += submitted.Bytes);
            _submitted.Add(submitted);
            if (_submitted.Count == 1)
                filled();
        }
    }

    /// <exception cref="StoreUnavailableException">The server stops.</exception>
    public void Add(Action action)
    {
        lock (_lock)
        {
            ThrowIfStopped();
            _asked.Add(action);
            if (_asked.Count == 1)
                filled();
        }
    }

    /// <summary>Takes no more; false: it did not before.</summary>
    public bool TryStop()
    {
        lock (_lock)
        {
            if (_isStopped)
                return false;
            _isStopped = true;
            filled();
            return true;
        }
    }

    /// <summary>
    /// Exchanges the writer's lists, which are empty, for those that wait. False: nothing more will ever come.
    /// </summary>
    public bool Take(ref List<Submitted> submitted, ref List<Action> asked)
    {
        lock (_lock)
        {
            (submitted, _submitted, asked, _asked) = (_submitted, submitted, _asked, asked);
            return !_isStopped || submitted.Count + asked.Count > 0;
        }
    }

    /// <summary>Whether the writer has something to do: with what was added, or since it is to stop.</summary>
    public bool IsWaiting
    {
        get
        {
            lock (_lock)
                return _submitted.Count + _asked.Count > 0 || _isStopped;
        }
    }

    /// <summary>So many bytes have their answer.</summary>
    public void Done(int bytes)
    {
        lock (_lock)
            Metrics.Queued(_bytes -= bytes);
    }

    void ThrowIfStopped()
    {
        if (_isStopped)
            throw new StoreUnavailableException("the server is shutting down");
    }
}
