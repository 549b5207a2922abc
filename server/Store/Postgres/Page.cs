using ChatMinimal.Sqlite;

namespace ChatMinimal.Postgres;

/// <summary>
/// A page is one row of the table: messages of a room that were committed together. Somebody's table: when the text cannot be
/// read it has no entries, and costs its readers what was in it and nothing else.
/// </summary>
readonly record struct Page(long Last, DateTime At, List<PageText.Entry> Entries)
{
    public long First => Last + 1 - Entries.Count;
    public bool IsDamaged => Entries.Count == 0;

    public static Page Of(long last, int count, DateTime at, byte[] said) =>
        new(last, at, PageText.Read(said) is { } entries && entries.Count == count ? entries : []);

    /// <summary>The entry of this seq; null when the page does not have it.</summary>
    public PageText.Entry? Find(long seq) => seq >= First && seq <= Last ? Entries[(int)(seq - First)] : null;

    /// <summary>As much of [from, to) as one answer holds.</summary>
    /// <param name="head">The log's.</param>
    /// <param name="pages">Its pages from the one that holds <c>from</c> on; perhaps not all.</param>
    /// <param name="limit">What it holds at most.</param>
    public static LogPage Cut(LogHead head, IReadOnlyList<Page> pages, long from, long to, Limit limit)
    {
        var messages = new List<Message>();
        int bytes = 0;
        long next = Math.Max(from, head.First);
        to = Math.Min(to, head.Next);
        foreach (Page page in pages)
        {
            for (long seq = Math.Max(next, page.First); seq <= page.Last; seq++)
            {
                if (page.Find(seq) is not { Text: { } text } entry)
                    continue;
                bytes += text.Length;
                bool isFull = messages.Count == limit.Messages || bytes > limit.Bytes;
                if (messages.Count > 0 && (isFull || seq != next || seq >= to))
                    return new LogPage(head, next, messages);
                if (seq >= to)
                    break;
                messages.Add(new Message(seq, page.At, entry.Name, text, entry.Key));
                next = seq + 1;
            }
        }
        if (messages.Count > 0)
            return new LogPage(head, next, messages);
        // Nothing but a gap: as far as was looked.
        bool isOver = pages is [] || pages[^1].Last >= to - 1;
        return new LogPage(head, isOver ? Math.Max(from, to) : pages[^1].Last + 1, messages);
    }
}

/// <summary>What one read may hold.</summary>
readonly record struct Limit(int Messages, int Bytes)
{
    public static Limit Reader => new(IMessageStore.PageMessages, IMessageStore.PageBytes);
    public static Limit Follower => new(4096, 1 << 20);
}
