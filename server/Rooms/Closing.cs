using System.Buffers.Binary;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// A closing is how a connection ends from our side: what was said before is sent, then the close frame, then our side of TCP ends,
/// and the peer's is awaited. A peer that makes progress has time, one that does not is cut off.
/// </summary>
/// <param name="transport">Of the connection.</param>
/// <param name="sendTimeout">Without progress, while something is still to be taken.</param>
/// <param name="clock">Measures it.</param>
sealed class Closing(Transport transport, TimeSpan sendTimeout, TimeProvider clock)
{
    static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);
    static readonly TimeSpan s_linger = TimeSpan.FromSeconds(2); // for the peer's end, once it has everything

    Standstill _standstill;
    ITimer? _timer, _deadline;
    volatile bool _isSent;

    /// <summary>Runs until the close frame is out, and our side ended.</summary>
    /// <param name="code">RFC 6455 section 7.4.1.</param>
    /// <param name="reason">In plain words, at most 123 bytes.</param>
    /// <param name="within">Whatever progress is made, it is over after this; null: no such hurry.</param>
    /// <param name="drain">Completes when what comes before the close frame has been sent.</param>
    public async Task RunAsync(CloseCode code, string reason, TimeSpan? within, Func<Task> drain)
    {
        _timer = clock.CreateTimer(_ => Look(), null, s_look, s_look);
        if (within is { } hurry)
            _deadline = clock.CreateTimer(_ => transport.Abort(), null, hurry, Timeout.InfiniteTimeSpan);
        await drain();
        await transport.Output.WriteInTurnAsync(Frame.Of(Frame.Close, Payload(code, reason)));
        await transport.EndOutputAsync();
        _isSent = true;
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
