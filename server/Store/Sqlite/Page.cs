using System.Globalization;

namespace ChatMinimal.Sqlite;

/// <summary>
/// A page is one row of the file: messages of a room that were committed together, at one time. Whatever the row holds, it has a
/// place; when the rest cannot be read it has no entries, and costs its readers what was in it and nothing else.
/// </summary>
readonly record struct Page(long Id, DateTime At, List<PageText.Entry> Entries)
{
    const int SeqBits = 36; // of an id: the seq of the last message; before them the room's id
    const long SeqMask = (1L << SeqBits) - 1;
    const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";

    public bool IsDamaged => Entries.Count == 0;
    public long First => Last + 1 - Entries.Count;
    public long Last => SeqOf(Id);

    /// <summary>The entry of this seq; null when the page does not have it.</summary>
    public PageText.Entry? Find(long seq) => seq >= First && seq <= Last ? Entries[(int)(seq - First)] : null;

    public static long IdOf(long room, long seq) => room << SeqBits | seq;
    public static long LastIdOf(long room) => room << SeqBits | SeqMask;
    public static long SeqOf(long id) => id & SeqMask;

    public static string FormatTime(DateTime at) => at.ToString(TimeFormat, CultureInfo.InvariantCulture);

    /// <summary>The pages of a room from the one that holds this seq on.</summary>
    public static IEnumerable<Page> ReadFrom(ChatFile file, long room, long seq)
    {
        Statement rows = file.ReadPages.Bind(1, IdOf(room, seq)).Bind(2, LastIdOf(room));
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
        return isWhole && TryParseTime(row.Text(1)!, out at) && PageText.Read(row.Bytes(2)) is { } entries
            ? new Page(row.Int64(0), at, entries)
            : new Page(row.Int64(0), at, []);
    }

    static bool TryParseTime(string text, out DateTime at) =>
        DateTime.TryParseExact(text, TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out at);
}
