using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;

namespace ChatMinimal;

/// <summary>
/// A message writer writes messages to an answer over HTTP: as one JSON document, or as server-sent events. However long they
/// are and whatever they are escaped to, only a little waits for a peer that reads slowly.
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
        EndEvent();
    }

    public void Gap(long from, long to)
    {
        Write("event: gap\ndata: "u8);
        Write(ServerMessage.Gap(from, to));
        EndEvent();
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

    ValueTask FlushIfLongAsync(CancellationToken cancel) => _waiting + _json.BytesCommitted + _json.BytesPending < FlushAt ? default : FlushAsync(cancel);

    void EndEvent()
    {
        _json.Flush();
        _waiting += _json.BytesCommitted;
        _json.Reset(); // the next event's data is a document of its own
        Write("\n\n"u8);
    }

    void Write(ReadOnlySpan<byte> bytes)
    {
        output.Write(bytes);
        _waiting += bytes.Length;
    }

    public void Dispose() => _json.Dispose();
}
