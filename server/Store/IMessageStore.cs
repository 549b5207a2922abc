namespace ChatMinimal;

/// <summary>
/// A store is a sequencer: it takes drafts, puts them into each room's single order, commits them and hands them back.
/// Nothing is shown to anyone that did not come back from it. Every call may throw <see cref="StoreUnavailableException"/>.
/// </summary>
interface IMessageStore : IHostedService
{
    /// <summary>Which log this is, and what it holds now.</summary>
    ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel);

    /// <summary>
    /// Submits drafts, one after another in the room's order: all of them are committed, or none. Completes after that and
    /// after every follower was told. An idempotency key that is in the log already adds nothing: the answer has its seq.
    /// When it fails, they may have been committed or not.
    /// </summary>
    ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel);

    /// <summary>
    /// Follows a log until the result is disposed. The first page tells where the log is: no messages, and <c>Next</c> is the
    /// head's. Then each message is told once, in order, in batches that grow under load. When the log has become another one,
    /// a page like the first tells so: another epoch, no messages; what follows belongs to that log.
    /// </summary>
    /// <param name="room">Its name.</param>
    /// <param name="tell">Called by one thread at a time, which commits nothing meanwhile: it must be quick, and wait for nobody.</param>
    ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell);

    /// <summary>
    /// Reads [from, to), or as much of it as one page holds: at most <see cref="PageMessages"/>, and no more than
    /// <see cref="PageBytes"/> of text unless a single message is longer. At or beyond the log's end there is nothing to read.
    /// </summary>
    ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel);

    const int PageMessages = 128;    // what a reader holds while its peer takes its time
    const int PageBytes = 16 * 1024; // the same, in bytes

    /// <summary>
    /// The newest messages with seqs below this one that have all the words, oldest first. Null: this store cannot search.
    /// </summary>
    ValueTask<LogPage?> SearchAsync(string room, SearchWords words, long before, int most, CancellationToken cancel) => default;

    /// <summary>Whether it can commit messages now. Answers within seconds, whatever the disk does.</summary>
    ValueTask CheckAsync(CancellationToken cancel);

    // Started before the first call, and stopped after the last connection. Those that have no threads of their own do nothing.
    Task IHostedService.StartAsync(CancellationToken cancel) => Task.CompletedTask;

    Task IHostedService.StopAsync(CancellationToken cancel) => Task.CompletedTask;
}

/// <summary>
/// The seq of a submitted draft, and whether its key was in the log before. <c>IsTaken</c>: it was, under another text, so the
/// draft was not added. Where the first text is no longer there to compare, the key alone decides.
/// </summary>
readonly record struct Submission(long Seq, bool WasKnown, bool IsTaken = false);

/// <summary>
/// A stretch of a log, and the log's identity and extent when it was read. Whoever read from a seq reads on from <c>Next</c>;
/// what lies between the two and is not among the messages is a gap: no longer retained, or lost. A gap is only ever before the
/// messages, which are consecutive: the next gap begins the next page.
/// </summary>
readonly record struct LogPage(LogHead Head, long Next, IReadOnlyList<Message> Messages);

/// <summary>The store cannot commit or read now; it may again later.</summary>
sealed class StoreUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
