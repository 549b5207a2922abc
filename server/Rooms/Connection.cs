using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// A connection is one socket: it receives client messages, and handles them. What the peer is to be sent is its feed's, what it sends
/// goes through its submitter, and all its ends meet here, so that each has a code and a reason.
/// </summary>
sealed class Connection(
    Room room, Dialect dialect, string? name, IPAddress? address, ChatOptions options, TimeProvider clock, OperatorLog log)
{
    public const int JsonAllowance = 8; // times the limit: escaped, a byte of text is up to six bytes of JSON, and there is a key

    static readonly TimeSpan s_shutdownTimeout = TimeSpan.FromSeconds(1.5); // the process has two seconds
    static readonly TimeSpan s_endTimeout = TimeSpan.FromSeconds(1);        // for what is stuck when the peer has ended

    readonly Feed _feed = new(room, dialect, name, clock);
    Transport? _transport;

    // The receive loop's.
    RateLimit _rate = new(options, clock);
    MessageReader _reader = new(dialect == Dialect.Chat ? JsonAllowance * options.MaxMessageBytes : options.MaxMessageBytes);
    Submitter? _submitter;
    bool _isOver; // it closed, or broke the protocol: what follows means nothing

    // The receive loop's, looked at by the pump.
    volatile bool _isReceiving; // false: busy with a message, so that nothing more can come
    bool _hasReceived;          // bytes came since this was last asked
    HalfMessage _half;

    Watch _watch = new(options, clock); // the pump's

    Closing? _closing; // the first reason to end wins

    /// <summary>Joins the room; from here on it misses nothing. To be followed by <see cref="RunAsync"/> or <see cref="Leave"/>.</summary>
    public void Join(Resume resume) => room.Join(_feed, resume);

    public void Leave() => room.Leave(_feed);

    /// <summary>Greets, and receives until it is over.</summary>
    /// <param name="transport">Its way to the peer.</param>
    /// <param name="stay">Disposed when it is over.</param>
    /// <param name="stopping">The server stops.</param>
    public async Task RunAsync(Transport transport, IDisposable stay, CancellationToken stopping)
    {
        using IDisposable _ = stay;
        _transport = transport;
        try
        {
            try
            {
                using CancellationTokenRegistration goodbye = stopping.UnsafeRegister(
                    connection => ((Connection)connection!)
                        .Close(CloseCode.GoingAway, "the server is shutting down", s_shutdownTimeout), this);
                await _feed.BeginAsync(transport.Output, this,
                    static (connection, error) => ((Connection)connection).Fail(error),
                    static (connection, now) => ((Connection)connection).Tick(now));
                await ReceiveAsync(transport.Input);
            }
            catch (Exception error) when (!PeerGone.Is(error))
            {
                Fail(error);
            }
            await transport.DiscardInputAsync();
        }
        catch (Exception error) when (PeerGone.Is(error)) { }
        finally
        {
            room.Leave(_feed);
            await EndAsync(transport);
        }
    }

    // ---- Receiving

    // Until the peer's end, or until what it sends has no meaning any more.
    async Task ReceiveAsync(PipeReader input)
    {
        while (!_isOver)
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
            bool isNew = false;
            try
            {
                while (!_isOver && _reader.Read(ref bytes) is var received && received != Received.NotYet)
                {
                    isNew |= received == Received.Text; // a ping between two fragments brings the message no further
                    await HandleAsync(received);
                }
            }
            finally
            {
                input.AdvanceTo(bytes.Start, bytes.End);
            }
            _half.Note(isNew, !bytes.IsEmpty || _reader.HasBegun, length, clock.GetTimestamp());
            if (read.IsCompleted)
                return; // without a close frame
        }
    }

    async ValueTask HandleAsync(Received received)
    {
        switch (received)
        {
            case Received.Close:
                _isOver = true;
                if (_submitter is { } submitter)
                    await submitter.IdleAsync(); // what it sent last is committed, too
                Close(_reader.Code == 0 ? CloseCode.Normal : (CloseCode)_reader.Code, Encoding.UTF8.GetString(_reader.Payload));
                break;
            case Received.Fault:
                _isOver = true;
                log.GaveUp(_reader.Code, address, room.Name, _reader.Reason);
                Close((CloseCode)_reader.Code, _reader.Reason);
                break;
            case Received.Ping or Received.Pong when !IsClosing:
                if (received == Received.Ping)
                    await AnswerAsync(Frame.Of(Frame.Pong, _reader.Payload)); // and reads on when that is out, so that no pongs pile up
                await PauseAsync(_rate.TakeControl());
                break;
            case Received.Text when !IsClosing:
                log.Received(_reader.Payload);
                if (room.IsTraced)
                    room.Trace(new ThreadStep("received", Messages: 1, Bytes: _reader.Payload.Length));
                if (dialect == Dialect.Plain)
                    await SubmitAsync(new Draft(_feed.Name, Key: null, _reader.Payload));
                else
                    await HandleAsync(ClientMessage.Parse(_reader.Payload, options.MaxMessageBytes));
                await PauseAsync(_rate.TakeMessage());
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
            case ClientMessage.Typing when _rate.TakeTyping():
                room.Typing(_feed);
                break;
            case ClientMessage.Refused { Refusal: var refusal }:
                Metrics.Refused(refusal.Reason);
                return AnswerAsync(Frame.Of(ServerMessage.Refused(refusal)));
        }
        return default;
    }

    ValueTask SubmitAsync(Draft draft)
    {
        _submitter ??= new Submitter(room.Store, room.Name, dialect == Dialect.Chat ? AnswerAsync : null, Fail, clock);
        return _submitter.AddAsync(draft);
    }

    ValueTask AnswerAsync(byte[] frame) => _transport!.Output.WriteAloneAsync(frame);

    // Backpressure: a peer above its rate limit is not read meanwhile, so that TCP pushes back on it, and nobody else notices.
    ValueTask PauseAsync(TimeSpan pause)
    {
        if (pause <= TimeSpan.Zero)
            return default;
        _submitter?.Flush();
        _isOver = _transport!.PeerEnded.IsCancellationRequested && !_rate.MayPause(pause);
        return _isOver ? default : new(Task.Delay(pause, clock));
    }

    // ---- Once a second, on the pump's thread

    byte[]? Tick(long now)
    {
        Output output = _transport!.Output;
        if (_watch.StandsStill(output, now))
        {
            GiveUp($"nothing was read for {options.SendTimeoutSeconds} s");
            return null;
        }
        if (_isReceiving && !IsClosing && _half.IsTooSlow(options.SendTimeout, now, clock))
        {
            const string reason = "the message comes too slowly";
            log.GaveUp((int)CloseCode.PolicyViolation, address, room.Name, reason);
            Close(CloseCode.PolicyViolation, reason);
            return null;
        }
        bool hasReceived = Interlocked.Exchange(ref _hasReceived, false) || !_isReceiving;
        KeepAlive.Verdict verdict = _watch.Look(output, hasReceived, now);
        if (verdict.HasFlag(KeepAlive.Verdict.Dead))
        {
            log.GaveUp(0, address, room.Name, $"no pong for {options.KeepAliveSeconds} s"); // without a code: nobody is there to be told
            _transport.Abort();
            return null;
        }
        byte[] beat = dialect == Dialect.Chat && verdict.HasFlag(KeepAlive.Verdict.Beat) ? Frame.Of(ServerMessage.Beat(_feed.Next)) : [];
        return verdict.HasFlag(KeepAlive.Verdict.Ping) ? [.. beat, .. Frame.EmptyPing] : beat.Length > 0 ? beat : null;
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
        var closing = new Closing(_transport!, options.SendTimeout, clock);
        if (Interlocked.CompareExchange(ref _closing, closing, null) is not null)
            return;
        _ = closing.RunAsync(code, reason, within, _feed, _submitter, Fail);
    }

    // After this, nobody touches the transport: it is the framework's again.
    async Task EndAsync(Transport transport)
    {
        // A peer that is gone, or does not read what is still stuck, must not hold us up.
        using (clock.CreateTimer(_ => transport.Abort(), null, s_endTimeout, Timeout.InfiniteTimeSpan))
        {
            if (_submitter is { } submitter)
                await submitter.IdleAsync(); // what it sent last is committed, too
            // A peer that ends its side at once after its close frame is still answered. A reason that comes after this is too late.
            if (Interlocked.CompareExchange(ref _closing, Closing.TooLate, null) is { } closing)
                await closing.Ran;
            _feed.End();
            await transport.Output.RetireAsync();
        }
        _closing!.End();
    }
}
