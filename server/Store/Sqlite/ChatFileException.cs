namespace ChatMinimal.Sqlite;

/// <summary>The chat file cannot be used. For the operator, in one line.</summary>
sealed class ChatFileException(string message, bool mayPass, Exception? inner = null) : InvalidOperationException(message, inner)
{
    /// <summary>The same file may be of use again later: a disk that is full, a lock that somebody holds.</summary>
    public bool MayPass => mayPass;
}
