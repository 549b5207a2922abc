using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace ChatMinimal;

/// <summary>
/// A transport is the upgraded stream of one connection, with one writer at a time. The pump and the library's WebSocket
/// both write whole frames to it: the pump what the room says, the library its pongs and the close frame. Who has the
/// turn writes. This is the only file that knows how ASP.NET upgrades.
/// </summary>
/// <remarks>Holds only while permessage-deflate is off: compressed frames could not be shared between clients anyway.</remarks>
sealed class Transport(Stream stream, TimeProvider clock) : Stream
{
    readonly SemaphoreSlim _turn = new(0, 1); // taken until the owner has greeted: nothing comes before hello
    Connection? _owner;
    volatile bool _closed;   // the close frame is out; RFC 6455 section 5.5.1: nothing may follow it
    volatile bool _awaited;  // the pump came by while the turn was taken
    bool _heard, _said;
    long _stuckSince;        // timestamp; 0: no write is waiting

    /// <summary>Whether bytes came from the peer since this was last asked.</summary>
    public bool TakeHeard() => Interlocked.Exchange(ref _heard, false);

    /// <summary>Whether anything was said that a browser shows to its page, since this was last asked.</summary>
    public bool TakeSaid() => Interlocked.Exchange(ref _said, false);

    /// <summary>Since when the peer has been holding up a write; null when it is not.</summary>
    public long? StuckSince => Volatile.Read(ref _stuckSince) is not 0 and long since ? since : null;

    /// <summary>The one time from which on others may write.</summary>
    public void Open(Connection owner)
    {
        _owner = owner;
        _turn.Release();
        owner.WakePump();
    }

    /// <summary>Takes the turn if nobody has it. The pump never waits for one: it is called back.</summary>
    public bool TryTake()
    {
        if (!_turn.Wait(0))
        {
            // Tried again after the note is left, for the turn may have come back in between, and nobody would call.
            _awaited = true;
            if (!_turn.Wait(0))
                return false;
        }
        if (!_closed)
            return true;
        _turn.Release();
        return false;
    }

    public void Release()
    {
        _turn.Release();
        if (_awaited)
        {
            _awaited = false;
            _owner?.WakePump();
        }
    }

    /// <summary>Writes frames. Only for whoever has the turn. Completes at once unless the peer has much to read already.</summary>
    public ValueTask WriteInTurnAsync(ReadOnlyMemory<byte> frames)
    {
        _said |= Frame.Opcode(frames.Span) < Frame.FirstControl;
        ValueTask write = stream.WriteAsync(frames);
        return write.IsCompletedSuccessfully ? write : FinishAsync(write);
    }

    async ValueTask FinishAsync(ValueTask write)
    {
        Volatile.Write(ref _stuckSince, clock.GetTimestamp());
        try
        {
            await write;
        }
        finally
        {
            Volatile.Write(ref _stuckSince, 0);
        }
    }

    /// <summary>Waits for the turn, writes frames, gives the turn back.</summary>
    public async ValueTask WriteFramesAsync(ReadOnlyMemory<byte> frames)
    {
        await _turn.WaitAsync();
        try
        {
            if (!_closed)
                await WriteInTurnAsync(frames);
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Takes the turn for good: when this completes, nobody writes any more.</summary>
    public Task RetireAsync()
    {
        _closed = true;
        return _turn.WaitAsync();
    }

    // From here on: what the library's WebSocket calls. It writes each of its own frames with one call.

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> frame, CancellationToken cancel = default)
    {
        bool isClose = Frame.Opcode(frame.Span) == Frame.Close;
        if (isClose && _owner is { } owner)
            await owner.DrainAsync(); // the close frame comes last, after all that was said before it
        await _turn.WaitAsync(cancel);
        try
        {
            if (_closed)
                return;
            _closed = isClose;
            await WriteInTurnAsync(frame);
        }
        finally
        {
            Release();
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancel = default)
    {
        int read = await stream.ReadAsync(buffer, cancel);
        _heard = true;
        return read;
    }

    // Every write above flushes by itself; a flush here could meet another's write.
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    public override void Flush() { }

    public override bool CanRead => true;
    public override bool CanWrite => true;
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>Answers 101 and returns the socket, and the transport under it.</summary>
    public static async Task<(WebSocket Socket, Transport Transport)> AcceptAsync(HttpContext http, string? subprotocol)
    {
        // Kestrel's own idea of too slow is for downloads; here the send timeout decides.
        http.Features.Get<IHttpMinResponseDataRateFeature>()?.MinDataRate = null;
        WebSocket socket = await http.WebSockets.AcceptWebSocketAsync(subprotocol);
        return (socket, ((Upgrade)http.Features.GetRequiredFeature<IHttpUpgradeFeature>()).Transport!);
    }

    /// <summary>Middleware, for before <c>UseWebSockets</c>: what upgrades from here on gets a transport.</summary>
    public static Task Offer(HttpContext http, RequestDelegate next)
    {
        if (http.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } stock)
            http.Features.Set<IHttpUpgradeFeature>(new Upgrade(stock, http.RequestServices.GetRequiredService<TimeProvider>()));
        return next(http);
    }

    sealed class Upgrade(IHttpUpgradeFeature stock, TimeProvider clock) : IHttpUpgradeFeature
    {
        public Transport? Transport { get; private set; }

        public bool IsUpgradableRequest => stock.IsUpgradableRequest;

        public async Task<Stream> UpgradeAsync() => Transport = new Transport(await stock.UpgradeAsync(), clock);
    }
}
