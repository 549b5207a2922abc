using System.Runtime.InteropServices;

namespace ChatMinimal.Sqlite;

/// <summary>
/// A batch is what one transaction adds to a log: drafts become messages, unless their idempotency key is known, and messages become pages.
/// </summary>
static class Batch
{
    const int LongestPage = 256;   // messages a row: to read one of them is to read them all
    const int LargestPage = 65536; // bytes of text a row, for the same reason
    const int RowBytes = 4096;     // a page of SQLite's: the least that a row costs

    /// <summary>Whether a page of so many messages and bytes of text takes no more.</summary>
    public static bool IsFull(int messages, int bytes) => messages >= LongestPage || bytes >= LargestPage;

    /// <exception cref="StoreUnavailableException">The room has as many messages as a log can have.</exception>
    public static Submission Add(ChatFile file, RoomLog log, Draft draft, DateTime now)
    {
        if (log.Next > Rows.LastSeq)
            throw new StoreUnavailableException($"room {log.Room} is full: no log has more than {Rows.LastSeq} messages");
        if (draft.Key is not null && Keys.FindOrAdd(file, log, draft) is { } known)
            return known;
        long seq = log.Next++;
        log.Written.Add(new Message(seq, now, draft.Name, draft.Text, draft.Key));
        return new Submission(seq, WasKnown: false);
    }

    /// <summary>Writes what was added; returns the bytes it costs, more or less.</summary>
    public static long Write(ChatFile file, RoomLog log)
    {
        ReadOnlySpan<Message> written = CollectionsMarshal.AsSpan(log.Written);
        long cost = 0;
        for (int from = 0; from < written.Length;)
        {
            int to = from, bytes = 0;
            while (to < written.Length && !IsFull(to - from, bytes))
                bytes += written[to++].Text.Length;
            file.AddPage.Bind(1, Rows.IdOf(log.Id, written[to - 1].Seq)).Bind(2, Rows.FormatTime(written[from].At))
                .Bind(3, PageText.Write(written[from..to])).Run();
            from = to;
            cost += RowBytes + bytes;
        }
        return cost;
    }
}
