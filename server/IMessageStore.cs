namespace ChatMinimal;

/// <summary>
/// A store is a sequencer: it takes drafts and hands back each room's single order. What it has put in order it keeps,
/// and nothing is shown to anyone that did not come back from it. Every call may throw <see cref="StoreUnavailableException"/>.
/// </summary>
interface IMessageStore
{
    /// <summary>Which log this is, and what it holds now.</summary>
    ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel);

    /// <summary>
    /// Submits drafts, one after another in the room's order, and keeps all of them or none. Completes when they are kept; they
    /// are then on their way to every tail. A key that the log holds already adds nothing: the answer is the seq it has.
    /// Failed, they may or may not be kept.
    /// </summary>
    ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel);

    /// <summary>Follows the log from this seq on, for ever: each message once, in order, in batches that grow under load.</summary>
    IAsyncEnumerable<LogPage> TailAsync(string room, long from, CancellationToken cancel);

    /// <summary>
    /// Reads [from, to), or as much of it as one page holds: at most <see cref="PageMessages"/>, and no more than
    /// <see cref="PageBytes"/> of text unless a single message is longer. At or beyond the log's end there is nothing to read.
    /// </summary>
    ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel);

    const int PageMessages = 128;    // what a reader holds while its peer takes its time
    const int PageBytes = 16 * 1024; // the same, in bytes

    /// <summary>Whether it can keep messages now.</summary>
    ValueTask CheckAsync(CancellationToken cancel);
}

/// <summary>A log's identity, the oldest seq kept, and the seq that the next message gets. An empty log has both equal.</summary>
readonly record struct LogHead(string Epoch, long First, long Next);

/// <summary>The seq of a submitted draft, and whether its key was in the log before.</summary>
readonly record struct Submission(long Seq, bool WasKnown);

/// <summary>
/// A stretch of a log, and the log's identity and extent when it was read. Whoever read from a seq reads on from <c>Next</c>;
/// what lies between the two and is not among the messages is a gap: no longer retained, or lost.
/// </summary>
readonly record struct LogPage(LogHead Head, long Next, IReadOnlyList<Message> Messages);

/// <summary>The store cannot keep or read now; it may again later.</summary>
sealed class StoreUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
