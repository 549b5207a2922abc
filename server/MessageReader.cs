using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text.Unicode;

namespace ChatMinimal;

/// <summary>What a client did, once all its bytes are there.</summary>
enum Heard { NotYet, Text, Ping, Pong, Close, Fault }

/// <summary>
/// A message reader takes a client's bytes apart into frames, and puts those together into messages (RFC 6455 section 5).
/// It is strict, and knows no socket. After a close or a fault there is nothing more to read.
/// </summary>
/// <param name="limit">The most a message may have, in bytes; known from the header, so that no more than that is waited for.</param>
struct MessageReader(int limit)
{
    public const ushort ProtocolError = 1002, TextOnly = 1003, NotUtf8 = 1007, TooBig = 1009; // RFC 6455 section 7.4.1

    const int MostFragments = 16_384; // a message: more is not speech, only work
    const int LongestHeader = 14, MostControlBytes = 125;

    byte[]? _begun; // a message whose end has not come; null: none
    int _begunLength, _fragments;

    /// <summary>A message's or a ping's bytes, or what follows a close's code.</summary>
    public byte[] Payload { get; private set; } = [];

    /// <summary>A close's code, 0 when it has none, or the one for a fault.</summary>
    public ushort Code { get; private set; }

    /// <summary>Why it is a fault.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>Reads one frame, and on until there is something to tell. What is read is cut off the front of <paramref name="bytes"/>.</summary>
    public Heard Read(ref ReadOnlySequence<byte> bytes)
    {
        Span<byte> scratch = stackalloc byte[LongestHeader];
        while (true)
        {
            scoped ReadOnlySpan<byte> head = bytes.FirstSpan;
            if (head.Length < LongestHeader && !bytes.IsSingleSegment)
            {
                ReadOnlySequence<byte> start = bytes.Slice(0, Math.Min(LongestHeader, bytes.Length));
                start.CopyTo(scratch);
                head = scratch[..(int)start.Length];
            }
            if (head.Length < 2)
                return Heard.NotYet;
            bool isFinal = (head[0] & 0x80) != 0;
            int opcode = head[0] & 0x0F, length = head[1] & 0x7F;
            if ((head[0] & 0x70) != 0)
                return Fault(ProtocolError, "a reserved bit is set");
            if ((head[1] & 0x80) == 0)
                return Fault(ProtocolError, "a client masks its frames");
            if (Check(opcode, isFinal, length) is { } fault)
                return Fault(ProtocolError, fault);
            if (opcode == Frame.Binary)
                return Fault(TextOnly, "text messages only");

            int header = length switch { 126 => 8, 127 => 14, _ => 6 };
            if (head.Length < header)
                return Heard.NotYet;
            ulong payload = length switch
            {
                126 => BinaryPrimitives.ReadUInt16BigEndian(head[2..]),
                127 => BinaryPrimitives.ReadUInt64BigEndian(head[2..]),
                _ => (ulong)length,
            };
            if (opcode < Frame.FirstControl && payload + (ulong)_begunLength > (ulong)limit)
                return Fault(TooBig, $"a message may have {limit} bytes");
            if ((ulong)bytes.Length - (ulong)header < payload)
                return Heard.NotYet;

            uint mask = MemoryMarshal.Read<uint>(head[(header - 4)..]);
            ReadOnlySequence<byte> masked = bytes.Slice(header, (long)payload);
            bytes = bytes.Slice(masked.End);
            Heard heard = opcode < Frame.FirstControl ? HearData(isFinal, masked, mask) : HearControl(opcode, masked, mask);
            if (heard != Heard.NotYet)
                return heard;
        }
    }

    // RFC 6455 sections 5.4 and 5.5. Null: nothing is wrong with it so far.
    readonly string? Check(int opcode, bool isFinal, int length) => opcode switch
    {
        Frame.Continuation => _begun is null ? "a continuation of nothing" : null,
        Frame.Text or Frame.Binary => _begun is null ? null : "a message inside a message",
        Frame.Close or Frame.Ping or Frame.Pong when !isFinal => "a control frame in fragments",
        Frame.Close or Frame.Ping or Frame.Pong => length > MostControlBytes ? "a control frame of over 125 bytes" : null,
        _ => "an opcode that is reserved",
    };

    Heard HearData(bool isFinal, in ReadOnlySequence<byte> masked, uint mask)
    {
        if (isFinal && _begun is null)
        {
            Payload = Unmask(masked, mask);
        }
        else
        {
            if (++_fragments > MostFragments)
                return Fault(TooBig, $"a message may have {MostFragments} fragments");
            int length = _begunLength + (int)masked.Length;
            if (_begun is null || _begun.Length < length)
                Array.Resize(ref _begun, (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(length, 16)));
            Unmask(masked, mask, _begun.AsSpan(_begunLength));
            _begunLength = length;
            if (!isFinal)
                return Heard.NotYet;
            Payload = _begun[..length];
            (_begun, _begunLength, _fragments) = (null, 0, 0);
        }
        return Utf8.IsValid(Payload) ? Heard.Text : Fault(NotUtf8, "not UTF-8");
    }

    Heard HearControl(int opcode, in ReadOnlySequence<byte> masked, uint mask)
    {
        byte[] payload = Unmask(masked, mask);
        if (opcode != Frame.Close)
        {
            Payload = payload;
            return opcode == Frame.Ping ? Heard.Ping : Heard.Pong;
        }
        if (payload.Length == 1)
            return Fault(ProtocolError, "half a close code");
        Code = payload.Length == 0 ? (ushort)0 : BinaryPrimitives.ReadUInt16BigEndian(payload);
        Payload = payload.Length == 0 ? [] : payload[2..];
        if (payload.Length > 0 && Code is not (>= 1000 and <= 1014 and not (1004 or 1005 or 1006) or >= 3000 and <= 4999))
            return Fault(ProtocolError, "a close code that may not be sent");
        return Utf8.IsValid(Payload) ? Heard.Close : Fault(NotUtf8, "not UTF-8");
    }

    Heard Fault(ushort code, string reason)
    {
        (Code, Reason) = (code, reason);
        (_begun, _begunLength) = (null, 0);
        return Heard.Fault;
    }

    static byte[] Unmask(in ReadOnlySequence<byte> masked, uint mask)
    {
        if (masked.IsEmpty)
            return [];
        var bytes = GC.AllocateUninitializedArray<byte>((int)masked.Length);
        Unmask(masked, mask, bytes);
        return bytes;
    }

    // RFC 6455 section 5.3. The mask is read as it lies in memory, so that no byte order matters.
    static void Unmask(in ReadOnlySequence<byte> masked, uint mask, Span<byte> to)
    {
        masked.CopyTo(to);
        to = to[..(int)masked.Length];
        Span<Vector<byte>> vectors = MemoryMarshal.Cast<byte, Vector<byte>>(to);
        var wide = Vector.AsVectorByte(new Vector<uint>(mask));
        foreach (ref Vector<byte> vector in vectors)
            vector ^= wide;
        to = to[(vectors.Length * Vector<byte>.Count)..];
        Span<uint> words = MemoryMarshal.Cast<byte, uint>(to);
        foreach (ref uint word in words)
            word ^= mask;
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in mask));
        for (int i = words.Length * sizeof(uint); i < to.Length; i++)
            to[i] ^= bytes[i % sizeof(uint)];
    }
}
