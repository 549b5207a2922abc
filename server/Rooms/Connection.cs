using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// A connection is one socket: it receives, and does what it is told. What it is to be sent is its feed's, what it says goes through
/// its submitter, and all its ends meet here, so that each has a code and a reason.
/// </summary>
sealed class Connection(
    Room room, Dialect dialect, string? name, IMessageStore store, ChatOptions options, TimeProvider clock, OperatorLog log, IPAddress? address)
{
    public const int JsonAllowance = 8; // times the limit: escaped, a byte of text is up to six bytes of JSON, and there is a key

    const int ControlFramesPerSecond = 20; // pings and pongs: a browser sends one in many seconds
    const int SlowestMessage = 240; // bytes a second, once the send timeout is over: Kestrel's limit for a body

    static readonly TimeSpan s_shutdownTimeout = TimeSpan.FromSeconds(1.5); // the process has two seconds
    static readonly TimeSpan s_drainTimeout = TimeSpan.FromSeconds(1);      // for what is to be sent before the close frame
    static readonly TimeSpan s_typingEvery = TimeSpan.FromSeconds(1);

    readonly Feed _feed = new(room, dialect, name, store, clock);
    Transport? _transport;

    // The receive loop's.
    TokenBucket _messages = new(options.MessagesPerSecond, options.Burst, clock);
    TokenBucket? _controls;
    MessageReader _reader = new(dialect == Dialect.Chat ? JsonAllowance * options.MaxMessageBytes : options.MaxMessageBytes);
    Submitter? _submitter;
    long? _typedAt, _peerEndedAt;
    bool _isDeaf;             // it broke the protocol: what follows means nothing

    // The receive loop's, looked at by the pump.
    volatile bool _isReceiving; // false: busy with a message, so that the peer cannot be heard
    bool _hasReceived;             // bytes came since this was last asked
    long _unfinishedSince;      // timestamp of the first byte of half a message; 0: there is none
    long _unfinishedBytes;

    // The pump's.
    KeepAlive _keepAlive = new(options.KeepAlive, clock, clock.GetTimestamp());
    Standstill _standstill, _inTheWay;

    readonly Lock _lock = new(); // guards how it ends
    Closing? _closing;
    Task _closed = Task.CompletedTask; // completes when the close frame is out, or cannot be
    bool _ended;

    /// <summary>Joins the room; from here on it misses nothing. To be followed by <see cref="RunAsync"/> or <see cref="Leave"/>.</summary>
    public void Join(Resume resume) => room.Join(_feed, resume);

    public void Leave() => room.Leave(_feed);

    /// <summary>Greets, and listens until it is over.</summary>
    /// <param name="transport">What it speaks through.</param>
    /// <param name="wakePump">Called when the pump should come by.</param>
    /// <param name="stopping">The server stops.</param>
    public async Task RunAsync(Transport transport, Action<Feed> wakePump, CancellationToken stopping)
    {
        _transport = transport;
        try
        {
            try
            {
                await _feed.BeginAsync(transport.Output, wakePump, Fail, Tick);
                using CancellationTokenRegistration goodbye = stopping.UnsafeRegister(
                    connection => ((Connection)connection!).Close(CloseCode.GoingAway, "the server is shutting down", s_shutdownTimeout), this);
                await ReceiveAsync(transport.Input);
            }
            catch (Exception error) when (!PeerGone.Is(error))
            {
                Fail(error);
            }
            await DiscardAsync(transport.Input);
        }
        catch (Exception error) when (PeerGone.Is(error)) { }
        finally
        {
            room.Leave(_feed);
            await EndAsync(transport);
        }
    }

    // ---- Receiving

    // Until the peer's end, or until nothing it says means anything any more.
    async Task ReceiveAsync(PipeReader input)
    {
        while (!_isDeaf)
        {
            ValueTask<ReadResult> reading = input.ReadAsync();
            if (!reading.IsCompleted)
                _submitter?.Flush(); // nothing more is at hand: what was received goes off together
            _isReceiving = true;
            ReadResult read = await reading;
            _isReceiving = false;
            _hasReceived = true;
            ReadOnlySequence<byte> bytes = read.Buffer;
            long length = bytes.Length;
            bool isNew = _unfinishedSince == 0;
            try
            {
                while (!_isDeaf && _reader.Read(ref bytes) is var received && received != Received.NotYet)
                {
                    isNew |= received == Received.Text; // a ping between two fragments brings the message no further
                    await HandleAsync(received);
                }
            }
            finally
            {
                input.AdvanceTo(bytes.Start, bytes.End);
            }
            NoteUnfinished(isNew, !bytes.IsEmpty || _reader.HasBegun, length);
            if (read.IsCompleted)
                return; // without a word
        }
    }

    // Bytes are read to the peer's end, whatever they are: a socket that is closed with unread bytes in it is reset, and a reset
    // overtakes the close frame.
    static async Task DiscardAsync(PipeReader input)
    {
        bool isOver = false;
        while (!isOver)
        {
            ReadResult read = await input.ReadAsync();
            isOver = read.IsCompleted;
            input.AdvanceTo(read.Buffer.End);
        }
    }

    void NoteUnfinished(bool isNew, bool isUnfinished, long bytes)
    {
        if (!isUnfinished)
            _unfinishedSince = 0;
        else if (isNew)
            (_unfinishedSince, _unfinishedBytes) = (clock.GetTimestamp(), bytes);
        else
            _unfinishedBytes += bytes;
    }

    async ValueTask HandleAsync(Received received)
    {
        switch (received)
        {
            case Received.Close:
                _isDeaf = true;
                if (_submitter is { } submitter)
                    await submitter.IdleAsync(); // what it said last, too
                Close(_reader.Code == 0 ? CloseCode.Normal : (CloseCode)_reader.Code, Encoding.UTF8.GetString(_reader.Payload));
                break;
            case Received.Fault:
                _isDeaf = true;
                Close((CloseCode)_reader.Code, _reader.Reason);
                break;
            case Received.Ping or Received.Pong when !IsClosing:
                _controls ??= new TokenBucket(ControlFramesPerSecond, ControlFramesPerSecond, clock);
                if (received == Received.Ping)
                    await AnswerAsync(Frame.Of(Frame.Pong, _reader.Payload)); // and reads on when that is out, so that no pongs pile up
                TokenBucket controls = _controls.Value;
                await PauseAsync(controls.Take());
                _controls = controls;
                break;
            case Received.Text when !IsClosing:
                log.Received(_reader.Payload);
                if (dialect == Dialect.Plain)
                    await SubmitAsync(new Draft(_feed.Name, Key: null, _reader.Payload));
                else
                    await HandleAsync(ClientMessage.Parse(_reader.Payload, options.MaxMessageBytes));
                // A flooder is not read, so that TCP pushes back on it, and nobody else notices.
                await PauseAsync(_messages.Take());
                break;
        }
    }

    ValueTask HandleAsync(ClientMessage message)
    {
        switch (message)
        {
            case ClientMessage.Say say:
                return SubmitAsync(new Draft(_feed.Name, say.Key, say.Text));
            case ClientMessage.Name { Value: var newName }:
                room.Rename(_feed, newName);
                break;
            case ClientMessage.Typing:
                if (_typedAt is { } typedAt && clock.GetElapsedTime(typedAt) < s_typingEvery)
                    break;
                _typedAt = clock.GetTimestamp();
                room.Typing(_feed);
                break;
            case ClientMessage.Refused { Refusal: var refusal }:
                return AnswerAsync(Frame.Of(ServerMessage.Refused(refusal)));
        }
        return default;
    }

    ValueTask SubmitAsync(Draft draft)
    {
        _submitter ??= new Submitter(store, room.Name, dialect == Dialect.Chat ? AnswerAsync : null, Fail, clock);
        return _submitter.AddAsync(draft);
    }

    ValueTask AnswerAsync(byte[] frame) => _transport!.Output.WriteInTurnAsync(frame);

    // Backpressure. Once the peer has ended its side, what it said before is said on for a while, and not for minutes.
    ValueTask PauseAsync(TimeSpan pause)
    {
        if (pause <= TimeSpan.Zero)
            return default;
        _submitter?.Flush();
        if (!_transport!.PeerEnded.IsCancellationRequested)
            return new(Task.Delay(pause, clock));
        _peerEndedAt ??= clock.GetTimestamp();
        if (clock.GetElapsedTime(_peerEndedAt.Value) + pause < options.SendTimeout)
            return new(Task.Delay(pause, clock));
        _isDeaf = true;
        return default;
    }

    // ---- Once a second, on the pump's thread

    byte[]? Tick(long now)
    {
        Output output = _transport!.Output;
        if (_standstill.Look(output.IsWaiting, output.IsWaiting ? output.Taken : 0, now, clock) >= options.SendTimeout)
        {
            GiveUp($"nothing was read for {options.SendTimeoutSeconds} s");
            return null;
        }
        if (Volatile.Read(ref _unfinishedSince) is not 0 and long since && clock.GetElapsedTime(since, now) is var elapsed
            && elapsed >= options.SendTimeout && Volatile.Read(ref _unfinishedBytes) < SlowestMessage * elapsed.TotalSeconds && _isReceiving)
        {
            log.GaveUp((int)CloseCode.PolicyViolation, address, room.Name, "the message comes too slowly");
            Close(CloseCode.PolicyViolation, "the message comes too slowly");
            return null;
        }
        bool hasReceived = Interlocked.Exchange(ref _hasReceived, false) || !_isReceiving;
        KeepAlive.Verdict verdict = _keepAlive.Look(hasReceived, output.TakeWrote(), !hasReceived && IsOutputInTheWay(output, now), now);
        if (verdict.HasFlag(KeepAlive.Verdict.Dead))
        {
            log.GaveUp(0, address, room.Name, $"no pong for {options.KeepAliveSeconds} s"); // without a code: nobody is there to be told
            _transport.Abort();
            return null;
        }
        byte[] beat = dialect == Dialect.Chat && verdict.HasFlag(KeepAlive.Verdict.Beat) ? Frame.Of(ServerMessage.Beat(_feed.Next)) : [];
        return verdict.HasFlag(KeepAlive.Verdict.Ping) ? [.. beat, .. Frame.EmptyPing] : beat.Length > 0 ? beat : null;
    }

    // More is on its way than pings alone, and the peer is taking it.
    bool IsOutputInTheWay(Output output, long now)
    {
        bool isWaiting = output.Unacknowledged > Frame.EmptyPing.Length * options.KeepAliveSeconds;
        return isWaiting && _inTheWay.Look(isWaiting, output.Taken, now, clock) < options.SendTimeout;
    }

    // ---- Ending

    bool IsClosing => Volatile.Read(ref _closing) is not null;

    // Whatever ended one of its parts.
    void Fail(Exception error)
    {
        switch (error)
        {
            case StoreUnavailableException:
                Close(CloseCode.TryAgainLater, "the server cannot commit messages now");
                break;
            case LaggedException:
                GiveUp(error.Message);
                break;
            case Exception when PeerGone.Is(error):
                _transport!.Abort();
                break;
            default:
                log.Failed(error, address, room.Name);
                Close(CloseCode.InternalError, "the server made a mistake");
                break;
        }
    }

    // Leaves at once, so that nobody thinks it present; the close frame goes out if what is stuck is read after all.
    void GiveUp(string reason)
    {
        _feed.End();
        room.Leave(_feed);
        log.GaveUp((int)CloseCode.TryAgainLater, address, room.Name, reason);
        Close(CloseCode.TryAgainLater, reason);
    }

    // The first reason is the one that counts.
    void Close(CloseCode code, string reason, TimeSpan? within = null)
    {
        lock (_lock)
        {
            if (_closing is not null || _ended)
                return;
            _closing = new Closing(_transport!, options.SendTimeout, clock);
        }
        _submitter?.Hurry();
        _closed = CloseAsync(_closing, code, reason, within);
    }

    async Task CloseAsync(Closing closing, CloseCode code, string reason, TimeSpan? within)
    {
        try
        {
            await closing.RunAsync(code, reason, within, DrainAsync);
        }
        catch (Exception error) when (PeerGone.Is(error)) { } // it was faster
        catch (Exception error)
        {
            log.Failed(error, address, room.Name);
            _transport!.Abort();
        }
    }

    // Completes when all that was said so far has been sent, or when that takes too long: a slow client reads the rest after coming back.
    async Task DrainAsync()
    {
        try
        {
            if (_submitter is { } submitter)
                await submitter.IdleAsync().WaitAsync(s_drainTimeout, clock);
            Task drained = _feed.DrainAsync(_submitter?.Next ?? 0);
            _feed.Wake();
            await drained.WaitAsync(s_drainTimeout, clock);
        }
        catch (TimeoutException) { }
        _feed.End();
    }

    // After this, nobody touches the transport: it is the framework's again.
    async Task EndAsync(Transport transport)
    {
        // A peer that is gone, or does not read what is still stuck, must not keep us.
        using (clock.CreateTimer(_ => transport.Abort(), null, s_drainTimeout, Timeout.InfiniteTimeSpan))
        {
            if (_submitter is { } submitter)
                await submitter.IdleAsync(); // what it said last, too
            await Volatile.Read(ref _closed); // a peer that ends its side at once after its close frame is still answered
            _feed.End();
            await transport.Output.RetireAsync();
        }
        lock (_lock)
            _ended = true;
        _closing?.End();
    }
}
