namespace ChatMinimal.Sqlite;

/// <summary>
/// What waits for the writer: submissions, and what it is asked to do between two batches. It is the only thing that other threads share
/// with the writer's, and bounded in bytes.
/// </summary>
/// <remarks>
/// The event is set, under the lock, whenever an entry comes into an empty list, and remembers that until the thread waits for it. The
/// thread takes both lists under the same lock, and waits only when both were empty. So an entry is either in what it took, or the event is
/// set for it: the thread never sleeps over one. An event that was set for what it has taken already costs one more look.
/// </remarks>
sealed class WriterQueue : IDisposable
{
    const int Largest = 64 << 20; // bytes, of everyone together: about a second's worth; beyond it messages are refused

    readonly AutoResetEvent _work = new(false);
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
                _work.Set();
        }
    }

    /// <exception cref="StoreUnavailableException">The server stops.</exception>
    public void Add(Action action)
    {
        lock (_lock)
        {
            ThrowIfStopped();
            _asked.Add(action);
            _work.Set();
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
        }
        _work.Set();
        return true;
    }

    /// <summary>
    /// The thread's: exchanges its lists, which are empty, for those that wait, and waits until there is something. False: it is stopped,
    /// and nothing is left.
    /// </summary>
    public bool Take(ref List<Submitted> submitted, ref List<Action> asked)
    {
        while (true)
        {
            Thread.Yield(); // whoever is ready to run on this core may bring more, and a commit costs the same
            lock (_lock)
            {
                (submitted, _submitted, asked, _asked) = (_submitted, submitted, _asked, asked);
                if (submitted.Count + asked.Count > 0)
                    return true;
                if (_isStopped)
                    return false;
            }
            _work.WaitOne();
        }
    }

    /// <summary>So many bytes have their answer.</summary>
    public void Done(int bytes)
    {
        lock (_lock)
            Metrics.Queued(_bytes -= bytes);
    }

    public void Dispose() => _work.Dispose();

    void ThrowIfStopped()
    {
        if (_isStopped)
            throw new StoreUnavailableException("the server is shutting down");
    }
}
