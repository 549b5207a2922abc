using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ChatMinimal;

/// <summary>A server message, in both dialects: the payload of a text frame, valid until this thread writes its next one.</summary>
static class ServerMessage
{
    const int LargestScratch = 64 * 1024; // bytes; a scratch that one rare message made larger is let go

    [ThreadStatic] static ArrayBufferWriter<byte>? s_scratch;
    [ThreadStatic] static Utf8JsonWriter? s_json;

    // The text is data to a JSON parser, never part of a page, so only what JSON itself demands is escaped.
    public static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The plain dialect's one sentence.</summary>
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

    /// <summary>A chat.v1 message.</summary>
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

    public static ReadOnlySpan<byte> Hello(string room, LogHead head, bool isResumed, int online, int maxMessageBytes)
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
        return End(json);
    }

    /// <summary>A part of the log that is not there: from, to, both inclusive.</summary>
    public static ReadOnlySpan<byte> Gap(long from, long to)
    {
        Utf8JsonWriter json = Begin("gap"u8);
        json.WriteNumber("from"u8, from);
        json.WriteNumber("to"u8, to);
        return End(json);
    }

    public static ReadOnlySpan<byte> Logged(string key, long seq)
    {
        Utf8JsonWriter json = Begin("logged"u8);
        json.WriteString("key"u8, key);
        json.WriteNumber("seq"u8, seq);
        return End(json);
    }

    public static ReadOnlySpan<byte> Refused(Refusal refusal)
    {
        Utf8JsonWriter json = Begin("refused"u8);
        WriteOptional(json, "key"u8, refusal.Key);
        json.WriteString("reason"u8, refusal.Reason);
        json.WriteString("detail"u8, refusal.Detail);
        return End(json);
    }

    public static ReadOnlySpan<byte> Presence(int online, IEnumerable<string> names)
    {
        Utf8JsonWriter json = Begin("presence"u8);
        json.WriteNumber("online"u8, online);
        json.WriteStartArray("names"u8);
        foreach (string name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
        return End(json);
    }

    public static ReadOnlySpan<byte> Typing(string name)
    {
        Utf8JsonWriter json = Begin("typing"u8);
        json.WriteString("name"u8, name);
        return End(json);
    }

    public static ReadOnlySpan<byte> Typing(IReadOnlyList<string> names)
    {
        Utf8JsonWriter json = Begin("typing"u8);
        json.WriteStartArray("names"u8);
        foreach (string name in names)
            json.WriteStringValue(name);
        json.WriteEndArray();
        return End(json);
    }

    public static ReadOnlySpan<byte> Beat(long next)
    {
        Utf8JsonWriter json = Begin("beat"u8);
        json.WriteNumber("next"u8, next);
        return End(json);
    }

    static ArrayBufferWriter<byte> Scratch()
    {
        if (s_scratch is null || s_scratch.Capacity > LargestScratch)
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
