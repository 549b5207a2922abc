namespace ChatMinimal.Postgres;

/// <summary>
/// What one client submitted at once. Each draft has an idempotency key, its own or the server's, so that it can be tried again
/// after an attempt of which nobody knows the outcome.
/// </summary>
sealed class Submitted : TaskCompletionSource<Submission[]>
{
    const int Overhead = 256; // bytes a draft, beside its text

    public readonly IReadOnlyList<Draft> Drafts;
    public readonly string[] Keys;
    public readonly Submission[] Submissions;
    public readonly int Bytes;

    public Submitted(IReadOnlyList<Draft> drafts, string[] keys) : base(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        (Drafts, Keys, Submissions) = (drafts, keys, new Submission[drafts.Count]);
        foreach (Draft draft in drafts)
            Bytes += draft.Text.Length + Overhead;
    }

    /// <summary>No client's key begins with a space: this one is the server's own, and is shown to nobody.</summary>
    public static string OwnKey(string server, long number) => $" {server} {number:x}";
}
