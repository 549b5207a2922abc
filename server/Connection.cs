using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// A connection is one socket: a loop that receives, and a cursor in its room's log from which the pump sends.
/// It decides who closes, with which code (RFC 6455 section 7.4.1).
/// </summary>
sealed class Connection(
    Room room, Dialect dialect, string? name, IMessageStore store, ChatOptions options, TimeProvider clock, ILogger log)
{
    const ushort Normal = 1000, GoingAway = 1001, TryAgainLater = 1013; // IANA's registry has the last one

    public const int JsonAllowance = 8; // times the limit: escaped, a byte of text is up to six bytes of JSON, and there is a key
    const int LongestUnit = 256;       // messages submitted at once
    const int LargestUnit = 256 << 10; // bytes of text, likewise
    const int CatchUpBytes = 64 << 10; // written at a time

    static readonly TimeSpan s_shutdownTimeout = TimeSpan.FromSeconds(1.5); // the process has two seconds
    static readonly TimeSpan s_drainTimeout = TimeSpan.FromSeconds(1);      // for what is to be sent before the close frame
    static readonly TimeSpan s_storeTimeout = TimeSpan.FromSeconds(10);     // how long a plain client's message waits for the store
    static readonly TimeSpan s_storeRetry = TimeSpan.FromMilliseconds(250);
    static readonly TimeSpan s_typingEvery = TimeSpan.FromSeconds(1);

    // The pump's, or whoever's turn it is.
    public FrameLog.Cursor Cursor;
    public byte[]? PresenceSeen;
    long _heardAt = clock.GetTimestamp(), _saidAt = clock.GetTimestamp();
    long? _pingedAt;
    long _drainTo;
    volatile TaskCompletionSource? _drained; // somebody waits for the cursor to get there
    volatile bool _logEnds;                  // nothing more of the log is sent

    // The receive loop's.
    TokenBucket _bucket = new(options.MessagesPerSecond, options.Burst, clock);
    MessageReader _reader = new(dialect == Dialect.Chat ? JsonAllowance * options.MaxMessageBytes : options.MaxMessageBytes);
    List<Draft>? _unit;       // heard and not yet submitted; under the lock, as are the next four
    int _unitBytes;
    bool _isSubmitting;
    Task _submitting = Task.CompletedTask;
    TaskCompletionSource? _taken; // the receive loop waits for the unit to be taken
    long _submitted;          // the last seq that a message of its own got
    bool _isGivenUp;          // nothing more is submitted
    long? _typedAt;
    bool _isDeaf;             // it broke the protocol
    ReadOnlyMemory<byte> _hello;
    volatile bool _receiving; // false: busy with a message, so that the peer cannot be heard

    readonly Lock _lock = new(); // guards how it ends
    Task? _closing;
    ITimer? _deadline;
    bool _ended;

    public Dialect Dialect => dialect;

    /// <summary>Null: nameless. Set by the room.</summary>
    public string? Name { get; set; } = name;

    /// <summary>Null until the socket is accepted and greeted.</summary>
    public Transport? Transport { get; private set; }

    /// <summary>The window has moved past the cursor: the store has what follows.</summary>
    public bool IsBehind { get; private set; }

    /// <summary>Joins the room; from here on it misses nothing. To be followed by <see cref="RunAsync"/> or <see cref="Leave"/>.</summary>
    public void Join(Resume resume) => _hello = room.Join(this, resume);

    public void Leave() => room.Leave(this);

    /// <summary>Greets, and listens until it is over. All ends of a connection meet here.</summary>
    public async Task RunAsync(Transport transport, CancellationToken stopping)
    {
        try
        {
            if (dialect == Dialect.Chat)
                await transport.WriteInTurnAsync(_hello);
            _hello = default;
            Transport = transport;
            transport.Open(this);
            if (stopping.IsCancellationRequested)
                _ = SayGoodbye(); // the farewell to everyone may have come too early for this one
            await ListenAsync(transport);
        }
        catch (Exception error) when (IsTorn(error)) { } // the peer is gone
        finally
        {
            room.Leave(this);
            await EndAsync();
        }
    }

    /// <summary>Tells the peer that the server stops, after what it has yet to be sent.</summary>
    public Task SayGoodbye() => Close(GoingAway, "the server is shutting down", s_shutdownTimeout);

    public void WakePump() => room.WakePump(this);

    // ---- Receiving

    async Task ListenAsync(Transport transport)
    {
        while (true)
        {
            ValueTask<ReadResult> reading = transport.ReadAsync();
            if (!reading.IsCompleted)
                Submit(); // nothing more is at hand: what was heard goes off together
            _receiving = true;
            ReadResult read = await reading;
            _receiving = false;
            ReadOnlySequence<byte> bytes = read.Buffer;
            if (_isDeaf)
                bytes = bytes.Slice(bytes.End);
            while (!_isDeaf && _reader.Read(ref bytes) is var heard && heard != Heard.NotYet)
            {
                if (heard == Heard.Close)
                {
                    Submit();
                    await _submitting; // what it said last, too
                    await Close(_reader.Code == 0 ? Normal : _reader.Code, Encoding.UTF8.GetString(_reader.Payload), options.SendTimeout);
                    return;
                }
                await HearAsync(heard);
            }
            transport.AdvanceTo(bytes.Start, bytes.End);
            if (read.IsCompleted)
                return; // without a word; EndAsync waits for what it said
        }
    }

    async ValueTask HearAsync(Heard heard)
    {
        switch (heard)
        {
            case Heard.Ping when !IsClosing:
                await ReplyAsync(Frame.Of(Frame.Pong, _reader.Payload)); // and reads on when that is out, so that no pongs pile up
                break;
            case Heard.Fault:
                _isDeaf = true; // what follows means nothing; it is read all the same, for a reset would overtake the close frame
                _ = Close(_reader.Code, _reader.Reason, options.SendTimeout);
                break;
            case Heard.Text when !IsClosing:
                log.Heard(_reader.Payload);
                if (dialect == Dialect.Plain)
                    await SayAsync(new Draft(Name, Key: null, _reader.Payload));
                else
                    await DoAsync(Utterance.Parse(_reader.Payload, options.MaxMessageBytes));
                // A flooder is not read, so that TCP pushes back on it, and nobody else notices.
                if (_bucket.Take() is { Ticks: > 0 } pause)
                {
                    Submit();
                    await Task.Delay(pause, clock);
                }
                break;
        }
    }

    ValueTask DoAsync(Utterance utterance)
    {
        switch (utterance)
        {
            case Utterance.Say say:
                return SayAsync(new Draft(Name, say.Key, say.Text));
            case Utterance.Name { Value: var newName }:
                room.Rename(this, newName == "" ? null : newName);
                break;
            case Utterance.Typing:
                if (_typedAt is { } typedAt && clock.GetElapsedTime(typedAt) < s_typingEvery)
                    break;
                _typedAt = clock.GetTimestamp();
                room.Typing(this);
                break;
            case Utterance.Refused { Refusal: var refusal }:
                return ReplyAsync(Words.Refused(refusal));
        }
        return default;
    }

    // ---- Submitting: one unit is on its way, another gathers; with both full, the peer is not read

    ValueTask SayAsync(Draft draft)
    {
        lock (_lock)
        {
            (_unit ??= []).Add(draft);
            _unitBytes += draft.Text.Length;
            if (_unit.Count < LongestUnit && _unitBytes < LargestUnit)
                return default;
            Submit();
            if (_unit is null)
                return default;
            _taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
            return new(_taken.Task);
        }
    }

    // What was heard so far goes off together: now, or when what went before it is kept, so that nothing overtakes.
    void Submit()
    {
        lock (_lock)
        {
            if (_isSubmitting || _unit is null)
                return;
            _isSubmitting = true;
            _submitting = SubmitAsync();
        }
    }

    async Task SubmitAsync()
    {
        while (TakeUnit() is { } drafts)
            await (dialect == Dialect.Plain ? KeepPlainlyAsync(drafts) : KeepAsync(drafts));
    }

    List<Draft>? TakeUnit()
    {
        lock (_lock)
        {
            List<Draft>? drafts = _isGivenUp ? null : _unit;
            (_unit, _unitBytes) = (null, 0);
            _isSubmitting = drafts is not null;
            _taken?.SetResult();
            _taken = null;
            return drafts;
        }
    }

    async ValueTask KeepAsync(List<Draft> drafts)
    {
        try
        {
            Submission[] kept = await store.SubmitAsync(room.Name, drafts, default);
            for (int i = 0; i < kept.Length; i++)
                if (kept[i].WasKnown)
                    await ReplyAsync(Words.Logged(drafts[i].Key!, kept[i].Seq));
                else
                    _submitted = kept[i].Seq; // its broadcast is the acknowledgement
        }
        catch (StoreUnavailableException)
        {
            foreach (Draft draft in drafts)
                await ReplyAsync(Words.Refused(Refusal.StoreUnavailable(draft.Key!)));
        }
        catch (Exception error) when (IsTorn(error)) { } // nobody is there to be told
    }

    // There is no way to refuse in the plain dialect: the messages wait, and those behind them, so that there is no hole between two.
    async ValueTask KeepPlainlyAsync(List<Draft> drafts)
    {
        long since = clock.GetTimestamp();
        while (true)
        {
            try
            {
                _submitted = (await store.SubmitAsync(room.Name, drafts, default))[^1].Seq;
                return;
            }
            catch (StoreUnavailableException) when (!IsClosing && clock.GetElapsedTime(since) < s_storeTimeout)
            {
                await Task.Delay(s_storeRetry, clock);
            }
            catch (StoreUnavailableException)
            {
                _isGivenUp = true;
                _ = Close(TryAgainLater, "the server cannot keep messages now", options.SendTimeout);
                return;
            }
        }
    }

    ValueTask ReplyAsync(byte[] frame) => Transport!.WriteFramesAsync(frame);

    // ---- Sending: the pump calls these, one at a time

    /// <summary>The next frames for this peer. False: it has everything, or it is behind.</summary>
    public bool TryNext(out ReadOnlyMemory<byte> frames)
    {
        frames = default;
        if (_logEnds)
            return false;
        IsBehind = !FrameLog.TryRead(ref Cursor, out frames);
        if (IsBehind || !frames.IsEmpty)
            return !IsBehind;
        if (_drained is { } drained && Cursor.Seq >= _drainTo)
            drained.TrySetResult();
        if (dialect == Dialect.Plain || room.Presence == PresenceSeen)
            return false;
        frames = PresenceSeen = room.Presence;
        return true;
    }

    /// <summary>Waits for a write that did not complete at once, and gives the turn back.</summary>
    public async Task FinishAsync(Transport transport, ValueTask write)
    {
        try
        {
            await write;
        }
        catch (Exception error) when (IsTorn(error))
        {
            Abort();
        }
        finally
        {
            transport.Release();
            WakePump();
        }
    }

    /// <summary>Sends what the window no longer holds, from the store, until the cursor is in the window again. Gives the turn back.</summary>
    public async Task CatchUpAsync(Transport transport)
    {
        var frames = new ArrayBufferWriter<byte>(CatchUpBytes);
        try
        {
            while (!_logEnds && !room.TrySeek(this))
            {
                long next = room.Next; // the window's end: what the store has beyond it comes through the window
                LogPage page = await ReadStoreAsync(next);
                if (page.Messages is [{ Seq: var first }, ..] ? first > Cursor.Seq : page.Next > Cursor.Seq)
                {
                    if (dialect == Dialect.Plain)
                    {
                        GiveUp("too far behind: what follows is no longer kept"); // this dialect cannot tell of a hole
                        break;
                    }
                    first = page.Messages is [{ Seq: var seq }, ..] ? seq : page.Next;
                    Frame.Write(frames, Words.Gap(Cursor.Seq, first - 1));
                    Cursor = new FrameLog.Cursor(first);
                }
                foreach (Message message in page.Messages)
                {
                    Frame.Write(frames, dialect == Dialect.Chat ? Words.Chat(message) : Words.Plain(message));
                    Cursor = new FrameLog.Cursor(message.Seq + 1);
                    if (frames.WrittenCount >= CatchUpBytes)
                        await FlushAsync();
                }
                await FlushAsync();
            }
        }
        catch (Exception error) when (IsTorn(error))
        {
            Abort();
        }
        finally
        {
            transport.Release();
            WakePump();
        }

        async ValueTask FlushAsync()
        {
            await transport.WriteInTurnAsync(frames.WrittenMemory);
            frames.ResetWrittenCount();
        }
    }

    async ValueTask<LogPage> ReadStoreAsync(long to)
    {
        while (true)
        {
            try
            {
                return await store.ReadAsync(room.Name, Cursor.Seq, to, default);
            }
            catch (StoreUnavailableException) when (!_logEnds)
            {
                await Task.Delay(s_storeRetry, clock);
            }
        }
    }

    /// <summary>What follows from time alone: gives up on a peer that takes nothing, lets a dead one go. Returns what to send to a silent one.</summary>
    public byte[]? CheckTime(Transport transport, long now)
    {
        if (transport.StuckSince is { } since && clock.GetElapsedTime(since, now) >= options.SendTimeout)
        {
            GiveUp($"nothing was read for {options.SendTimeoutSeconds} s");
            return null;
        }
        if (transport.TakeHeard() || !_receiving)
            (_heardAt, _pingedAt) = (now, null);
        if (transport.TakeSaid())
            _saidAt = now;
        // A ping each time from then on: one that finds the turn taken is not sent, and that is no reason to die.
        bool ping = clock.GetElapsedTime(_heardAt, now) >= options.KeepAlive;
        if (ping && clock.GetElapsedTime(_pingedAt ??= now, now) >= options.KeepAlive)
        {
            Abort(); // nobody is there to be told
            return null;
        }
        bool beat = dialect == Dialect.Chat && clock.GetElapsedTime(_saidAt, now) >= options.KeepAlive;
        return (beat, ping) switch
        {
            (true, true) => [.. Words.Beat(Cursor.Seq), .. Frame.EmptyPing],
            (true, false) => Words.Beat(Cursor.Seq),
            (false, true) => Frame.EmptyPing,
            _ => null,
        };
    }

    // ---- Ending

    /// <summary>Completes when all that was appended so far has been sent, or when that takes too long.</summary>
    async Task DrainAsync()
    {
        Submit(); // what was heard before is said before
        if (_logEnds)
            return;
        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            await _submitting.WaitAsync(s_drainTimeout, clock);
            _drainTo = Math.Max(room.Next, _submitted + 1);
            _drained = drained;
            WakePump();
            await drained.Task.WaitAsync(s_drainTimeout, clock);
        }
        catch (TimeoutException) { } // a slow reader, who reads the rest after coming back
        _logEnds = true;
    }

    bool IsClosing => Volatile.Read(ref _closing) is not null;

    // The first reason is the one that counts. The peer has that long to take it and to answer.
    Task Close(ushort code, string reason, TimeSpan within)
    {
        lock (_lock)
        {
            if (_closing is null && !_ended)
            {
                _deadline = clock.CreateTimer(_ => Abort(), null, within, Timeout.InfiniteTimeSpan);
                _closing = CloseAsync(code, reason);
            }
            return _closing ?? Task.CompletedTask;
        }
    }

    async Task CloseAsync(ushort code, string reason)
    {
        await Task.Yield(); // not under the lock
        try
        {
            await DrainAsync(); // the close frame comes last, after all that was said before it
            var payload = new byte[sizeof(ushort) + Encoding.UTF8.GetByteCount(reason)];
            BinaryPrimitives.WriteUInt16BigEndian(payload, code);
            Encoding.UTF8.GetBytes(reason, payload.AsSpan(sizeof(ushort)));
            await Transport!.WriteFramesAsync(Frame.Of(Frame.Close, payload));
        }
        catch (Exception error) when (IsTorn(error)) { } // the peer was faster
    }

    // Leaves at once, so that nobody thinks it present; the close frame goes out if what is stuck is read after all.
    void GiveUp(string reason)
    {
        _logEnds = true;
        room.Leave(this);
        log.GaveUp(TryAgainLater, reason);
        _ = Close(TryAgainLater, reason, options.SendTimeout);
    }

    void Abort()
    {
        lock (_lock)
        {
            if (_ended)
                return;
            Transport?.Abort();
        }
        _logEnds = true;
        _drained?.TrySetResult();
    }

    // After this, nobody touches the transport: it is the framework's again.
    async Task EndAsync()
    {
        // A peer that is gone, or does not read what is still stuck, must not keep us.
        using (clock.CreateTimer(_ => Abort(), null, s_drainTimeout, Timeout.InfiniteTimeSpan))
        {
            Submit();
            await _submitting; // what it said last, too
            _logEnds = true;
            if (Transport is { } transport)
                await transport.RetireAsync();
        }
        lock (_lock)
        {
            _ended = true;
            _deadline?.Dispose();
        }
    }

    static bool IsTorn(Exception error) => error is OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException;
}
