using System.Buffers;

namespace ChatMinimal.E2E;

/// <summary>Bytes in pieces, as a pipe holds them.</summary>
sealed class Segment : ReadOnlySequenceSegment<byte>
{
    public static ReadOnlySequence<byte> Sequence(params ReadOnlySpan<byte[]> pieces)
    {
        Segment? first = null, last = null;
        foreach (byte[] piece in pieces)
        {
            var next = new Segment { Memory = piece, RunningIndex = last is null ? 0 : last.RunningIndex + last.Memory.Length };
            last?.Next = next;
            (first, last) = (first ?? next, next);
        }
        return first is null ? default : new ReadOnlySequence<byte>(first, 0, last!, last!.Memory.Length);
    }
}
