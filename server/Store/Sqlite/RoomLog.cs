namespace ChatMinimal.Sqlite;

/// <summary>A room log is what the writer knows of a room that is followed, or was written to of late.</summary>
sealed class RoomLog(string room, LogHead head)
{
    public readonly string Room = room;
    public LogHead Head = head; // committed and told; replaced under the writer's lock
    public readonly List<Follower> Followers = []; // under the writer's lock

    // The transaction's of the moment.
    public long Transaction; // its number, or that of the last one that it was in; 0: what follows is to be read from the file
    public long Id; // of its row in the file; 0: it has none, as far as we know
    public string Epoch = head.Epoch;
    public long First, From, Next; // From: where its messages begin
    public List<Message> Written = [];
    public long TrimAt; // the seq, or the time, at which it is worth looking for what is no longer retained
    public DateTime TrimTime;

    /// <summary>A transaction begins, in which the file says that the log is here.</summary>
    public void Begin(long id, LogHead found)
    {
        (Id, Epoch, First) = (id, found.Epoch, found.First);
        From = Next = found.Epoch == Head.Epoch ? Math.Max(found.Next, Head.Next) : found.Next;
    }

    /// <summary>The same, and nobody else has written to the file since this log's last one.</summary>
    public void Begin() => From = Next;

    /// <summary>It was rolled back.</summary>
    public void TakeBack()
    {
        TakeWritten();
        Transaction = 0;
    }

    /// <summary>It is another log now, which is here.</summary>
    public void Reset(LogHead head) => (Head, TrimAt, TrimTime) = (head, 0, default);

    public List<Message> TakeWritten()
    {
        List<Message> written = Written;
        Written = [];
        return written;
    }
}

/// <summary>A follower is told what is committed to a room, by the writer.</summary>
sealed class Follower(string room, Action<LogPage> tell, Action<Follower> leave) : IDisposable
{
    public readonly string Room = room;

    public void Tell(LogPage page) => tell(page);

    public void Dispose() => leave(this);
}
