namespace ChatMinimal;

/// <summary>
/// A page is one row of a database: messages of a room that were committed together, at one time. Whatever the row holds, it has a
/// place; when the rest cannot be read it has no entries, and costs its readers what was in it and nothing else.
/// </summary>
/// <param name="Last">The seq of its last message.</param>
/// <param name="At">When they were committed.</param>
/// <param name="Entries">The messages, oldest first.</param>
readonly record struct Page(long Last, DateTime At, List<PageText.Entry> Entries)
{
    public bool IsDamaged => Entries.Count == 0;
    public long First => Last + 1 - Entries.Count;

    /// <summary>The entry of this seq; null when the page does not have it.</summary>
    public PageText.Entry? Find(long seq) => seq >= First && seq <= Last ? Entries[(int)(seq - First)] : null;

    /// <summary>As much of [from, to) as one answer holds.</summary>
    /// <param name="head">The log's.</param>
    /// <param name="pages">Its pages from the one that holds <c>from</c> on. No more of them are taken than are needed.</param>
    /// <param name="from">The first seq asked for.</param>
    /// <param name="to">Exclusive; at most the log's end.</param>
    /// <param name="limit">What one answer holds at most.</param>
    /// <param name="areAll">False: after these there may be more.</param>
    public static LogPage Cut(LogHead head, IEnumerable<Page> pages, long from, long to, Limit limit, bool areAll)
    {
        var messages = new List<Message>();
        int bytes = 0;
        long next = Math.Max(from, head.First);
        long? last = null;
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
            if ((last = page.Last) >= to - 1)
                break;
        }
        if (messages.Count > 0)
            return new LogPage(head, next, messages);
        // Nothing but a gap: as far as was looked.
        bool isOver = areAll || last is null || last >= to - 1;
        return new LogPage(head, isOver ? Math.Max(from, to) : last!.Value + 1, messages);
    }
}

/// <summary>What one read may hold.</summary>
readonly record struct Limit(int Messages, int Bytes)
{
    public static Limit Reader => new(IMessageStore.PageMessages, IMessageStore.PageBytes);
    public static Limit Follower => new(4096, 1 << 20);
}
