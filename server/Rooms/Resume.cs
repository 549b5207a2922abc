namespace ChatMinimal;

/// <summary>
/// Where a chat.v1 client wants to begin: after the last seq it saw of this epoch, if that message has the time that it was told,
/// else with that much history.
/// </summary>
readonly record struct Resume(long? After, string? Epoch, int Last, DateTime? At = null)
{
    public const int DefaultLast = 50; // messages: what fills a tall screen

    public static Resume FromTheEnd => new(null, null, DefaultLast);

    /// <summary>An <c>after</c> of another log, or one that this log has not reached, is void.</summary>
    public bool Holds(LogHead head) => After < head.Next && Epoch == head.Epoch;
}
