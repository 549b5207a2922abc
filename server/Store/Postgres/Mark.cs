namespace ChatMinimal.Postgres;

/// <summary>
/// A mark is how far a server has told a log: up to <c>Next</c>, and the message before that was committed <c>At</c> this time (null:
/// not known, or not there). Every statement about a room carries the mark along and looks for it: a log that does not have it was
/// rolled back, by a backup that was restored or a standby that took over without the tail, even if others have filled it past the mark.
/// </summary>
readonly record struct Mark(string Epoch, long Next, DateTime? At)
{
    /// <summary>Nothing is known to have been told, so nothing can be missing.</summary>
    public static Mark None => new("", 1, null);

    /// <summary>Whether this is the same log with its end cut off, and perhaps filled again.</summary>
    /// <param name="found">The log as it is now.</param>
    /// <param name="at">When the message before <c>Next</c> was committed there; null: it is not there.</param>
    public bool IsRolledBack(LogHead found, DateTime? at) =>
        found.Epoch == Epoch && (found.Next < Next || (at is not null && At is not null && at != At));
}
