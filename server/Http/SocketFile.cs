using System.Net.Sockets;

namespace ChatMinimal;

/// <summary>
/// The socket file is the address of a server that listens on a unix socket. One that was killed leaves its file behind, and nothing can
/// listen there again until that is gone.
/// </summary>
static class SocketFile
{
    /// <summary>Removes the file of a server that is gone.</summary>
    /// <exception cref="InvalidOperationException">A server answers there, or the file is no socket; it stays as it is.</exception>
    public static void RemoveIfStale(string path)
    {
        if (!File.Exists(path))
            return;
        if (IsAnswered(path))
            throw new InvalidOperationException($"{path} is in use by another server");
        if (!IsSocket(path))
            throw new InvalidOperationException($"{path} is not a socket: an address such as http://unix:/run/chat.sock is a file of the server's own");
        File.Delete(path);
    }

    static bool IsAnswered(string path)
    {
        // A server that is frozen answers nobody
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException error)
        {
            return error.SocketErrorCode != SocketError.ConnectionRefused;
        }
    }

    // Any other file refuses a connection, too. Only a socket cannot be opened by its owner; for writing as well, since to open a FIFO for
    // reading alone waits.
    static bool IsSocket(string path)
    {
        try
        {
            using FileStream file = File.Open(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }
}
