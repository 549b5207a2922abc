using System.Buffers.Binary;

namespace ChatMinimal.E2E;

/// <summary>
/// Frames as a client writes them (RFC 6455 section 5.2), and as none should: any first byte, any length in any of its three forms.
/// </summary>
static class ClientFrame
{
    public static readonly int[] LengthForms = [7, 16, 64]; // bits

    /// <summary>
    /// A header that announces so many bytes, with the length in so many bits (0: as few as possible), and with its mask.
    /// </summary>
    public static byte[] Header(int first, ulong length, int bits = 0, uint mask = 0x01020304)
    {
        if (bits == 0)
            bits = length switch { <= 125 => 7, <= ushort.MaxValue => 16, _ => 64 };
        byte[] header = new byte[2 + (bits == 7 ? 0 : bits / 8) + sizeof(uint)];
        header[0] = (byte)first;
        header[1] = (byte)(0x80 | bits switch { 7 => (byte)length, 16 => 126, _ => 127 });
        if (bits == 16)
            BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)length);
        else if (bits == 64)
            BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(2), length);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(header.Length - sizeof(uint)), mask);
        return header;
    }

    public static byte[] Of(int first, ReadOnlySpan<byte> payload, int bits = 0, uint mask = 0x01020304)
    {
        byte[] frame = [.. Header(first, (ulong)payload.Length, bits, mask), .. payload];
        Span<byte> key = frame.AsSpan(frame.Length - payload.Length - sizeof(uint), sizeof(uint)),
            masked = frame.AsSpan(frame.Length - payload.Length);
        for (int i = 0; i < masked.Length; i++)
            masked[i] ^= key[i % sizeof(uint)];
        return frame;
    }

    /// <summary>Whether a length can be written in so many bits at all.</summary>
    public static bool Fits(int length, int bits) => bits switch { 7 => length <= 125, 16 => length <= ushort.MaxValue, _ => true };
}
