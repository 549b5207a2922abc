namespace ChatMinimal;

/// <summary>
/// A feed is what one peer is still to be sent: a cursor in its room's log. While the cursor is in the window, the pump writes what
/// follows it; a lagging one is caught up from the store, a bounded page at a time, until it is in the window again.
/// </summary>
/// <param name="room">Whose log it reads, and whose presence it tells.</param>
/// <param name="dialect">The dialect of the peer.</param>
/// <param name="name">Null: nameless.</param>
/// <param name="clock">For the pause while the store cannot be read.</param>
sealed class Feed(Room room, Dialect dialect, string? name, TimeProvider clock)
{
    static readonly TimeSpan s_storeRetry = TimeSpan.FromMilliseconds(250);

    // Of whoever holds the write lock.
    FrameLog.Cursor _cursor;
    string _epoch = "";   // of the log that the cursor is in
    byte[]? _presence;    // the one sent last
    byte[]? _hello;       // until it is sent
    bool _isBehind;       // the window has moved past the cursor: the store has what follows
    long _drainTo;
    volatile TaskCompletionSource? _drained; // somebody waits for the cursor to get there
    volatile bool _isOver;                   // nothing more of the log is sent

    Output? _output; // null until it has begun: there is nobody to write to
    object? _owner; // handed to the two that follow: an idle client does not hold a closure for each
    Action<object, Exception>? _fail;
    Func<object, long, byte[]?>? _tick;

    public Dialect Dialect => dialect;

    /// <summary>Null: nameless. Set by the room.</summary>
    public string? Name { get; set; } = name;

    /// <summary>Everything below has been sent, or told as a gap.</summary>
    public long Next => _cursor.Seq;

    /// <summary>The part of the room that it is in, and so who serves it, from the join on.</summary>
    public Slice Slice { get; private set; } = null!;

    /// <summary>Sets the cursor. By the room, under its lock.</summary>
    public void Join(Resume resume, Slice slice)
    {
        Slice = slice;
        _hello = room.Window.Join(dialect, resume, out _cursor, out _epoch);
        _presence = room.Presence.Frame; // the next one is about to come
    }

    /// <summary>Greets, and from then on sends what follows.</summary>
    /// <param name="output">Where to; not open yet.</param>
    /// <param name="owner">Handed to the two that follow.</param>
    /// <param name="fail">Called when the feed cannot go on, and with what.</param>
    /// <param name="tick">Called once a second, with a timestamp; returns frames to send, or null.</param>
    public async ValueTask BeginAsync(Output output, object owner,
        Action<object, Exception> fail, Func<object, long, byte[]?> tick)
    {
        (_owner, _fail, _tick) = (owner, fail, tick);
        Volatile.Write(ref _output, output); // from here on a peer that takes nothing is noticed
        try
        {
            if (dialect == Dialect.Chat)
                await output.GreetAsync(_hello);
        }
        finally
        {
            _hello = null;
            output.Open(static feed => ((Feed)feed).Wake(), this); // whoever ends the connection waits for the write lock, too
        }
    }

    /// <summary>Has its pump come by.</summary>
    public void Wake() => Slice.Pump.Ready(this);

    /// <summary>
    /// Writes, in as few writes as may be, everything that the peer has missed. On the pump's thread or the loop's; never waits. False: it
    /// was skipped, for a write to this peer is still on its way.
    /// </summary>
    public bool Serve()
    {
        if (Volatile.Read(ref _output) is not { } output)
            return true; // it has not begun, and is not slow
        if (!output.TryLock(out Output.Writer writer))
            return false;
        try
        {
            while (TryNext(out ReadOnlyMemory<byte> frames))
                if (!TryWrite(writer, frames))
                    return true; // unlocks when the rest is written
        }
        catch (Exception error) // whatever it is, it costs this connection, and not the pump
        {
            writer.Unlock();
            Fail(error);
            return true;
        }
        if (_isBehind)
            _ = CatchUpAsync(writer);
        else
            writer.Unlock();
        return true;
    }

