using System.Buffers.Binary;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// A closing is how a connection ends from our side: what came before is drained, then the close frame, then our side of TCP ends,
/// and the peer's is awaited. A peer that makes progress has time, one that does not is cut off.
/// </summary>
/// <param name="transport">Of the connection.</param>
/// <param name="sendTimeout">Without progress, while something is still to be taken.</param>
/// <param name="clock">Measures it.</param>
sealed class Closing(Transport transport, TimeSpan sendTimeout, TimeProvider clock)
{
    /// <summary>In the place of one: the connection has ended without.</summary>
    public static readonly Closing TooLate = new(null!, default, TimeProvider.System);

    static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);
    static readonly TimeSpan s_drainTimeout = TimeSpan.FromSeconds(1); // for what is to be sent before the close frame
    static readonly TimeSpan s_linger = TimeSpan.FromSeconds(2); // for the peer's end, once it has everything

    readonly TaskCompletionSource _ran = new(TaskCreationOptions.RunContinuationsAsynchronously);
    Standstill _standstill;
    ITimer? _timer, _deadline;
    volatile bool _isSent;

    /// <summary>Completes when the close frame is out, or cannot be.</summary>
    public Task Ran => _ran.Task;

    /// <summary>Runs until the close frame is out, and our side ended.</summary>
    /// <param name="code">RFC 6455 section 7.4.1.</param>
    /// <param name="reason">In plain words, at most 123 bytes.</param>
    /// <param name="within">Whatever progress is made, it is over after this; null: no such hurry.</param>
    /// <param name="feed">What the peer is still to be sent.</param>
    /// <param name="submitter">What it sent; null: nothing.</param>
    /// <param name="fail">Called when something goes wrong that nobody expected.</param>
    public async Task RunAsync(CloseCode code, string reason, TimeSpan? within, Feed feed, Submitter? submitter, Action<Exception> fail)
    {
        _timer = clock.CreateTimer(_ => Look(), null, s_look, s_look);
        if (within is { } hurry)
            _deadline = clock.CreateTimer(_ => transport.Abort(), null, hurry, Timeout.InfiniteTimeSpan);
        try
        {
            submitter?.Hurry();
            await DrainAsync(feed, submitter);
            await transport.Output.WriteAloneAsync(Frame.Of(Frame.Close, Payload(code, reason)));
            await transport.EndOutputAsync();
            _isSent = true;
        }
        catch (Exception error) when (PeerGone.Is(error)) { } // it was faster
        catch (Exception error)
        {
            fail(error);
            transport.Abort();
        }
        finally
        {
            _ran.SetResult();
        }
    }

    // Until all that was received so far is committed and sent, or until that takes too long: a slow client reads the rest after coming
    // back.
    async Task DrainAsync(Feed feed, Submitter? submitter)
    {
        try
        {
            if (submitter is not null)
                await submitter.IdleAsync().WaitAsync(s_drainTimeout, clock);
            Task drained = feed.DrainAsync(submitter?.Next ?? 0);
            feed.Wake();
            await drained.WaitAsync(s_drainTimeout, clock);
        }
        catch (TimeoutException) { }
        feed.End();
    }

    /// <summary>It is over: nobody is cut off any more.</summary>
    public void End()
    {
        _timer?.Dispose();
        _deadline?.Dispose();
    }

    void Look()
    {
        bool hasAll = _isSent && transport.Output.Unacknowledged <= 0;
        TimeSpan standstill = _standstill.Look(isWaiting: true, transport.Output.Taken, clock.GetTimestamp(), clock);
        if (standstill >= (hasAll ? s_linger : sendTimeout))
            transport.Abort();
    }

    // RFC 6455 section 5.5.1: two bytes of code, then the reason.
    static byte[] Payload(CloseCode code, string reason)
    {
        var payload = new byte[sizeof(ushort) + Encoding.UTF8.GetByteCount(reason)];
        BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)code);
        Encoding.UTF8.GetBytes(reason, payload.AsSpan(sizeof(ushort)));
        return payload;
    }
}
