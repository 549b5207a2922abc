namespace ChatMinimal.Sqlite;

/// <summary>
/// Retention deletes what is older than the options say: a little in each transaction, so that nobody waits for it. A key outlives its
/// message, which may be said again.
/// </summary>
sealed class Retention(ChatOptions options)
{
    const int KeysKept = 100_000; // a room: said again even after a long time offline, a message is in the log once
    const int TrimAtOnce = 256;   // pages a transaction and room: a millisecond or two
    const int TrimEvery = 256;    // messages

    readonly int _keepMessages = options.KeepMessages;

    /// <summary>What is no longer retained may not be deleted yet; it is no longer shown.</summary>
    public LogHead Clip(LogHead head) => _keepMessages == 0 ? head : head with { First = Math.Max(head.First, head.Next - _keepMessages) };

    public void Trim(ChatFile file, RoomLog log)
    {
        if (_keepMessages == 0 || log.Next < log.TrimAt)
            return;
        long first = log.Next - _keepMessages, firstKey = log.Next - KeysKept, before = log.First;
        List<OldPage> forgotten = PagesBefore(file, log, from: 0, Math.Min(first, firstKey));
        foreach (OldPage page in forgotten)
        {
            for (int i = 0; i < page.Keys.Length; i++)
                if (page.Keys[i] is { } key)
                    file.ForgetKey.Bind(1, Batch.HashOf(log.Room, key)).Bind(2, page.Last + 1 - page.Keys.Length + i).Run();
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
        bool isAll = forgotten.Count < TrimAtOnce && stripped.Count < TrimAtOnce;
        log.TrimAt = log.Next + (isAll ? Math.Min(_keepMessages, TrimEvery) : 1); // worth the look again
    }

    // A page that cannot be read has no keys that one could forget: it goes like the others.
    static List<OldPage> PagesBefore(ChatFile file, RoomLog log, long from, long before)
    {
        List<OldPage> old = [];
        Statement rows = file.ReadPages.Bind(1, Page.IdOf(log.Id, from)).Bind(2, Page.LastIdOf(log.Id));
        while (old.Count < TrimAtOnce && rows.Step() && Page.SeqOf(rows.Int64(0)) < before)
            old.Add(new OldPage(rows.Int64(0), PageText.ReadKeys(rows.Bytes(2))));
        rows.Reset();
        return old;
    }

    readonly record struct OldPage(long Id, string?[] Keys)
    {
        public long Last => Page.SeqOf(Id);
    }
}
