using System.Globalization;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The rows of the file, in SQLite's own terms. A page's id has the room's id and, in its last 36 bits, the seq of the page's last message:
/// so the pages of a room lie together, in order, in a tree of whole numbers.
/// </summary>
static class Rows
{
    const int SeqBits = 36; // the schema's view has them, too
    const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";
    const int TimeLength = 23; // characters, without the Z

    /// <summary>The last seq that a log can have: the next one would be the first of the next room.</summary>
    public const long LastSeq = (1L << SeqBits) - 1;

    /// <summary>The last id that a room can have.</summary>
    public const long LastRoom = long.MaxValue >> SeqBits;

    public static long IdOf(long room, long seq) => room << SeqBits | seq;
    public static long LastIdOf(long room) => room << SeqBits | LastSeq;
    public static long SeqOf(long id) => id & LastSeq;

    /// <summary>As <see cref="TimeFormat"/> has it: to cut the round-trip format is much faster.</summary>
    public static string FormatTime(DateTime at) =>
        string.Concat(at.ToString("O", CultureInfo.InvariantCulture).AsSpan(0, TimeLength), "Z");

    public static bool TryParseTime(string text, out DateTime at) =>
        DateTime.TryParseExact(text, TimeFormat, CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out at);

    /// <summary>The room's row and where its log is; an id of 0 when there is none.</summary>
    public static (long Id, LogHead Head) ReadHead(ChatFile file, string room, string newEpoch)
    {
        Statement found = file.FindRoom.Bind(1, room);
        if (!found.Step())
            return (0, new LogHead(newEpoch, 1, 1));
        // Somebody's file: an epoch or a number that cannot be used is as good as none.
        (long id, string epoch, long first, long next) =
            (found.Int64(0), found.IsText(1) ? found.Text(1)! : newEpoch, found.Int64(2), found.Int64(3));
        found.Reset();
        if (file.LastPage.Bind(1, IdOf(id, 0)).Bind(2, LastIdOf(id)).Scalar() is { } last)
            next = Math.Max(next, SeqOf(last) + 1);
        next = Math.Clamp(next, 1, LastSeq + 1);
        return (id, new LogHead(epoch, Math.Clamp(first, 1, next), next));
    }

    /// <summary>Within a transaction.</summary>
    /// <exception cref="StoreUnavailableException">There are as many rooms as a file can have.</exception>
    public static (long Id, LogHead Head) AddRoom(ChatFile file, string room, string epoch)
    {
        file.AddRoom.Bind(1, room).Bind(2, epoch).Run();
        (long id, LogHead head) = ReadHead(file, room, epoch);
        return id <= LastRoom ? (id, head) : throw new StoreUnavailableException($"the file is full: it has no more than {LastRoom} rooms");
    }

    /// <summary>The pages of a room from the one that holds this seq on.</summary>
    public static IEnumerable<Page> PagesFrom(ChatFile file, long room, long seq)
    {
        Statement rows = file.ReadPages.Bind(1, IdOf(room, seq)).Bind(2, LastIdOf(room));
        try
        {
            while (rows.Step())
                yield return PageOf(rows);
        }
        finally
        {
            rows.Reset();
        }
    }

    // Somebody's file: of any type and content.
    static Page PageOf(Statement row)
    {
        DateTime at = default;
        bool isWhole = row.IsText(1) && row.IsText(2) && TryParseTime(row.Text(1)!, out at);
        return new Page(SeqOf(row.Int64(0)), at, isWhole && PageText.Read(row.Bytes(2)) is { } entries ? entries : []);
    }

    /// <summary>Some rooms, by id, and the id of the last of them.</summary>
    public static (List<string> Names, long Last) RoomsAfter(ChatFile file, long last)
    {
        var names = new List<string>();
        Statement rows = file.RoomsAfter.Bind(1, last);
        while (rows.Step())
        {
            last = rows.Int64(0);
            names.Add(rows.Text(1) ?? "");
        }
        return (names, last);
    }

    /// <summary>Within a transaction: writes a row of this length, and takes it back. Fails when that would.</summary>
    public static void Probe(ChatFile file, int bytes)
    {
        file.AddPage.Bind(1, -1).Bind(2, "").Bind(3, new byte[bytes]).Run();
        file.ForgetPage.Bind(1, -1).Run();
    }
}
