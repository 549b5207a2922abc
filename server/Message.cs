using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ChatMinimal;

/// <summary>A draft is what a client wants said, before it has a place in the room's log. The text is UTF-8.</summary>
readonly record struct Draft(string? Name, string? Key, byte[] Text);

/// <summary>A message is one entry of a room's log. The text is UTF-8, <c>At</c> is UTC.</summary>
sealed record Message(long Seq, DateTime At, string? Name, byte[] Text, string? Key);

/// <summary>Why something was not done, told to the client that asked for it.</summary>
sealed record Refusal(string Reason, string Detail, string? Key = null)
{
    public static Refusal Malformed(string detail, string? key = null) => new("malformed", detail, key);
    public static Refusal Empty(string key) => new("empty", "the text is empty", key);
    public static Refusal TooLong(string key, int limit) => new("too_long", $"the text is longer than {limit} bytes of UTF-8", key);
    public static Refusal BadName() => new("bad_name", Names.Rule);
    public static Refusal KeyTaken(string key) => new("key_taken", "another text was sent with this key", key);
    public static Refusal StoreUnavailable(string key) => new("store_unavailable", "the server cannot commit messages now, send it again later", key);
}

/// <summary>What a chat.v1 client said: one of these, or why it cannot be heard.</summary>
abstract record Utterance
{
    public sealed record Say(string Key, byte[] Text) : Utterance;
    public sealed record Name(string Value) : Utterance;
    public sealed record Typing : Utterance;
    public sealed record Refused(Refusal Refusal) : Utterance;

    public const string KeyRule = "key must be 1 to 64 printable ASCII characters, without spaces";
    public const string TextRule = "text must be a string of Unicode characters";

    const int LongestKey = 64; // characters; a UUID has 36

    /// <summary>Reads one text message of a client. Never throws for what a client sent.</summary>
    /// <param name="json">The message, valid UTF-8.</param>
    /// <param name="maxMessageBytes">The most a text may have, in bytes of UTF-8.</param>
    public static Utterance Parse(ReadOnlySpan<byte> json, int maxMessageBytes)
    {
        if (!Fields.TryRead(json, out Fields said, out string? why))
            return Malformed(why);
        switch (said.Type)
        {
            case "say":
                if (!IsKey(said.Key))
                    return Malformed(KeyRule);
                if (said.Text is null)
                    return Malformed(TextRule);
                if (IsBlank(said.Text))
                    return new Refused(Refusal.Empty(said.Key));
                if (said.Text.Length > maxMessageBytes)
                    return new Refused(Refusal.TooLong(said.Key, maxMessageBytes));
                return new Say(said.Key, said.Text);
            case "name":
                if (said.Name is null)
                    return Malformed("name must be a string of Unicode characters");
                return Names.IsValid(said.Name) ? new Name(said.Name) : new Refused(Refusal.BadName() with { Key = said.Key });
            case "typing":
                return new Typing();
            default:
                return Malformed("type must be say, name or typing");
        }

        Refused Malformed(string detail) => new(Refusal.Malformed(detail, said.Key));
    }

    public static bool IsKey([NotNullWhen(true)] string? key) =>
        key is { Length: > 0 and <= LongestKey } && !key.AsSpan().ContainsAnyExceptInRange('!', '~');

    public static bool IsBlank(ReadOnlySpan<byte> utf8)
    {
        while (!utf8.IsEmpty)
        {
            Rune.DecodeFromUtf8(utf8, out Rune rune, out int length);
            if (!Rune.IsWhiteSpace(rune))
                return false;
            utf8 = utf8[length..];
        }
        return true;
    }
}

