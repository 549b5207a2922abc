using System.IO.Pipelines;
using System.Net.Security;

namespace ChatMinimal;

/// <summary>A transport is the two directions of an upgraded link, and its ends.</summary>
sealed class Transport(PipeReader input, Output output, Link link, SslStream? tls)
{
    /// <summary>Bytes from the peer.</summary>
    public PipeReader Input => input;

    public Output Output => output;

    /// <summary>Triggered when the peer has ended its side, or is gone.</summary>
    public CancellationToken PeerEnded => link.PeerEnded;

    /// <summary>
    /// Reads to the peer's end, whatever comes: a socket that is closed with unread bytes in it is reset, and a reset overtakes the
    /// close frame.
    /// </summary>
    public async Task DiscardInputAsync()
    {
        bool isOver = false;
        while (!isOver)
        {
            ReadResult read = await input.ReadAsync();
            isOver = read.IsCompleted;
            input.AdvanceTo(read.Buffer.End);
        }
    }

    /// <inheritdoc cref="Link.EndOutputAsync"/>
    public ValueTask EndOutputAsync() => link.EndOutputAsync(tls);

    /// <inheritdoc cref="Link.Abort"/>
    public void Abort() => link.Abort();
}
