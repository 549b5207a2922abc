namespace ChatMinimal.Sqlite;

/// <summary>
/// A page is one row of the file: messages of a room that were committed together, at one time. Whatever the row holds, it has a
/// place; when the rest cannot be read it has no entries, and costs its readers what was in it and nothing else.
/// </summary>
readonly record struct Page(long Id, DateTime At, List<PageText.Entry> Entries)
{
    public bool IsDamaged => Entries.Count == 0;
    public long First => Last + 1 - Entries.Count;
    public long Last => Rows.SeqOf(Id);

    /// <summary>The entry of this seq; null when the page does not have it.</summary>
    public PageText.Entry? Find(long seq) => seq >= First && seq <= Last ? Entries[(int)(seq - First)] : null;

    /// <summary>The pages of a room from the one that holds this seq on.</summary>
    public static IEnumerable<Page> ReadFrom(ChatFile file, long room, long seq)
    {
        Statement rows = file.ReadPages.Bind(1, Rows.IdOf(room, seq)).Bind(2, Rows.LastIdOf(room));
        try
        {
            while (rows.Step())
                yield return Of(rows);
        }
        finally
        {
            rows.Reset();
        }
    }

    // Somebody's file: of any type and content.
    static Page Of(Statement row)
    {
        bool isWhole = row.IsText(1) && row.IsText(2);
        DateTime at = default;
        return isWhole && Rows.TryParseTime(row.Text(1)!, out at) && PageText.Read(row.Bytes(2)) is { } entries
            ? new Page(row.Int64(0), at, entries)
            : new Page(row.Int64(0), at, []);
    }
}
