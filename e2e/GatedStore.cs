namespace ChatMinimal.E2E;

/// <summary>A store in memory that commits nothing while its gate is shut, without a word, or while it is down, with one.</summary>
sealed class GatedStore : IMessageStore
{
    readonly MemoryStore _store = new(new ChatOptions(), TimeProvider.System);
    TaskCompletionSource _gate = Opened();

    public bool IsDown { get; set; }

    public void Shut() => _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Open() => _gate.TrySetResult();

    public async ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel)
    {
        if (IsDown)
            throw new StoreUnavailableException("it is down");
        await _gate.Task.WaitAsync(cancel);
        return await _store.SubmitAsync(room, drafts, cancel);
    }

    public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => _store.OpenAsync(room, cancel);
    public ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell) => _store.FollowAsync(room, tell);
    public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel) =>
        _store.ReadAsync(room, from, to, cancel);
    public ValueTask CheckAsync(CancellationToken cancel) => _store.CheckAsync(cancel);

    static TaskCompletionSource Opened()
    {
        var gate = new TaskCompletionSource();
        gate.SetResult();
        return gate;
    }
}