/// <summary>The properties of a JSON object that mean something to us. Null: not there, or not a string of Unicode characters.</summary>
readonly record struct Fields(string? Type, string? Key, string? Name, byte[]? Text)
{
    /// <summary>Never throws for what a client sent. Even of what is not JSON to its end, the key is read if it came before.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, out Fields fields, [NotNullWhen(false)] out string? why)
    {
        fields = default;
        why = null;
        try
        {
            var reader = new Utf8JsonReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                why = "not a JSON object";
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("type"u8))
                    fields = fields with { Type = ReadString(ref reader) };
                else if (reader.ValueTextEquals("key"u8))
                    fields = fields with { Key = ReadString(ref reader) };
                else if (reader.ValueTextEquals("name"u8))
                    fields = fields with { Name = ReadString(ref reader) };
                else if (reader.ValueTextEquals("text"u8))
                    fields = fields with { Text = ReadText(ref reader) };
                else
                    reader.Skip();
            }
            reader.Read(); // throws when something follows the object
            return true;
        }
        catch (JsonException)
        {
            why = "not JSON";
            return false;
        }
    }

    static string? ReadString(ref Utf8JsonReader reader) => ReadText(ref reader) is { } utf8 ? Encoding.UTF8.GetString(utf8) : null;

    // Null when the value is no string, or has half a surrogate pair, which is no Unicode text.
    static byte[]? ReadText(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String)
        {
            reader.Skip();
            return null;
        }
        byte[] unescaped = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            int length = reader.CopyString(unescaped);
            return unescaped.AsSpan(0, length).ToArray();
        }
        catch (InvalidOperationException) // half a surrogate pair
        {
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(unescaped);
        }
    }
}

/// <summary>What a name may be. It is shown beside other people's words, so nothing in it may break or turn a line.</summary>
static class Names
{
    public const int Longest = 32; // Unicode scalar values: a full name, not a story

    public const string Rule = "a name has at most 32 characters, none of them a control or text direction character";

    public static bool IsValid(string name)
    {
        int count = 0;
        foreach (Rune rune in name.EnumerateRunes())
            if (++count > Longest || Rune.IsControl(rune) || TurnsText(rune.Value))
                return false;
        return true;
    }

    // Unicode's Bidi_Control property.
    static bool TurnsText(int scalar) =>
        scalar is 0x061C or 0x200E or 0x200F or (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069);
}

/// <summary>What the server says, in both dialects: payloads of text frames.</summary>
static class Words
{
    const int LargestKept = 64 * 1024; // bytes; a scratch that one rare message made larger is let go

    [ThreadStatic] static ArrayBufferWriter<byte>? s_scratch;
    [ThreadStatic] static Utf8JsonWriter? s_json;

    // The text is data to a JSON parser, never part of a page, so only what JSON itself demands is escaped.
    static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The plain dialect's one sentence. Valid until this thread's next words.</summary>
    public static ReadOnlySpan<byte> Plain(Message message)
    {
        ArrayBufferWriter<byte> scratch = Scratch();
        scratch.Write("Message d'un client "u8);
        if (message.Name is { } name)
        {
            scratch.Write("("u8);
            Encoding.UTF8.GetBytes(name, scratch);
            scratch.Write(") "u8);
        }
        scratch.Write(": "u8);
        scratch.Write(message.Text);
        return scratch.WrittenSpan;
    }

    /// <summary>A chat.v1 message. Valid until this thread's next words.</summary>
    public static ReadOnlySpan<byte> Chat(Message message)
    {
        Utf8JsonWriter json = Begin("message"u8);
        WriteProperties(json, message);
        return End(json);
    }

    /// <summary>A message as <c>POST /messages</c> answers it.</summary>
    public static byte[] Json(Message message)
    {
        Utf8JsonWriter json = Begin();
        WriteProperties(json, message);
        return End(json).ToArray();
    }

