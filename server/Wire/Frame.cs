using System.Buffers;
using System.Buffers.Binary;

namespace ChatMinimal;

/// <summary>
/// A frame is one unit on a WebSocket's wire (RFC 6455 section 5.2). Only what a server sends is here: whole messages,
/// final, never masked (section 5.1). Lengths are in bytes.
/// </summary>
static class Frame
{
    public const byte Continuation = 0x0, Text = 0x1, Binary = 0x2, Close = 0x8, Ping = 0x9, Pong = 0xA, FirstControl = Close;

    public static readonly byte[] EmptyPing = Of(Ping, []);

    public const int LongestHeader = 10; // one byte of opcode, one of length, eight of the longest length
    const byte Final = 0x80, OpcodeBits = 0x0F, LengthBits = 0x7F, TwoBytesFollow = 126, EightBytesFollow = 127;

    public static int HeaderLength(int payload) => payload switch
    {
        < TwoBytesFollow => 2,
        <= ushort.MaxValue => 4,
        _ => LongestHeader,
    };

    /// <summary>Writes the header of a frame with that many bytes of payload; returns the header's length.</summary>
    public static int WriteHeader(Span<byte> to, byte opcode, int payload)
    {
        int length = HeaderLength(payload);
        to[0] = (byte)(Final | opcode);
        switch (length)
        {
            case 2:
                to[1] = (byte)payload;
                break;
            case 4:
                to[1] = TwoBytesFollow;
                BinaryPrimitives.WriteUInt16BigEndian(to[2..], (ushort)payload);
                break;
            default:
                to[1] = EightBytesFollow;
                BinaryPrimitives.WriteUInt64BigEndian(to[2..], (ulong)payload);
                break;
        }
        return length;
    }

    /// <summary>Writes a whole frame; returns its length, header included.</summary>
    public static int Write(Span<byte> to, byte opcode, ReadOnlySpan<byte> payload)
    {
        int header = WriteHeader(to, opcode, payload.Length);
        payload.CopyTo(to[header..]);
        return header + payload.Length;
    }

    /// <summary>Writes a whole text frame.</summary>
    public static void Write(IBufferWriter<byte> to, ReadOnlySpan<byte> payload) =>
        to.Advance(Write(to.GetSpan(LongestHeader + payload.Length), Text, payload));

    /// <summary>A whole text frame.</summary>
    public static byte[] Of(ReadOnlySpan<byte> payload) => Of(Text, payload);

    public static byte[] Of(byte opcode, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[HeaderLength(payload.Length) + payload.Length];
        Write(frame, opcode, payload);
        return frame;
    }

    /// <summary>The opcode of the frame that starts here.</summary>
    public static byte Opcode(ReadOnlySpan<byte> frame) => (byte)(frame[0] & OpcodeBits);

    /// <summary>The length, header included, of the unmasked frame that starts here.</summary>
    public static int Length(ReadOnlySpan<byte> frame) => (frame[1] & LengthBits) switch
    {
        TwoBytesFollow => 4 + BinaryPrimitives.ReadUInt16BigEndian(frame[2..]),
        EightBytesFollow => LongestHeader + (int)BinaryPrimitives.ReadUInt64BigEndian(frame[2..]),
        int length => 2 + length,
    };
}
