using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace ChatMinimal;

/// <summary>
/// The text of a page is its messages as JSON that one can read: <c>[[text, name, key], …]</c>, oldest first, without
/// the nulls at the end. A text that is null is no longer retained. It is somebody's file: reading never throws for what is in it.
/// </summary>
static class PageText
{
    [ThreadStatic] static ArrayBufferWriter<byte>? s_scratch;

    // Only what JSON itself demands is escaped: it is data, never part of a page.
    static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Valid until this thread's next text.</summary>
    public static ReadOnlySpan<byte> Write(ReadOnlySpan<Message> messages)
    {
        ArrayBufferWriter<byte> scratch = s_scratch ??= new();
        scratch.ResetWrittenCount();
        using var json = new Utf8JsonWriter(scratch, s_options);
        json.WriteStartArray();
        foreach (Message message in messages)
        {
            json.WriteStartArray();
            json.WriteStringValue(message.Text);
            if (message.Name is not null || message.Key is not null)
                json.WriteStringValue(message.Name);
            if (message.Key is not null)
                json.WriteStringValue(message.Key);
            json.WriteEndArray();
        }
        json.WriteEndArray();
        json.Flush();
        return scratch.WrittenSpan;
    }

    /// <summary>The same with nothing but the keys. Valid until this thread's next text.</summary>
    public static ReadOnlySpan<byte> WriteKeys(IEnumerable<string?> keys)
    {
        ArrayBufferWriter<byte> scratch = s_scratch ??= new();
        scratch.ResetWrittenCount();
        using var json = new Utf8JsonWriter(scratch, s_options);
        json.WriteStartArray();
        foreach (string? key in keys)
        {
            json.WriteStartArray();
            json.WriteNullValue();
            if (key is not null)
            {
                json.WriteNullValue();
                json.WriteStringValue(key);
            }
            json.WriteEndArray();
        }
        json.WriteEndArray();
        json.Flush();
        return scratch.WrittenSpan;
    }

    /// <summary>Null when this is not the text of a page.</summary>
    public static List<Entry>? Read(ReadOnlySpan<byte> text)
    {
        if (!Utf8.IsValid(text)) // it goes to clients, whose sockets would end over it
            return null;
        try
        {
            var entries = new List<Entry>();
            var json = new Utf8JsonReader(text);
            if (!json.Read() || json.TokenType != JsonTokenType.StartArray)
                return null;
            while (json.Read() && json.TokenType == JsonTokenType.StartArray)
            {
                if (ReadEntry(ref json) is not { } entry)
                    return null;
                entries.Add(entry);
            }
            bool isWhole = json.TokenType == JsonTokenType.EndArray && entries.Count > 0 && !json.Read(); // throws when something follows
            return isWhole ? entries : null;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException) // the second: half a surrogate pair
        {
            return null;
        }
    }

    /// <summary>
    /// A key, or null, for each message; empty when nobody gave one, or nothing can be read. Most pages of a plain room need no more than a
    /// glance.
    /// </summary>
    public static string?[] ReadKeys(ReadOnlySpan<byte> text)
    {
        if (text.IndexOf(",\""u8) < 0) // nothing but texts, for within one a quote is escaped
            return [];
        return Read(text) is { } entries && entries.Exists(entry => entry.Key is not null) ? [.. entries.Select(entry => entry.Key)] : [];
    }

    public readonly record struct Entry(byte[]? Text, string? Name, string? Key);

    static Entry? ReadEntry(ref Utf8JsonReader json)
    {
        byte[]? text = null, name = null, key = null;
        for (int field = 0; json.Read() && json.TokenType != JsonTokenType.EndArray; field++)
        {
            if (field > 2 || json.TokenType is not (JsonTokenType.String or JsonTokenType.Null))
                return null;
            byte[]? value = json.TokenType == JsonTokenType.Null ? null : Unescape(json);
            (text, name, key) = field switch { 0 => (value, name, key), 1 => (text, value, key), _ => (text, name, value) };
        }
        return new Entry(text, Decode(name), Decode(key));
    }

    static string? Decode(byte[]? utf8) => utf8 is null ? null : Encoding.UTF8.GetString(utf8);

    static byte[] Unescape(in Utf8JsonReader json)
    {
        if (!json.ValueIsEscaped)
            return json.ValueSpan.ToArray();
        var unescaped = new byte[json.ValueSpan.Length];
        return unescaped[..json.CopyString(unescaped)];
    }
}