    /// <summary>A part of a log as <c>GET /messages</c> answers it.</summary>
    public static byte[] Json(LogHead head, IEnumerable<Message> messages)
    {
        Utf8JsonWriter json = Begin();
        json.WriteString("epoch"u8, head.Epoch);
        json.WriteNumber("first"u8, head.First);
        json.WriteNumber("next"u8, head.Next);
        json.WriteStartArray("messages"u8);
        foreach (Message message in messages)
        {
            json.WriteStartObject();
            WriteProperties(json, message);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        return End(json).ToArray();
    }

    public static byte[] Hello(string room, LogHead head, bool isResumed, int online, int maxMessageBytes)
    {
        Utf8JsonWriter json = Begin("hello"u8);
        json.WriteString("room"u8, room);
        json.WriteString("epoch"u8, head.Epoch);
        json.WriteNumber("first"u8, head.First);
        json.WriteNumber("next"u8, head.Next);
        if (isResumed)
            json.WriteBoolean("resumed"u8, true);
        json.WriteNumber("online"u8, online);
        json.WriteStartObject("limits"u8);
        json.WriteNumber("message"u8, maxMessageBytes);
        json.WriteNumber("name"u8, Names.Longest);
        json.WriteEndObject();
        return Framed(End(json));
    }

    /// <summary>A gap. Valid until this thread's next words.</summary>
    public static ReadOnlySpan<byte> Gap(long from, long to)
    {
        Utf8JsonWriter json = Begin("gap"u8);
        json.WriteNumber("from"u8, from);
        json.WriteNumber("to"u8, to);
        return End(json);
    }

    public static byte[] Logged(string key, long seq)
    {
        Utf8JsonWriter json = Begin("logged"u8);
        json.WriteString("key"u8, key);
        json.WriteNumber("seq"u8, seq);
        return Framed(End(json));
    }

    public static byte[] Refused(Refusal refusal)
    {
        Utf8JsonWriter json = Begin("refused"u8);
        WriteOptional(json, "key"u8, refusal.Key);
        json.WriteString("reason"u8, refusal.Reason);
        json.WriteString("detail"u8, refusal.Detail);
        return Framed(End(json));
    }

    public static byte[] Presence(int online, IEnumerable<string> names)
    {
        Utf8JsonWriter json = Begin("presence"u8);
        json.WriteNumber("online"u8, online);
        json.WriteStartArray("names"u8);
        foreach (string name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
        return Framed(End(json));
    }

    public static byte[] Typing(string name)
    {
        Utf8JsonWriter json = Begin("typing"u8);
        json.WriteString("name"u8, name);
        return Framed(End(json));
    }

    public static byte[] Typing(IReadOnlyList<string> names)
    {
        Utf8JsonWriter json = Begin("typing"u8);
        json.WriteStartArray("names"u8);
        foreach (string name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
        return Framed(End(json));
    }

    public static byte[] Beat(long next)
    {
        Utf8JsonWriter json = Begin("beat"u8);
        json.WriteNumber("next"u8, next);
        return Framed(End(json));
    }

    static byte[] Framed(ReadOnlySpan<byte> payload) => Frame.Of(Frame.Text, payload);

    static ArrayBufferWriter<byte> Scratch()
    {
        if (s_scratch is null || s_scratch.Capacity > LargestKept)
            s_scratch = new ArrayBufferWriter<byte>(1024);
        s_scratch.ResetWrittenCount();
        return s_scratch;
    }

    static Utf8JsonWriter Begin(ReadOnlySpan<byte> type)
    {
        Utf8JsonWriter json = Begin();
        json.WriteString("type"u8, type);
        return json;
    }

    static Utf8JsonWriter Begin()
    {
        ArrayBufferWriter<byte> scratch = Scratch();
        if (s_json is null)
            s_json = new Utf8JsonWriter(scratch, s_options);
        else
            s_json.Reset(scratch);
        s_json.WriteStartObject();
        return s_json;
    }

    static ReadOnlySpan<byte> End(Utf8JsonWriter json)
    {
        json.WriteEndObject();
        json.Flush();
        return s_scratch!.WrittenSpan;
    }

    static void WriteProperties(Utf8JsonWriter json, Message message)
    {
        json.WriteNumber("seq"u8, message.Seq);
        json.WriteString("at"u8, message.At);
        WriteOptional(json, "name"u8, message.Name);
        json.WriteString("text"u8, message.Text);
        WriteOptional(json, "key"u8, message.Key);
    }

    static void WriteOptional(Utf8JsonWriter json, ReadOnlySpan<byte> property, string? value)
    {
        if (value is not null)
            json.WriteString(property, value);
    }
}
