using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The text of a page is what was said in it, as JSON that one can read: <c>[[text, name, key], …]</c>, oldest first, without
/// the nulls at the end. A text that is null is no longer kept.
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

    public static List<Entry> Read(ReadOnlySpan<byte> text)
    {
        var entries = new List<Entry>();
        var json = new Utf8JsonReader(text);
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.StartArray)
        {
            json.Read();
            byte[]? said = json.TokenType == JsonTokenType.Null ? null : Unescape(json);
            string? name = NextString(ref json), key = NextString(ref json);
            while (json.TokenType != JsonTokenType.EndArray)
                json.Read();
            entries.Add(new Entry(said, name, key));
        }
        return entries;
    }

    /// <summary>A key, or null, for each message; empty when nobody gave one. Most pages of a plain room need no more than a glance.</summary>
    public static string?[] ReadKeys(ReadOnlySpan<byte> text)
    {
        if (text.IndexOf(",\""u8) < 0) // nothing but texts, for within one a quote is escaped
            return [];
        List<Entry> entries = Read(text);
        return entries.Exists(entry => entry.Key is not null) ? [.. entries.Select(entry => entry.Key)] : [];
    }

    public readonly record struct Entry(byte[]? Text, string? Name, string? Key);

    static byte[] Unescape(in Utf8JsonReader json)
    {
        if (!json.ValueIsEscaped)
            return json.ValueSpan.ToArray();
        var unescaped = new byte[json.ValueSpan.Length];
        return unescaped[..json.CopyString(unescaped)];
    }

    static string? NextString(ref Utf8JsonReader json) =>
        json.TokenType != JsonTokenType.EndArray && json.Read() && json.TokenType == JsonTokenType.String ? Encoding.UTF8.GetString(Unescape(json)) : null;
}