    /// <summary>What follows from time alone. On the pump's thread, once a second.</summary>
    public void Sweep(long now)
    {
        if (Volatile.Read(ref _output) is null)
            return;
        try
        {
            if (_tick!(_owner!, now) is { } frames)
                Offer(frames);
        }
        catch (Exception error) // as above
        {
            Fail(error);
        }
    }

    /// <summary>Writes a frame that is not part of the log, if the peer is not busy. On the pump's thread; never waits.</summary>
    public void Offer(byte[] frame)
    {
        if (Volatile.Read(ref _output) is not { } output || !output.TryLock(out Output.Writer writer))
            return;
        try
        {
            if (!TryWrite(writer, frame))
                return;
        }
        catch (Exception error) // as above
        {
            Fail(error);
        }
        writer.Unlock();
    }

    /// <summary>Completes when the peer has been sent everything below this seq, or there is nothing to wait for any more.</summary>
    public Task DrainAsync(long seq)
    {
        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _drainTo = Math.Max(room.Window.Head.Next, seq);
        Interlocked.Exchange(ref _drained, drained); // a full fence, as in End: one of the two sees the other
        if (_isOver)
            drained.TrySetResult();
        return drained.Task;
    }

    /// <summary>Sends nothing more of the log.</summary>
    public void End()
    {
        Interlocked.Exchange(ref _isOver, true);
        _drained?.TrySetResult();
    }

    // A feed that has failed sends nothing more of the log: tried again, it would fail again.
    void Fail(Exception error)
    {
        End();
        _fail!(_owner!, error);
    }

    // The next frames for this peer. False: it has everything, or it is behind.
    bool TryNext(out ReadOnlyMemory<byte> frames)
    {
        frames = default;
        _isBehind = false;
        if (_isOver)
            return false;
        if (!ReferenceEquals(_epoch, room.Window.Epoch) && StartOver() is { } hello)
        {
            frames = hello;
            return true;
        }
        long from = _cursor.Seq;
        _isBehind = !FrameLog.TryRead(ref _cursor, out frames);
        Metrics.Delivered(_cursor.Seq - from);
        if (_isBehind || !frames.IsEmpty)
            return !_isBehind;
        if (_drained is { } drained && _cursor.Seq >= _drainTo)
            drained.TrySetResult();
        if (dialect == Dialect.Plain || room.Presence.Frame is not { } presence || presence == _presence)
            return false;
        frames = _presence = presence;
        return true;
    }

    // The log has become another one: chat.v1 is greeted again, plain goes on from here.
    byte[]? StartOver()
    {
        byte[] hello = room.Window.StartOver(dialect, out _cursor, out _epoch);
        _drainTo = 0; // what was to be sent before the end is no longer there
        return dialect == Dialect.Chat ? hello : null;
    }

    // False: it waits for the peer, and unlocks when it is done.
    bool TryWrite(Output.Writer writer, ReadOnlyMemory<byte> frames)
    {
        ValueTask write = writer.WriteAsync(frames);
        if (!write.IsCompletedSuccessfully)
        {
            _ = FinishAsync(writer, write);
            return false;
        }
        write.GetAwaiter().GetResult();
        return true;
    }

    async Task FinishAsync(Output.Writer writer, ValueTask write)
    {
        try
        {
            await write;
        }
        catch (Exception error)
        {
            Fail(error);
        }
        writer.Unlock();
        Wake(); // for what has gathered meanwhile
    }

    // From the store, until the cursor is in the window again. Holds the write lock, and unlocks.
    async Task CatchUpAsync(Output.Writer writer)
    {
        try
        {
            var catchUp = new CatchUp(room, dialect);
            while (!_isOver && ReferenceEquals(_epoch, room.Window.Epoch) && !room.Window.TrySeek(dialect, ref _cursor))
            {
                long next = await catchUp.ReadAsync(_epoch, _cursor.Seq);
                bool isNew = next > _cursor.Seq;
                _cursor = new FrameLog.Cursor(next);
                if (catchUp.Frames.Length > 0)
                    await writer.WriteAsync(catchUp.Frames);
                if (!isNew)
                    await Task.Delay(s_storeRetry, clock);
            }
        }
        catch (Exception error)
        {
            Fail(error);
        }
        writer.Unlock();
        Wake(); // for what has gathered meanwhile
    }
}
