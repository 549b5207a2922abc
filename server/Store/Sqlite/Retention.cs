namespace ChatMinimal.Sqlite;

/// <summary>
/// Retention deletes what is older than the options say: a little in each transaction, so that nobody waits for it. A key outlives its
/// message, which may be sent again.
/// </summary>
sealed class Retention(ChatOptions options)
{
    const int KeysRetained = 100_000; // a room: sent again even after a long time offline, a message is in the log once
    const int TrimAtOnce = 256;   // pages a transaction and room: a millisecond or two
    const int TrimEvery = 256;    // messages

    public static readonly TimeSpan Every = TimeSpan.FromHours(1); // how long a message may stay beyond KeepDays

    readonly int _keepMessages = options.KeepMessages;
    readonly TimeSpan _keepFor = TimeSpan.FromDays(options.KeepDays);

    /// <summary>What is no longer retained may not be deleted yet; it is no longer shown.</summary>
    public LogHead Clip(LogHead head) => _keepMessages == 0 ? head : head with { First = Math.Max(head.First, head.Next - _keepMessages) };

    /// <summary>Whether anything was deleted.</summary>
    public bool Trim(ChatFile file, RoomLog log, DateTime now)
    {
        bool isTime = _keepFor > TimeSpan.Zero && now >= log.TrimTime, isFull = _keepMessages > 0 && log.Next >= log.TrimAt;
        if (!isTime && !isFull)
            return false;
        long first = Math.Max(_keepMessages > 0 ? log.Next - _keepMessages : 0,
            _keepFor > TimeSpan.Zero ? FirstSince(file, log, now - _keepFor) : 0);
        long firstKey = log.Next - KeysRetained, before = log.First;
        List<OldPage> forgotten = PagesBefore(file, log, from: 0, Math.Min(first, firstKey));
        foreach (OldPage page in forgotten)
        {
            for (int i = 0; i < page.Keys.Length; i++)
                if (page.Keys[i] is { } key)
                    Keys.Forget(file, log.Room, key, page.Last + 1 - page.Keys.Length + i);
            file.ForgetPage.Bind(1, page.Id).Run();
            log.First = Math.Max(log.First, page.Last + 1);
        }
        List<OldPage> stripped = first > firstKey ? PagesBefore(file, log, log.First, first) : [];
        foreach (OldPage page in stripped)
        {
            if (page.Keys is [])
                file.ForgetPage.Bind(1, page.Id).Run();
            else
                file.SetSaid.Bind(1, page.Id).Bind(2, PageText.WriteKeys(page.Keys)).Run();
            log.First = page.Last + 1;
        }
        if (log.First > before)
            file.SetRoom.Bind(1, log.Id).Bind(2, log.First).Bind(3, log.Next).Run();
        if (forgotten.Count < TrimAtOnce && stripped.Count < TrimAtOnce) // worth the look again
            (log.TrimAt, log.TrimTime) = (log.Next + Math.Min(_keepMessages, TrimEvery), now + Every);
        return forgotten.Count + stripped.Count > 0;
    }

    // The last seq of the oldest page that is young enough, as far as one transaction goes. What time it is of nobody knows is as old as
    // its neighbours.
    static long FirstSince(ChatFile file, RoomLog log, DateTime since)
    {
        string oldest = Rows.FormatTime(since);
        long first = 0;
        Statement rows = file.ReadPages.Bind(1, Rows.IdOf(log.Id, log.First)).Bind(2, Rows.LastIdOf(log.Id));
        for (int i = 0; i < TrimAtOnce && rows.Step(); i++)
        {
            if (rows.IsText(1) && string.CompareOrdinal(rows.Text(1), oldest) >= 0)
            {
                first = Rows.SeqOf(rows.Int64(0));
                break;
            }
            first = Rows.SeqOf(rows.Int64(0)) + 1;
        }
        rows.Reset();
        return first;
    }

    // A page that cannot be read has no keys that one could forget: it goes like the others.
    static List<OldPage> PagesBefore(ChatFile file, RoomLog log, long from, long before)
    {
        List<OldPage> old = [];
        Statement rows = file.ReadPages.Bind(1, Rows.IdOf(log.Id, from)).Bind(2, Rows.LastIdOf(log.Id));
        while (old.Count < TrimAtOnce && rows.Step() && Rows.SeqOf(rows.Int64(0)) < before)
            old.Add(new OldPage(rows.Int64(0), PageText.ReadKeys(rows.Bytes(2))));
        rows.Reset();
        return old;
    }

    readonly record struct OldPage(long Id, string?[] Keys)
    {
        public long Last => Rows.SeqOf(Id);
    }
}
