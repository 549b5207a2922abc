namespace ChatMinimal;

/// <summary>The window budget is what all rooms' windows together may hold in memory, in bytes.</summary>
sealed class WindowBudget(long limit)
{
    long _held;

    public long Held => Volatile.Read(ref _held);

    /// <summary>Windows hold too much: each is left with its newest chunk only, until there is room again.</summary>
    public bool IsSpent => Held > limit;

    public void Add(long bytes) => Interlocked.Add(ref _held, bytes);
}
