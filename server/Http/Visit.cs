using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace ChatMinimal;

/// <summary>A visit is what a client asks for in the address it opens: which room, under which name, from where on.</summary>
readonly record struct Visit(string Room, string? Name, Resume Resume)
{
    const int LongestRoom = 64; // characters
    const string Default = "salon";

    static readonly SearchValues<char> s_roomCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    public const string RoomRule = "room: 1 to 64 of A-Z a-z 0-9 - _";

    public static bool IsRoom(string name) => name.Length is > 0 and <= LongestRoom && !name.AsSpan().ContainsAnyExcept(s_roomCharacters);

    /// <summary>What is there and cannot be used is refused, never taken for absent.</summary>
    public static bool TryParse(HttpRequest request, out Visit visit, [NotNullWhen(false)] out string? why)
    {
        visit = default;
        why = null;
        var query = UrlEncoded.Query(request);
        string room = query.Get("room", ref why) ?? Default;
        string? name = query.Get("name", ref why), after = query.Get("after", ref why), epoch = query.Get("epoch", ref why);
        string? at = query.Get("at", ref why), last = query.Get("last", ref why);
        long seq = 0;
        DateTime time = default;
        int count = Resume.DefaultLast;
        if (why is not null)
            return false;
        if (!IsRoom(room))
            why = RoomRule;
        else if (!Names.TryRead(name ?? "", out name, out string? fault))
            why = $"name: {fault}";
        else if (after is not null && !TryParseSeq(after, out seq))
            why = "after: the number of the last message seen";
        else if (at is not null && !Position.TryParseTime(at, out time))
            why = "at: the time of the last message seen, as it was told";
        else if (last is not null && !int.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out count))
            why = "last: how many messages to begin with";
        else
            visit = new Visit(room, name, new Resume(after is null ? null : seq, epoch, count, at is null ? null : time));
        return why is null;
    }

    public static bool TryParseSeq(string text, out long seq) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out seq);
}
