namespace ChatMinimal;

/// <summary>
/// A frame log is an append-only run of encoded frames, one a message, in chunks of memory. One writer appends, under the
/// room's lock; any number of readers read on from their cursors without a lock. It holds the newest frames, the window;
/// a reader whose place has left the window is told so, and reads on from the store.
/// </summary>
sealed class FrameLog
{
    const int SmallestChunk = 1024;     // bytes: a quiet room costs little
    const int LargestChunk = 64 * 1024; // bytes: below the large object heap, and the most one write to a client takes

    readonly int _windowBytes;
    readonly WindowBudget? _budget;
    Chunk _oldest, _newest;
    int _held = SmallestChunk; // bytes of all chunks, from the oldest to the newest
    int _written;              // bytes in the newest chunk, published or not
    long _next;

    /// <param name="next">The seq of the first message to come.</param>
    /// <param name="windowBytes">How many bytes of chunks to hold. The newest chunk is always held.</param>
    /// <param name="budget">What all logs share; null: this one is alone.</param>
    public FrameLog(long next, int windowBytes, WindowBudget? budget = null)
    {
        (_next, _windowBytes, _budget) = (next, windowBytes, budget);
        _oldest = _newest = new Chunk(SmallestChunk, next);
        _budget?.Add(_held);
    }

    /// <summary>
    /// A batch of about this many bytes comes next. It begins a chunk where it would straddle two: a reader is then sent it in one write.
    /// </summary>
    public void MakeRoom(int bytes)
    {
        if (bytes <= LargestChunk && _newest.Bytes.Length - _written < bytes)
            AddChunk(Math.Max(bytes, Math.Min(2 * _newest.Bytes.Length, LargestChunk)), _next);
    }

    /// <summary>Appends a text frame with the next seq. Readers see it after the next <see cref="Publish"/>.</summary>
    public void Append(ReadOnlySpan<byte> payload)
    {
        int length = Frame.HeaderLength(payload.Length) + payload.Length;
        if (_newest.Bytes.Length - _written < length)
            AddChunk(Math.Max(length, Math.Min(2 * _newest.Bytes.Length, LargestChunk)), _next);
        _written += Frame.Write(_newest.Bytes.AsSpan(_written), Frame.Text, payload);
        _next++;
    }

    /// <summary>Makes what was appended visible to readers, all of it at once.</summary>
    public void Publish() => _newest.End = new End(_written, _next);

    /// <summary>Lets go of everything: a reader who is not yet at the end reads on from the store.</summary>
    public void Shed() => SkipTo(_next);

    /// <summary>The last use: what it held is given back.</summary>
    public void Discard() => _budget?.Add(-_held);

    /// <summary>Leaves a hole: the next append gets this seq, and a reader who is not yet there reads on from the store.</summary>
    public void SkipTo(long next)
    {
        AddChunk(SmallestChunk, next);
        while (_oldest != _newest)
            Evict();
    }

    void AddChunk(int size, long firstSeq)
    {
        Publish(); // before the link: who sees a chunk's successor sees the chunk's final end
        var chunk = new Chunk(size, firstSeq);
        _newest.Next = chunk;
        _newest = chunk;
        (_written, _next) = (0, firstSeq);
        _held += size;
        _budget?.Add(size);
        while ((_held > _windowBytes || _budget is { IsSpent: true }) && _oldest != _newest)
            Evict();
    }

    void Evict()
    {
        Chunk gone = _oldest;
        _oldest = gone.Next!;
        _held -= gone.Bytes.Length;
        _budget?.Add(-gone.Bytes.Length);
        // In this order, for readers take no lock. Unlinked, so that a lagging reader holds one chunk in memory, not all that follow.
        gone.Evicted = true;
        gone.Next = null;
    }

    /// <summary>A cursor at this seq, when it is in the window or just past its end. Under the room's lock.</summary>
    public bool TrySeek(long seq, out Cursor cursor)
    {
        cursor = new Cursor(seq);
        if (seq < _oldest.FirstSeq || seq > _newest.End.Next)
            return false;

        Chunk chunk = _oldest;
        while (seq >= chunk.End.Next && chunk.Next is { } later)
            chunk = later;
        int offset = 0;
        for (long at = chunk.FirstSeq; at < seq; at++)
            offset += Frame.Length(chunk.Bytes.AsSpan(offset));
        cursor = new Cursor(seq) { Chunk = chunk, Offset = offset };
        return true;
    }

    /// <summary>
    /// What follows the cursor, and moves the cursor past it; empty when there is nothing yet. False when the window has
    /// moved past the cursor: the store has what follows. For any thread, one at a time for a cursor.
    /// </summary>
    public static bool TryRead(ref Cursor cursor, out ReadOnlyMemory<byte> frames)
    {
        frames = default;
        while (cursor.Chunk is { } chunk)
        {
            Chunk? next = chunk.Next; // before the end: when there is a successor, the end is final
            bool evicted = chunk.Evicted;
            End end = chunk.End;
            if (cursor.Offset < end.Length)
            {
                frames = chunk.Bytes.AsMemory(cursor.Offset, end.Length - cursor.Offset);
                cursor = new Cursor(end.Next) { Chunk = chunk, Offset = end.Length };
                return true;
            }
            if (next is null && !evicted)
                return true;
            cursor = new Cursor(end.Next) { Chunk = next?.FirstSeq == end.Next ? next : null };
        }
        return false;
    }

    /// <summary>A cursor is the seq a connection reads next, and where in the window that is, unless it is not there.</summary>
    public struct Cursor(long seq)
    {
        public readonly long Seq = seq;
        internal Chunk? Chunk;
        internal int Offset; // bytes into the chunk
    }

    /// <summary>How far a chunk may be read: bytes, and the seq that follows them. One object, so that both change at once.</summary>
    internal sealed record End(int Length, long Next);

    internal sealed class Chunk(int size, long firstSeq)
    {
        public readonly byte[] Bytes = GC.AllocateUninitializedArray<byte>(size);
        public readonly long FirstSeq = firstSeq;
        public volatile End End = new(0, firstSeq);
        public volatile Chunk? Next;
        public volatile bool Evicted;
    }
}
