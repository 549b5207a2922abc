namespace ChatMinimal.Sqlite;

/// <summary>
/// What one client submitted at once, and the task that it waits for. Without a room it only asks whether a transaction goes through.
/// </summary>
sealed class Submitted : TaskCompletionSource<Submission[]>
{
    const int Overhead = 128; // bytes a draft, beside its text

    public readonly string? Room;
    public readonly IReadOnlyList<Draft> Drafts;
    public readonly Submission[] Submissions;
    public readonly int Bytes;

    // A submission that was made on the loop continues there, at once; any other continues on the pool.
    public Submitted(string? room, IReadOnlyList<Draft> drafts)
        : base(Loop.IsHere ? TaskCreationOptions.None : TaskCreationOptions.RunContinuationsAsynchronously)
    {
        (Room, Drafts, Submissions) = (room, drafts, new Submission[drafts.Count]);
        for (int i = 0; i < drafts.Count; i++)
            Bytes += drafts[i].Text.Length + Overhead;
    }
}
