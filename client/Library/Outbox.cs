namespace ChatMinimal.Client;

/// <summary>
/// The outbox is what was said and is not acknowledged yet, in order. Each text has a key, so that to send it again adds nothing.
/// </summary>
sealed class Outbox
{
    readonly Lock _lock = new();
    readonly List<Entry> _entries = [];
    int _sent; // how many of them were sent on this connection
    bool _isComplete;
    TaskCompletionSource _changed = New();

    /// <summary>Nothing is left, and nothing will come.</summary>
    public bool IsOver
    {
        get
        {
            lock (_lock)
                return _isComplete && _entries.Count == 0;
        }
    }

    public (string Key, string Text)[] All
    {
        get
        {
            lock (_lock)
                return [.. _entries.Select(entry => (entry.Key, entry.Text))];
        }
    }

    public Task<long> Add(string key, string text)
    {
        var entry = new Entry(key, text);
        Change(() => _entries.Add(entry));
        return entry.Committed.Task;
    }

    public void Complete() => Change(() => _isComplete = true);

    /// <summary>All of it is sent again, for it is another connection or another log.</summary>
    public void Rewind() => Change(() => _sent = 0);

    public void Acknowledge(string? key, long seq) => Remove(key)?.Committed.TrySetResult(seq);

    public void Refuse(string? key, ChatRefusedException why) => Remove(key)?.Committed.TrySetException(why);

    /// <summary>The next one to send; null when all is sent and acknowledged, and nothing will come.</summary>
    public async ValueTask<(string Key, string Text)?> NextAsync(CancellationToken cancel)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                if (_sent < _entries.Count && _entries[_sent++] is var entry)
                    return (entry.Key, entry.Text);
                if (_isComplete && _entries.Count == 0)
                    return null;
                changed = _changed.Task;
            }
            await changed.WaitAsync(cancel);
        }
    }

    Entry? Remove(string? key)
    {
        Entry? removed = null;
        Change(() =>
        {
            int at = _entries.FindIndex(entry => entry.Key == key);
            if (at < 0)
                return;
            removed = _entries[at];
            _entries.RemoveAt(at);
            if (at < _sent)
                _sent--;
        });
        return removed;
    }

    void Change(Action change)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            change();
            (changed, _changed) = (_changed, New());
        }
        changed.SetResult();
    }

    static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    sealed record Entry(string Key, string Text)
    {
        public readonly TaskCompletionSource<long> Committed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
