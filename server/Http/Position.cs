using System.Globalization;

namespace ChatMinimal;

/// <summary>
/// A position is what a client has seen of a log, as a text: <c>epoch/seq/at</c> with the time of message <c>seq</c> in milliseconds
/// since 1970, or <c>epoch/seq</c>. It is the id of a server-sent event.
/// </summary>
static class Position
{
    public static string Of(string epoch, Message message) =>
        string.Create(CultureInfo.InvariantCulture, $"{epoch}/{message.Seq}/{new DateTimeOffset(message.At).ToUnixTimeMilliseconds()}");

    /// <summary>The resume that an id asks for. What cannot be used is void: a refusal would end an EventSource for good.</summary>
    public static Resume After(string id, Resume otherwise)
    {
        string[] parts = id.Split('/');
        if (parts.Length is not (2 or 3) || !Visit.TryParseSeq(parts[1], out long seq))
            return otherwise;
        if (parts.Length == 2)
            return otherwise with { After = seq, Epoch = parts[0], At = null };
        bool isTime = Visit.TryParseSeq(parts[2], out long at) && at <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
        return isTime
            ? otherwise with { After = seq, Epoch = parts[0], At = DateTimeOffset.FromUnixTimeMilliseconds(at).UtcDateTime }
            : otherwise;
    }

    /// <summary>A time as messages tell it: ISO 8601, UTC.</summary>
    public static bool TryParseTime(string text, out DateTime at) => DateTime.TryParseExact(text, "yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'",
        CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out at);
}
