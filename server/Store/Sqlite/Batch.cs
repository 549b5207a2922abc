using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace ChatMinimal.Sqlite;

/// <summary>A batch is what one transaction adds to a log: drafts become messages, unless their idempotency key is known, and messages become pages.</summary>
static class Batch
{
    const int LongestPage = 256;   // messages a row: to read one of them is to read them all
    const int LargestPage = 65536; // bytes of text a row, likewise
    const int RowBytes = 4096;     // a page of SQLite's: the least that a row costs

    public static Submission Add(ChatFile file, RoomLog log, Draft draft, DateTime now)
    {
        if (draft.Key is not null && FindOrAddKey(file, log, draft) is { } known)
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
            while (to < written.Length && to - from < LongestPage && bytes < LargestPage)
                bytes += written[to++].Text.Length;
            file.AddPage.Bind(1, Page.IdOf(log.Id, written[to - 1].Seq)).Bind(2, Page.FormatTime(written[from].At)).Bind(3, PageText.Write(written[from..to])).Run();
            from = to;
            cost += RowBytes + bytes;
        }
        return cost;
    }

    public static long HashOf(string room, string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.ASCII.GetBytes($"{room}/{key}"), hash);
        return BinaryPrimitives.ReadInt64BigEndian(hash);
    }

    // What is known of this key; null when no message had it, and the next one does now.
    static Submission? FindOrAddKey(ChatFile file, RoomLog log, Draft draft)
    {
        long hash = HashOf(log.Room, draft.Key!);
        if (file.AddKey.Bind(1, hash).Bind(2, log.Next).Run() == 1)
            return null;
        long seq = file.FindKey.Bind(1, hash).Scalar() ?? 0;
        if (seq > 0 && seq < log.Next)
        {
            // A hash says perhaps, the message says for sure; where it is not to be had, the hash is believed.
            PageText.Entry? first = EntryOf(file, log, seq);
            if (first is null || first.Value.Key == draft.Key)
                return new Submission(seq, WasKnown: true, IsTaken: first?.Text is { } text && !draft.Text.AsSpan().SequenceEqual(text));
        }
        file.MoveKey.Bind(1, hash).Bind(2, log.Next).Run();
        return null;
    }

    static PageText.Entry? EntryOf(ChatFile file, RoomLog log, long seq)
    {
        if (seq < log.From)
            return Page.ReadFrom(file, log.Id, seq).Select(page => page.Find(seq)).FirstOrDefault();
        Message message = log.Written[(int)(seq - log.From)];
        return new PageText.Entry(message.Text, message.Name, message.Key);
    }
}
