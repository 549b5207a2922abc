using System.Diagnostics.CodeAnalysis;

namespace ChatMinimal;

/// <summary>A message of a chat.v1 client: one of these, or why it is refused.</summary>
abstract record ClientMessage
{
    public sealed record Say(string Key, byte[] Text) : ClientMessage;
    public sealed record Name(string? Value) : ClientMessage;
    public sealed record Typing : ClientMessage;
    public sealed record Refused(Refusal Refusal) : ClientMessage;

    public const string KeyRule = "key must be 1 to 64 printable ASCII characters, without spaces";
    public const string TextRule = "text must be a string of Unicode characters";
    public const string NameRule = "name must be a string of Unicode characters";
    public const string TypeRule = "type must be say, name or typing";

    const int LongestKey = 64; // characters; a UUID has 36

    /// <summary>Reads one text message of a client. Never throws for what a client sent.</summary>
    /// <param name="json">The message, valid UTF-8.</param>
    /// <param name="maxMessageBytes">The most a text may have, in bytes of UTF-8.</param>
    public static ClientMessage Parse(ReadOnlySpan<byte> json, int maxMessageBytes)
    {
        if (!Fields.TryRead(json, out Fields fields, out string? why))
            return Malformed(why);
        switch (fields.Type)
        {
            case "say":
                if (!IsKey(fields.Key))
                    return Malformed(KeyRule);
                if (fields.Text is null)
                    return Malformed(TextRule);
                if (Unseen.IsAll(fields.Text))
                    return new Refused(Refusal.Empty(fields.Key));
                if (fields.Text.Length > maxMessageBytes)
                    return new Refused(Refusal.TooLong(fields.Key, maxMessageBytes));
                return new Say(fields.Key, fields.Text);
            case "name":
                if (fields.Name is null)
                    return Malformed(NameRule);
                return Names.TryRead(fields.Name, out string? name, out why)
                    ? new Name(name)
                    : new Refused(Refusal.BadName(why, fields.Key));
            case "typing":
                return new Typing();
            default:
                return Malformed(TypeRule);
        }

        Refused Malformed(string detail) => new(Refusal.Malformed(detail, fields.Key));
    }

    public static bool IsKey([NotNullWhen(true)] string? key) =>
        key is { Length: > 0 and <= LongestKey } && !key.AsSpan().ContainsAnyExceptInRange('!', '~');
}
