using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;

namespace ChatMinimal;

/// <summary>
/// A message writer writes messages to an answer over HTTP: as one JSON document, as lines of JSON or of text, or as server-sent events.
/// However long they are and whatever they are escaped to, only a little waits for a peer that reads slowly.
/// </summary>
sealed class MessageWriter(PipeWriter output) : IDisposable
{
    const int FlushAt = 16 << 10; // bytes of output
    const int Segment = 4 << 10;  // bytes of a text written at once; escaped, up to six times as long

    readonly Utf8JsonWriter _json = new(output, ServerMessage.Options);
    long _waiting; // bytes, beside those that the JSON writer counts since it began

    public void BeginLog(LogHead head)
    {
        _json.WriteStartObject();
        _json.WriteString("epoch"u8, head.Epoch);
        _json.WriteNumber("first"u8, head.First);
        _json.WriteNumber("next"u8, head.Next);
        _json.WriteStartArray("messages"u8);
    }

    public async ValueTask WriteAsync(Message message, CancellationToken cancel)
    {
        _json.WriteStartObject();
        ServerMessage.WriteBeforeText(_json, message);
        _json.WritePropertyName("text"u8);
        int from = 0;
        for (; message.Text.Length - from > Segment; from += Segment)
        {
            _json.WriteStringValueSegment(message.Text.AsSpan(from, Segment), isFinalSegment: false);
            await FlushIfLongAsync(cancel);
        }
        _json.WriteStringValueSegment(message.Text.AsSpan(from), isFinalSegment: true);
        ServerMessage.WriteAfterText(_json, message);
        _json.WriteEndObject();
        await FlushIfLongAsync(cancel);
    }

    public ValueTask EndLogAsync(CancellationToken cancel)
    {
        _json.WriteEndArray();
        _json.WriteEndObject();
        return FlushAsync(cancel);
    }

    /// <summary>A message as an event, whose id is the position of whoever has seen it.</summary>
    public async ValueTask EventAsync(string epoch, Message message, CancellationToken cancel)
    {
        Write(Encoding.UTF8.GetBytes($"id: {Position.Of(epoch, message)}\ndata: ")); // JSON has no line breaks of its own
        await WriteAsync(message, cancel);
        EndDocument("\n\n"u8);
    }

    /// <summary>A message as a line of JSON.</summary>
    public async ValueTask LineAsync(Message message, CancellationToken cancel)
    {
        await WriteAsync(message, cancel);
        EndDocument("\n"u8);
    }

    /// <summary>
    /// A message as people read it. Its further lines are indented, so that none of them can be taken for somebody else's message.
    /// </summary>
    public async ValueTask TextAsync(Message message, CancellationToken cancel)
    {
        Write(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
            $"{message.At:yyyy-MM-dd HH:mm:ss}Z {message.Name ?? "-"}: ")));
        for (int from = 0, length; from < message.Text.Length; from += length)
        {
            Rune.DecodeFromUtf8(message.Text.AsSpan(from), out Rune rune, out length);
            if (rune.Value == '\n')
                Write("\n    "u8);
            else if (!Rune.IsControl(rune) || rune.Value == '\t') // no escape sequences for a terminal
                Write(message.Text.AsSpan(from, length));
            await FlushIfLongAsync(cancel);
        }
        Write("\n"u8);
    }

    public void Gap(long from, long to)
    {
        Write("event: gap\ndata: "u8);
        Write(ServerMessage.Gap(from, to));
        Write("\n\n"u8);
    }

    /// <summary>A comment, so that proxies and clients see a living link.</summary>
    public ValueTask BeatAsync(CancellationToken cancel)
    {
        Write(": beat\n\n"u8);
        return FlushAsync(cancel);
    }

    public async ValueTask FlushAsync(CancellationToken cancel)
    {
        _json.Flush();
        _waiting = -_json.BytesCommitted;
        await output.FlushAsync(cancel);
    }

    ValueTask FlushIfLongAsync(CancellationToken cancel) =>
        _waiting + _json.BytesCommitted + _json.BytesPending < FlushAt ? default : FlushAsync(cancel);

    void EndDocument(ReadOnlySpan<byte> end)
    {
        _json.Flush();
        _waiting += _json.BytesCommitted;
        _json.Reset(); // the next one is a document of its own
        Write(end);
    }

    void Write(ReadOnlySpan<byte> bytes)
    {
        output.Write(bytes);
        _waiting += bytes.Length;
    }

    public void Dispose() => _json.Dispose();
}
