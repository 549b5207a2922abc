using System.Buffers.Binary;
using System.Text;

namespace ChatMinimal.E2E.Conformance;

/// <summary>
/// What a client sends after the handshake, and all that RFC 6455 lets the server answer: messages and pongs (each in their
/// order), the close code, and how TCP ends.
/// </summary>
sealed record ConformanceCase(string Group, string Name, Dialect Dialect, byte[] Sent, string Expected)
{
    public override string ToString() => $"{Group}: {Name}, {(Dialect == Dialect.Plain ? "plain" : "chat.v1")}";
}

/// <summary>Writes cases down in one dialect: a text is a message of that dialect, and comes back.</summary>
sealed class CaseBuilder(Dialect dialect, string group)
{
    const string Before = """{"type":"say","key":"KEY","text":"TEXT"}""";

    readonly List<byte[]> _sent = [];
    readonly List<string> _texts = [], _pongs = [];
    int _keys;

    /// <summary>The payload of a text message that says this; in chat.v1 the JSON around it.</summary>
    public byte[] Payload(ReadOnlySpan<byte> text)
    {
        if (dialect == Dialect.Plain)
            return [.. text];
        string[] around = Before.Replace("KEY", $"k{++_keys}", StringComparison.Ordinal).Split("TEXT");
        return [.. Encoding.ASCII.GetBytes(around[0]), .. text, .. Encoding.ASCII.GetBytes(around[1])];
    }

    public byte[] Payload(string text) => Payload(Encoding.UTF8.GetBytes(text));

    /// <summary>
    /// The payload of a message that is exactly so long; what is too short for chat.v1 to say something is refused there.
    /// </summary>
    public (byte[] Payload, string Told) Payload(int length)
    {
        int around = dialect == Dialect.Plain ? 0 : Before.Length - "KEY".Length - "TEXT".Length + $"k{_keys + 1}".Length;
        if (around > length || (around > 0 && around == length))
            return (Encoding.ASCII.GetBytes(new string(' ', length)), "refused malformed");
        string text = new('x', length - around);
        return (Payload(text), text);
    }

    /// <summary>These bytes come next.</summary>
    public CaseBuilder Send(params ReadOnlySpan<byte[]> frames)
    {
        _sent.AddRange(frames);
        return this;
    }

    /// <summary>A whole text message, which comes back.</summary>
    public CaseBuilder Say(string text) => Send(ClientFrame.Of(0x81, Payload(text))).Receives(text);

    /// <summary>A text message comes back.</summary>
    public CaseBuilder Receives(string text)
    {
        _texts.Add(text);
        return this;
    }

    public CaseBuilder Ponged(ReadOnlySpan<byte> payload)
    {
        _pongs.Add(Convert.ToHexString(payload));
        return this;
    }

    /// <summary>The server closes with this code, and ends the connection.</summary>
    public ConformanceCase Closes(string name, int code) =>
        new(group, name, dialect, [.. _sent.SelectMany(frame => frame)], Answer(_texts, _pongs, $"close {code}, end"));

    /// <summary>All of it is valid: after it the client closes, and the server answers that.</summary>
    public ConformanceCase IsFine(string name) => Send(Close(1000)).Closes(name, 1000);

    public static byte[] Close(int code, ReadOnlySpan<byte> reason = default)
    {
        byte[] payload = new byte[2 + reason.Length];
        BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)code);
        reason.CopyTo(payload.AsSpan(2));
        return ClientFrame.Of(0x88, payload);
    }

    /// <summary>
    /// How what the server answered is written down. Messages and pongs take different ways, and may overtake each other.
    /// </summary>
    public static string Answer(IReadOnlyCollection<string> texts, IReadOnlyCollection<string> pongs, string end)
    {
        var told = new StringBuilder();
        foreach (string text in texts)
            told.Append(text.Length > 200 ? $"message of {text.Length} {text[..20]}..." : $"message {text}").Append(", ");
        foreach (string pong in pongs)
            told.Append($"pong {pong}, ");
        return told.Append(end).ToString();
    }
}
