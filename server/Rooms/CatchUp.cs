using System.Buffers;

namespace ChatMinimal;

/// <summary>
/// A catch-up reads, for a cursor that the window has left behind, what follows from the store: one page at a time, encoded, so
/// that the page itself is let go before anything waits for the peer.
/// </summary>
sealed class CatchUp(Room room, Dialect dialect)
{
    readonly ArrayBufferWriter<byte> _frames = new();

    /// <summary>What was read last, as frames.</summary>
    public ReadOnlyMemory<byte> Frames => _frames.WrittenMemory;

    /// <summary>Reads one page from this seq on. Returns the seq that follows it; the same one when it cannot be read now.</summary>
    /// <exception cref="LaggedException">The plain dialect has no way to tell of what is no longer there.</exception>
    public async ValueTask<long> ReadAsync(string epoch, long from)
    {
        _frames.ResetWrittenCount();
        try
        {
            // As far as the window's end: what the store has beyond it comes through the window.
            LogPage page = await room.Store.ReadAsync(room.Name, from, room.Window.Head.Next, default);
            return page.Head.Epoch == epoch ? Encode(page, from) : from; // else it is another log already, and the room is about to be told
        }
        catch (StoreUnavailableException)
        {
            return from;
        }
    }

    long Encode(LogPage page, long from)
    {
        long next = from;
        foreach (Message message in page.Messages)
        {
            if (!TrySkip(from, ref next, message.Seq))
                return next;
            Frame.Write(_frames, dialect == Dialect.Chat ? ServerMessage.Chat(message) : ServerMessage.Plain(message));
            next = message.Seq + 1;
        }
        TrySkip(from, ref next, page.Next);
        return next;
    }

    // Tells of a hole. False: the plain dialect has no way to; it is sent what comes before, and then its end.
    bool TrySkip(long from, ref long next, long to)
    {
        if (next == to)
            return true;
        if (dialect == Dialect.Plain)
            return next > from ? false : throw new LaggedException("too far behind: what follows is no longer retained");
        Metrics.Gap();
        Frame.Write(_frames, ServerMessage.Gap(next, to - 1));
        next = to;
        return true;
    }
}
