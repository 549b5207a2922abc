using System.Net.Sockets;

namespace ChatMinimal;

/// <summary>
/// The one filter for a peer that is gone: reset, aborted, disposed under a call. Everything else is a bug or a broken file, and is
/// not to be taken for a lost link.
/// </summary>
static class PeerGone
{
    public static bool Is(Exception error) =>
        error is IOException or SocketException or ObjectDisposedException or OperationCanceledException;
}
