using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace ChatMinimal;

/// <summary>What a client did, once all its bytes have arrived.</summary>
enum Received { NotYet, Text, Ping, Pong, Close, Fault }

/// <summary>
/// A message reader parses a client's bytes into frames and reassembles those into messages (RFC 6455 section 5).
/// It knows no socket. After a close or a fault there is nothing more to read.
/// </summary>
/// <remarks>
/// What it holds for a client is bounded: of an unfinished message at most <paramref name="limit"/> bytes, and a frame that
/// cannot fit is refused by its header, before its payload is waited for. The work is linear in the bytes received.
/// A length that is not encoded in the fewest bytes is accepted: section 5.2 binds the sender, and the BCL reads it as well.
/// </remarks>
/// <param name="limit">The most a message may have, in bytes.</param>
struct MessageReader(int limit)
{
    public const ushort ProtocolError = 1002, TextOnly = 1003, NotUtf8 = 1007, TooBig = 1009; // RFC 6455 section 7.4.1

    const int MostFragments = 16_384; // per message: even fragments of 4 bytes make a message of the default limit
    const int LongestHeader = 14, MostControlBytes = 125;

    byte[]? _begun;   // the fragments so far of a message whose last has not arrived; null: none
    int _begunLength; // bytes; never more than the limit
    int _checked;     // of which so many are valid UTF-8, up to the end of a character
    int _fragments;

    /// <summary>The payload of a message or a ping, or what follows a close's code.</summary>
    public byte[] Payload { get; private set; } = [];

    /// <summary>The code of a close, 0 when it has none; or the one to answer a fault with.</summary>
    public ushort Code { get; private set; }

    /// <summary>Whether a message has begun whose last fragment has not arrived.</summary>
    public readonly bool HasBegun => _begun is not null;

    /// <summary>The reason for a fault.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>
    /// Reads frames until one of them completes something. What is read is cut off the front of <paramref name="bytes"/>.
    /// </summary>
    public Received Read(ref ReadOnlySequence<byte> bytes)
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
                return Received.NotYet;
            bool isFinal = (head[0] & 0x80) != 0;
            int opcode = head[0] & 0x0F, length = head[1] & 0x7F;
            if ((head[0] & 0x70) != 0)
                return Fault(ProtocolError, "reserved bit set");
            if ((head[1] & 0x80) == 0)
                return Fault(ProtocolError, "client frames must be masked");
            if (Check(opcode, isFinal, length) is { } fault)
                return Fault(ProtocolError, fault);
            if (opcode == Frame.Binary)
                return Fault(TextOnly, "text messages only");

            int header = length switch { 126 => 8, 127 => 14, _ => 6 };
            if (head.Length < header)
                return Received.NotYet;
            ulong payload = length switch
            {
                126 => BinaryPrimitives.ReadUInt16BigEndian(head[2..]),
                127 => BinaryPrimitives.ReadUInt64BigEndian(head[2..]),
                _ => (ulong)length,
            };
            if (payload > long.MaxValue)
                return Fault(ProtocolError, "frame length over 2^63-1"); // section 5.2
            if (opcode < Frame.FirstControl && payload > (ulong)(limit - _begunLength)) // a sum would wrap around
                return Fault(TooBig, $"message exceeds {limit} bytes");
            if ((ulong)bytes.Length - (ulong)header < payload)
                return Received.NotYet;

            uint mask = MemoryMarshal.Read<uint>(head[(header - 4)..]);
            ReadOnlySequence<byte> masked = bytes.Slice(header, (long)payload);
            bytes = bytes.Slice(masked.End);
            Received received = opcode < Frame.FirstControl ? ReadData(isFinal, masked, mask) : ReadControl(opcode, masked, mask);
            if (received != Received.NotYet)
                return received;
        }
    }

    // RFC 6455 sections 5.4 and 5.5. Null: valid so far.
    readonly string? Check(int opcode, bool isFinal, int length) => opcode switch
    {
        Frame.Continuation => _begun is null ? "continuation without a message" : null,
        Frame.Text or Frame.Binary => _begun is null ? null : "new message inside a fragmented one",
        Frame.Close or Frame.Ping or Frame.Pong when !isFinal => "fragmented control frame",
        Frame.Close when length == 1 => "close payload of 1 byte",
        Frame.Close or Frame.Ping or Frame.Pong => length > MostControlBytes ? "control frame exceeds 125 bytes" : null,
        _ => "reserved opcode",
    };

    Received ReadData(bool isFinal, in ReadOnlySequence<byte> masked, uint mask)
    {
        if (!isFinal || _begun is not null)
            return ReadFragment(isFinal, masked, mask);
        Payload = Unmask(masked, mask);
        return Utf8.IsValid(Payload) ? Received.Text : Fault(NotUtf8, "invalid UTF-8");
    }

    Received ReadFragment(bool isFinal, in ReadOnlySequence<byte> masked, uint mask)
    {
        if (++_fragments > MostFragments)
            return Fault(TooBig, $"message exceeds {MostFragments} fragments");
        int length = _begunLength + (int)masked.Length;
        if (_begun is null || _begun.Length < length)
            Array.Resize(ref _begun, Math.Max(length, Math.Min(2 * (_begun?.Length ?? 0), limit)));
        Unmask(masked, mask, _begun.AsSpan(_begunLength));
        _begunLength = length;
        ReadOnlySpan<byte> fresh = _begun.AsSpan(_checked.._begunLength);
        int cut = isFinal ? 0 : CutCharacter(fresh);
        if (!Utf8.IsValid(fresh[..^cut])) // at the fragment that breaks it (section 8.1), not at the end of the message
            return Fault(NotUtf8, "invalid UTF-8");
        _checked = _begunLength - cut;
        if (!isFinal)
            return Received.NotYet;
        Payload = _begun.Length == length ? _begun : _begun[..length];
        (_begun, _begunLength, _checked, _fragments) = (null, 0, 0, 0);
        return Received.Text;
    }

    // How many bytes at the end begin a character that the next fragment may complete.
    static int CutCharacter(ReadOnlySpan<byte> bytes)
    {
        for (int count = 1; count < 4 && count <= bytes.Length; count++)
            if (Rune.DecodeFromUtf8(bytes[^count..], out _, out _) == OperationStatus.NeedMoreData)
                return count;
        return 0;
    }

    Received ReadControl(int opcode, in ReadOnlySequence<byte> masked, uint mask)
    {
        byte[] payload = Unmask(masked, mask);
        if (opcode != Frame.Close)
        {
            Payload = payload;
            return opcode == Frame.Ping ? Received.Ping : Received.Pong;
        }
        Code = payload.Length == 0 ? (ushort)0 : BinaryPrimitives.ReadUInt16BigEndian(payload);
        Payload = payload.Length == 0 ? [] : payload[2..];
        if (payload.Length > 0 && Code is not (>= 1000 and <= 1014 and not (1004 or 1005 or 1006) or >= 3000 and <= 4999))
            return Fault(ProtocolError, "invalid close code");
        return Utf8.IsValid(Payload) ? Received.Close : Fault(NotUtf8, "invalid UTF-8");
    }

    Received Fault(ushort code, string reason)
    {
        (Code, Reason) = (code, reason);
        (_begun, _begunLength) = (null, 0);
        return Received.Fault;
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
