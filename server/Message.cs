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
    public static Refusal BadName(string detail, string? key) => new("bad_name", detail, key);
    public static Refusal KeyTaken(string key) => new("key_taken", "another text was sent with this key", key);
    public static Refusal StoreUnavailable(string key) => new("store_unavailable", "the server cannot commit messages now, send it again later", key);
}

/// <summary>What a chat.v1 client said: one of these, or why it cannot be heard.</summary>
abstract record Utterance
{
    public sealed record Say(string Key, byte[] Text) : Utterance;
    public sealed record Name(string? Value) : Utterance;
    public sealed record Typing : Utterance;
    public sealed record Refused(Refusal Refusal) : Utterance;

    public const string KeyRule = "key must be 1 to 64 printable ASCII characters, without spaces";
    public const string TextRule = "text must be a string of Unicode characters";
    public const string NameRule = "name must be a string of Unicode characters";
    public const string TypeRule = "type must be say, name or typing";

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
                if (Unseen.IsAll(said.Text))
                    return new Refused(Refusal.Empty(said.Key));
                if (said.Text.Length > maxMessageBytes)
                    return new Refused(Refusal.TooLong(said.Key, maxMessageBytes));
                return new Say(said.Key, said.Text);
            case "name":
                if (said.Name is null)
                    return Malformed(NameRule);
                return Names.TryRead(said.Name, out string? name, out why) ? new Name(name) : new Refused(Refusal.BadName(why, said.Key));
            case "typing":
                return new Typing();
            default:
                return Malformed(TypeRule);
        }

        Refused Malformed(string detail) => new(Refusal.Malformed(detail, said.Key));
    }

    public static bool IsKey([NotNullWhen(true)] string? key) =>
        key is { Length: > 0 and <= LongestKey } && !key.AsSpan().ContainsAnyExceptInRange('!', '~');
}

/// <summary>The properties of a JSON object that mean something to us. Null: not there, or JSON's null.</summary>
readonly record struct Fields(string? Type, string? Key, string? Name, byte[]? Text)
{
    const string Twice = "a property is there twice, with different values";

    /// <summary>
    /// Never throws for what a client sent. A property that is there and cannot be used makes the whole unusable; the key is
    /// read all the same, even of what is not JSON to its end, so that the answer can name it.
    /// </summary>
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
                switch (NameOf(ref reader))
                {
                    case "type":
                        fields = fields with { Type = ReadString(ref reader, fields.Type, Utterance.TypeRule, ref why) };
                        break;
                    case "key":
                        fields = fields with { Key = ReadString(ref reader, fields.Key, Utterance.KeyRule, ref why) };
                        break;
                    case "name":
                        fields = fields with { Name = ReadString(ref reader, fields.Name, Utterance.NameRule, ref why) };
                        break;
                    case "text":
                        fields = fields with { Text = ReadText(ref reader, fields.Text, Utterance.TextRule, ref why) };
                        break;
                    case null:
                        why ??= "names of properties must be strings of Unicode characters";
                        reader.Skip();
                        break;
                    default:
                        reader.Skip();
                        break;
                }
            }
            reader.Read(); // throws when something follows the object
        }
        catch (JsonException)
        {
            why = "not JSON";
        }
        return why is null;
    }

    // One that means something to us, or ""; null when it has half a surrogate pair, which is no Unicode text.
    static string? NameOf(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.ValueTextEquals("type"u8) ? "type"
                : reader.ValueTextEquals("key"u8) ? "key"
                : reader.ValueTextEquals("name"u8) ? "name"
                : reader.ValueTextEquals("text"u8) ? "text"
                : "";
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    static string? ReadString(ref Utf8JsonReader reader, string? before, string rule, ref string? why)
    {
        string? value = Unescape(ref reader, rule, ref why) is { } utf8 ? Encoding.UTF8.GetString(utf8) : before;
        if (before is not null && before != value)
            why ??= Twice;
        return before ?? value;
    }

    static byte[]? ReadText(ref Utf8JsonReader reader, byte[]? before, string rule, ref string? why)
    {
        byte[]? value = Unescape(ref reader, rule, ref why) ?? before;
        if (before is not null && !before.AsSpan().SequenceEqual(value))
            why ??= Twice;
        return before ?? value;
    }

    // Null when the value is no string, or has half a surrogate pair; and when it is JSON's null, which is as good as not there.
    static byte[]? Unescape(ref Utf8JsonReader reader, string rule, ref string? why)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String)
        {
            if (reader.TokenType != JsonTokenType.Null)
                why ??= rule;
            reader.Skip();
            return null;
        }
        byte[] unescaped = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            int length = reader.CopyString(unescaped);
            return unescaped.AsSpan(0, length).ToArray();
        }
        catch (InvalidOperationException)
        {
            why ??= rule;
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(unescaped);
        }
    }
}

/// <summary>What the server says, in both dialects: payloads of text frames.</summary>
static class Words
{
    const int LargestKept = 64 * 1024; // bytes; a scratch that one rare message made larger is let go

    [ThreadStatic] static ArrayBufferWriter<byte>? s_scratch;
    [ThreadStatic] static Utf8JsonWriter? s_json;

    // The text is data to a JSON parser, never part of a page, so only what JSON itself demands is escaped.
    public static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

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

    /// <summary>A message that is known by its key, and no longer retained.</summary>
    public static byte[] Known(string? key, long seq)
    {
        Utf8JsonWriter json = Begin();
        json.WriteNumber("seq"u8, seq);
        WriteOptional(json, "key"u8, key);
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
            s_json = new Utf8JsonWriter(scratch, Options);
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
        WriteBeforeText(json, message);
        json.WriteString("text"u8, message.Text);
        WriteAfterText(json, message);
    }

    public static void WriteBeforeText(Utf8JsonWriter json, Message message)
    {
        json.WriteNumber("seq"u8, message.Seq);
        json.WriteString("at"u8, message.At);
        WriteOptional(json, "name"u8, message.Name);
    }

    public static void WriteAfterText(Utf8JsonWriter json, Message message) => WriteOptional(json, "key"u8, message.Key);

    static void WriteOptional(Utf8JsonWriter json, ReadOnlySpan<byte> property, string? value)
    {
        if (value is not null)
            json.WriteString(property, value);
    }
}
