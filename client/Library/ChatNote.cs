namespace ChatMinimal.Client;

/// <summary>What a client tells beside messages.</summary>
public abstract record ChatNote
{
    /// <summary>The link is up.</summary>
    public sealed record Connected : ChatNote;

    /// <summary>The link is down; the next attempt is after this pause.</summary>
    public sealed record Reconnecting(TimeSpan Pause) : ChatNote;

    /// <summary>The server retains these messages no longer, both ends included.</summary>
    public sealed record Gap(long From, long To) : ChatNote;

    /// <summary>The room has another log now: what was read belongs to one that is gone.</summary>
    public sealed record StartedAfresh : ChatNote;

    /// <summary>The server cannot commit messages now; they are said again later.</summary>
    public sealed record StoreUnavailable : ChatNote;

    /// <summary>The server refused one message, and says why.</summary>
    public sealed record Refused(string Reason, string Detail) : ChatNote;
}
