using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace ChatMinimal;

/// <summary>
/// Message lines are messages of one log, oldest first, each as the line of JSON that an export has of it. They are somebody's file: what
/// is not exactly that ends the reading, with the number of the line.
/// </summary>
static class MessageLines
{
    const int LongestEscape = 6;  // bytes for one: \u000a
    const int LargestRest = 2048; // bytes of a line beside its text: seq, time, name and key, escaped

    static readonly JsonDocumentOptions s_options = new() { AllowDuplicateProperties = false };

    /// <summary>Reads them, a few at a time.</summary>
    /// <exception cref="InvalidOperationException">A line cannot be used: which one, and why.</exception>
    public static async IAsyncEnumerable<Message> ReadAsync(Stream stream, int maxMessageBytes,
        [EnumeratorCancellation] CancellationToken cancel)
    {
        var input = PipeReader.Create(stream, new(bufferSize: 1 << 16, leaveOpen: true));
        long longest = (long)maxMessageBytes * LongestEscape + LargestRest, number = 0, last = 0;
        for (bool isEnd = false; !isEnd;)
        {
            ReadResult read = await input.ReadAsync(cancel);
            ReadOnlySequence<byte> rest = read.Buffer;
            isEnd = read.IsCompleted;
            while (TryTakeLine(ref rest, isEnd, out ReadOnlySequence<byte> line))
            {
                number++;
                Message message = Parse(line, maxMessageBytes, out string? why)!;
                if (why is null && message.Seq <= last)
                    why = $"message {message.Seq} comes after message {last}";
                if (why is not null)
                    throw new InvalidOperationException($"line {number}: {why}");
                last = message.Seq;
                yield return message;
            }
            if (rest.Length > longest)
                throw new InvalidOperationException($"line {number + 1}: longer than any message may be");
            input.AdvanceTo(rest.Start, rest.End);
        }
        await input.CompleteAsync();
    }

    // The last line may lack its end.
    static bool TryTakeLine(ref ReadOnlySequence<byte> rest, bool isEnd, out ReadOnlySequence<byte> line)
    {
        if (rest.PositionOf((byte)'\n') is { } end)
        {
            line = rest.Slice(0, end);
            rest = rest.Slice(rest.GetPosition(1, end));
            return true;
        }
        line = isEnd ? rest : default;
        rest = isEnd ? rest.Slice(rest.End) : rest;
        return !line.IsEmpty;
    }

    static Message? Parse(ReadOnlySequence<byte> line, int maxMessageBytes, out string? why)
    {
        try
        {
            using var document = JsonDocument.Parse(line, s_options);
            why = null;
            return Read(document.RootElement, maxMessageBytes, ref why);
        }
        catch (JsonException)
        {
            why = "not a JSON object";
        }
        catch (InvalidOperationException) // a value of another type, or half a surrogate pair
        {
            why = "not a message as an export has it";
        }
        return null;
    }

    static Message? Read(JsonElement line, int maxMessageBytes, ref string? why)
    {
        if (!line.TryGetProperty("seq"u8, out JsonElement seq) || !seq.TryGetInt64(out long number) || number < 1)
            why = "seq must be a whole number from 1 on";
        else if (!line.TryGetProperty("at"u8, out JsonElement at) || !at.TryGetDateTime(out DateTime time) || time.Kind != DateTimeKind.Utc)
            why = "at must be a time in UTC, such as 2026-11-25T20:00:00.123Z";
        else if (!line.TryGetProperty("text"u8, out JsonElement text) || text.GetString() is not { } said)
            why = ClientMessage.TextRule;
        else if (Encoding.UTF8.GetByteCount(said) > maxMessageBytes)
            why = $"the text is longer than {maxMessageBytes} bytes of UTF-8 (Chat:MaxMessageBytes)";
        else if (Optional(line, "key"u8) is { } key && !ClientMessage.IsKey(key))
            why = ClientMessage.KeyRule;
        else if (Names.TryRead(Optional(line, "name"u8) ?? "", out string? name, out why))
            return new Message(number, MessageTime.Of(time), name, Encoding.UTF8.GetBytes(said), Optional(line, "key"u8));
        return null;
    }

    static string? Optional(JsonElement line, ReadOnlySpan<byte> property) =>
        line.TryGetProperty(property, out JsonElement value) ? value.GetString() : null;
}
