using System.Buffers;
using System.Net.WebSockets;

namespace ChatMinimal;

/// <summary>
/// A connection is one socket: a loop that receives, and a cursor in its room's log from which the pump sends.
/// It decides who closes, with which code (RFC 6455 section 7.4.1).
/// </summary>
sealed class Connection(
    HttpContext http, Room room, Dialect dialect, string? name,
    IMessageStore store, ChatOptions options, TimeProvider clock, ILogger log)
{
    const WebSocketCloseStatus TryAgainLater = (WebSocketCloseStatus)1013; // registered with IANA later than the enumeration

    public const int JsonAllowance = 8; // times the limit: escaped, a byte of text is up to six bytes of JSON, and there is a key
    const int MostFragments = 16_384;  // a message: more is not speech, only work
    const int FirstBuffer = 4096;      // bytes: nearly every message
    const int LongestUnit = 256;       // messages submitted at once
    const int LargestUnit = 256 << 10; // bytes of text, likewise
    const int CatchUpMessages = 256;   // read from the store at a time
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
    byte[] _inbox = [];
    int _inboxLength;
    readonly List<Draft> _unit = []; // heard and not yet submitted; under the lock, as are the next four
    int _unitBytes;
    bool _isSubmitting;
    Task _submitting = Task.CompletedTask;
    TaskCompletionSource? _taken; // the receive loop waits for the unit to be taken
    long _submitted;          // the last seq that a message of its own got
    bool _isGivenUp;          // nothing more is submitted
    long? _typedAt;
    volatile bool _receiving; // false: busy with a message, so that the peer cannot be heard

    readonly Lock _lock = new(); // guards how it ends
    WebSocket? _socket;
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

    /// <summary>Joins, accepts, greets, and listens until it is over. All ends of a connection meet here.</summary>
    public async Task RunAsync(Resume resume, CancellationToken stopping)
    {
        byte[] hello = room.Join(this, resume); // before the 101: from the moment it is connected, a client misses nothing
        try
        {
            (_socket, Transport transport) = await Transport.AcceptAsync(http, dialect == Dialect.Chat ? Admission.ChatV1 : null);
            if (dialect == Dialect.Chat)
                await transport.WriteInTurnAsync(hello);
            Transport = transport;
            transport.Open(this);
            if (stopping.IsCancellationRequested)
                _ = SayGoodbye(); // the farewell to everyone may have come too early for this one

            while (true)
            {
                ValueTask<bool> receiving = TryReceiveAsync();
                if (!receiving.IsCompleted)
                    Submit(); // nothing more is at hand: what was heard goes off together
                if (!await receiving)
                    break;
                await HearAsync(_inbox.AsMemory(0, _inboxLength));
            }
            Submit();
            await _submitting; // what it said last, too
            await Close(_socket.CloseStatus ?? WebSocketCloseStatus.NormalClosure, _socket.CloseStatusDescription, options.SendTimeout);
        }
        catch (Exception error) when (IsTorn(error)) { } // the peer is gone, or was told 1002 or 1007 by the library
        finally
        {
            room.Leave(this);
            await EndAsync();
        }
    }

    /// <summary>Tells the peer that the server stops, after what it has yet to be sent.</summary>
    public Task SayGoodbye() => Close(WebSocketCloseStatus.EndpointUnavailable, "the server is shutting down", s_shutdownTimeout);

    public void WakePump() => room.WakePump(this);

    // ---- Receiving

    // Puts the next message in the inbox. False: the peer has closed.
    async ValueTask<bool> TryReceiveAsync()
    {
        ReturnInbox();
        _receiving = true;
        // Zero bytes first, so that an idle connection owns no buffer.
        ValueWebSocketReceiveResult received = await _socket!.ReceiveAsync(Memory<byte>.Empty, default);
        int limit = dialect == Dialect.Chat ? JsonAllowance * options.MaxMessageBytes : options.MaxMessageBytes;
        for (int fragments = 0; ; fragments++)
        {
            if (received.MessageType == WebSocketMessageType.Close)
                return false;
            if (received.MessageType == WebSocketMessageType.Binary)
                _ = Close(WebSocketCloseStatus.InvalidMessageType, "text messages only", options.SendTimeout);
            // Counted here, for the library never shows a frame's length.
            else if (_inboxLength > limit)
                _ = Close(WebSocketCloseStatus.MessageTooBig, $"a message may have {limit} bytes", options.SendTimeout);
            else if (fragments > MostFragments)
                _ = Close(WebSocketCloseStatus.MessageTooBig, $"a message may have {MostFragments} fragments", options.SendTimeout);
            if (IsClosing)
                _inboxLength = 0; // said after the end
            if (received.EndOfMessage)
                break;
            EnsureInbox();
            received = await _socket.ReceiveAsync(_inbox.AsMemory(_inboxLength), default);
            _inboxLength += received.Count;
        }
        _receiving = false;
        return true;
    }

    async ValueTask HearAsync(ReadOnlyMemory<byte> message)
    {
        if (IsClosing)
            return;
        log.Heard(message.Span);
        if (dialect == Dialect.Plain)
            await SayAsync(new Draft(Name, Key: null, message.ToArray()));
        else
            await DoAsync(Utterance.Parse(message.Span, options.MaxMessageBytes));
        // A flooder is not read, so that TCP pushes back on it, and nobody else notices.
        if (_bucket.Take() is { Ticks: > 0 } pause)
        {
            Submit();
            await Task.Delay(pause, clock);
        }
    }

    async ValueTask DoAsync(Utterance utterance)
    {
        switch (utterance)
        {
            case Utterance.Say say:
                await SayAsync(new Draft(Name, say.Key, say.Text));
                break;
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
                await ReplyAsync(Words.Refused(refusal));
                break;
        }
    }

    // ---- Submitting: one unit is on its way, another gathers; with both full, the peer is not read

    ValueTask SayAsync(Draft draft)
    {
        lock (_lock)
        {
            _unit.Add(draft);
            _unitBytes += draft.Text.Length;
            if (_unit.Count < LongestUnit && _unitBytes < LargestUnit)
                return default;
            Submit();
            if (_unit.Count == 0)
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
            if (_isSubmitting || _unit.Count == 0)
                return;
            _isSubmitting = true;
            _submitting = SubmitAsync();
        }
    }

    async Task SubmitAsync()
    {
        while (TakeUnit() is { Length: > 0 } drafts)
            await (dialect == Dialect.Plain ? KeepPlainlyAsync(drafts) : KeepAsync(drafts));
    }

    Draft[] TakeUnit()
    {
        lock (_lock)
        {
            Draft[] drafts = _isGivenUp ? [] : [.. _unit];
            _unit.Clear();
            _unitBytes = 0;
            _isSubmitting = drafts.Length > 0;
            _taken?.SetResult();
            _taken = null;
            return drafts;
        }
    }

    async ValueTask KeepAsync(Draft[] drafts)
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
    async ValueTask KeepPlainlyAsync(Draft[] drafts)
    {
        long since = clock.GetTimestamp();
        while (true)
        {
            try
            {
                _submitted = (await store.SubmitAsync(room.Name, drafts, default))[^1].Seq;
                return;
            }
            catch (StoreUnavailableException) when (clock.GetElapsedTime(since) < s_storeTimeout)
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

    void EnsureInbox()
    {
        if (_inboxLength < _inbox.Length)
            return;
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstBuffer, 2 * _inbox.Length));
        _inbox.AsSpan(0, _inboxLength).CopyTo(larger);
        int length = _inboxLength;
        ReturnInbox();
        (_inbox, _inboxLength) = (larger, length);
    }

    void ReturnInbox()
    {
        if (_inbox.Length > 0)
            ArrayPool<byte>.Shared.Return(_inbox);
        (_inbox, _inboxLength) = ([], 0);
    }

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
                LogPage page = await ReadStoreAsync((int)Math.Clamp(next - Cursor.Seq, 0, CatchUpMessages));
                long first = Math.Min(page.First, next);
                if (first > Cursor.Seq && dialect == Dialect.Plain)
                {
                    GiveUp("too far behind: what follows is no longer kept"); // this dialect cannot tell of a hole
                    break;
                }
                if (first > Cursor.Seq)
                {
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

    async ValueTask<LogPage> ReadStoreAsync(int count)
    {
        while (true)
        {
            try
            {
                return await store.ReadAsync(room.Name, Cursor.Seq, count, default);
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
    public async Task DrainAsync()
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
    Task Close(WebSocketCloseStatus code, string? reason, TimeSpan within)
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

    async Task CloseAsync(WebSocketCloseStatus code, string? reason)
    {
        await Task.Yield(); // not under the lock
        try
        {
            // Not CloseAsync: that one would read, too, and wait for ever for a peer that does not answer.
            await _socket!.CloseOutputAsync(code, reason, default);
        }
        catch (Exception error) when (IsTorn(error)) { } // the peer was faster
    }

    // Leaves at once, so that nobody thinks it present; the close frame goes out if what is stuck is read after all.
    void GiveUp(string reason)
    {
        _logEnds = true;
        room.Leave(this);
        log.GaveUp((int)TryAgainLater, reason);
        _ = Close(TryAgainLater, reason, options.SendTimeout);
    }

    void Abort()
    {
        lock (_lock)
        {
            if (_ended)
                return;
            http.Abort();
        }
        _logEnds = true;
        _drained?.TrySetResult();
    }

    // After this, nobody touches the HttpContext: it is the framework's again.
    async Task EndAsync()
    {
        ReturnInbox();
        _logEnds = true;
        if (Transport is { } transport)
        {
            Task retired = transport.RetireAsync();
            if (!retired.IsCompleted)
            {
                // A peer that has closed, or was closed, and does not read what is still stuck.
                using ITimer patience = clock.CreateTimer(_ => Abort(), null, s_drainTimeout, Timeout.InfiniteTimeSpan);
                await retired;
            }
        }
        lock (_lock)
        {
            _ended = true;
            _deadline?.Dispose();
        }
    }

    static bool IsTorn(Exception error) =>
        error is WebSocketException or OperationCanceledException or IOException or ObjectDisposedException or InvalidOperationException;
}
