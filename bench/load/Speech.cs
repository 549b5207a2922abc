using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace ChatMinimal.Bench;

/// <summary>A message as the benchmark says it: 32 hexadecimal digits (sender, number, time), then a pattern up to its length.</summary>
readonly record struct Said(int Sender, int Number, long Time);

/// <summary>
/// What is said, and how it is heard again, in the words of one protocol (plain, or SignalR's JSON). Bytes only; nothing allocates.
/// </summary>
sealed class Speech
{
    const int Fields = 32;
    const byte RecordEnd = 0x1e;
    static ReadOnlySpan<byte> Mask => [0x5a, 0x17, 0xc3, 0x3d];

    readonly byte[] _pattern;
    readonly byte[] _before; // what the server puts before a text
    readonly byte[] _after;
    readonly byte[] _frame; // a whole client frame, masked
    readonly int _fieldsAt;

    public Speech(int bytes, bool signalR)
    {
        _pattern = new byte[bytes - Fields];
        for (int i = 0; i < _pattern.Length; i++)
            _pattern[i] = (byte)('a' + (i % 26));

        string before = "Message d'un client : ";
        _before = Encoding.UTF8.GetBytes(signalR ? $$"""{"type":1,"target":"message","arguments":["{{before}}""" : before);
        _after = signalR ? "\"]}"u8.ToArray() : [];
        RecordLength = _before.Length + bytes + _after.Length;
        ServerHeader = RecordLength < 126 ? [0x81, (byte)RecordLength] : [0x81, 126, (byte)(RecordLength >> 8), (byte)RecordLength];

        byte[] opening = signalR ? """{"type":1,"target":"Say","arguments":["""u8.ToArray() : [];
        byte[] closing = signalR ? [.. "\"]}"u8, RecordEnd] : [];
        if (signalR)
            opening = [.. opening, (byte)'"'];
        byte[] payload = [.. opening, .. new byte[Fields], .. _pattern, .. closing];
        _frame = Frame(0x1, payload);
        _fieldsAt = _frame.Length - payload.Length + opening.Length;
        MaskAt = opening.Length;
    }

    public int RecordLength { get; }
    public byte[] ServerHeader { get; }
    public int FrameLength => _frame.Length;
    int MaskAt { get; }

    /// <summary>A client frame, RFC 6455 section 5.2: final, masked.</summary>
    public static byte[] Frame(int opcode, ReadOnlySpan<byte> payload)
    {
        byte[] header = payload.Length < 126
            ? [(byte)(0x80 | opcode), (byte)(0x80 | payload.Length)]
            : [(byte)(0x80 | opcode), 0x80 | 126, (byte)(payload.Length >> 8), (byte)payload.Length];
        byte[] frame = [.. header, .. Mask, .. payload];
        for (int i = 0; i < payload.Length; i++)
            frame[header.Length + 4 + i] ^= Mask[i & 3];
        return frame;
    }

    public void Say(in Said said, Span<byte> frame)
    {
        _frame.CopyTo(frame);
        Span<byte> fields = frame.Slice(_fieldsAt, Fields);
        Encode(said, fields);
        for (int i = 0; i < Fields; i++)
            fields[i] ^= Mask[(MaskAt + i) & 3];
    }

    /// <summary>The sender's eight digits as one number: enough to know one's own.</summary>
    public ulong SenderDigits(ReadOnlySpan<byte> record) => MemoryMarshal.Read<ulong>(record[_before.Length..]);

    public static ulong DigitsOf(int sender)
    {
        Span<byte> fields = stackalloc byte[Fields];
        Encode(new Said(sender, 0, 0), fields);
        return MemoryMarshal.Read<ulong>(fields);
    }

    /// <summary>Null, when it is not word for word what somebody may have said.</summary>
    public Said? Receive(ReadOnlySpan<byte> record)
    {
        if (record.Length != RecordLength || !record.StartsWith(_before) || !record.EndsWith(_after))
            return null;
        ReadOnlySpan<byte> text = record[_before.Length..^_after.Length];
        Span<byte> raw = stackalloc byte[Fields / 2];
        if (Convert.FromHexString(text[..Fields], raw, out _, out _) != System.Buffers.OperationStatus.Done
            || !text[Fields..].SequenceEqual(_pattern))
            return null;
        return new Said(BinaryPrimitives.ReadInt32BigEndian(raw), BinaryPrimitives.ReadInt32BigEndian(raw[4..]),
            BinaryPrimitives.ReadInt64BigEndian(raw[8..]));
    }

    static void Encode(in Said said, Span<byte> fields)
    {
        Span<byte> raw = stackalloc byte[Fields / 2];
        BinaryPrimitives.WriteInt32BigEndian(raw, said.Sender);
        BinaryPrimitives.WriteInt32BigEndian(raw[4..], said.Number);
        BinaryPrimitives.WriteInt64BigEndian(raw[8..], said.Time);
        _ = Convert.TryToHexStringLower(raw, fields, out _);
    }
}
