using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ChatMinimal.E2E;

/// <summary>A client that writes literal bytes: what no library would let a test say.</summary>
sealed class RawPeer : IDisposable
{
    readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    public string Answer { get; private set; } = "";

    /// <summary>Connects, and says nothing.</summary>
    public static async Task<RawPeer> ConnectAsync(int port, int receiveBuffer = 0)
    {
        var peer = new RawPeer();
        if (receiveBuffer > 0)
            peer._socket.ReceiveBufferSize = receiveBuffer;
        await peer._socket.ConnectAsync(IPAddress.Loopback, port);
        return peer;
    }

    /// <summary>Connects and sends a request; returns once the head of the answer is there.</summary>
    public static async Task<RawPeer> RequestAsync(int port, string request, int receiveBuffer = 0)
    {
        RawPeer peer = await ConnectAsync(port, receiveBuffer);
        await peer.WriteAsync(Encoding.ASCII.GetBytes(request.ReplaceLineEndings("\r\n") + "\r\n\r\n"));
        while (!peer.Answer.EndsWith("\r\n\r\n", StringComparison.Ordinal))
            peer.Answer += (char)(await peer.ReadAsync(1))[0];
        return peer;
    }

    public static Task<RawPeer> UpgradeAsync(int port, string target = "/ws", string more = "", int receiveBuffer = 0) => RequestAsync(port, $"""
        GET {target} HTTP/1.1
        Host: 127.0.0.1:{port}
        Connection: Upgrade
        Upgrade: websocket
        Sec-WebSocket-Version: 13
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
        """ + more, receiveBuffer);

    public async Task WriteAsync(params byte[] bytes)
    {
        using CancellationTokenSource limit = Rig.Patience();
        for (int sent = 0; sent < bytes.Length;)
            sent += await _socket.SendAsync(bytes.AsMemory(sent), limit.Token);
    }

    /// <summary>A masked frame as a client sends it; the mask is zero, so that the payload is readable as it is.</summary>
    public static byte[] Frame(byte firstByte, ReadOnlySpan<byte> payload)
    {
        byte[] unmasked = ChatMinimal.Frame.Of(0, payload);
        int header = unmasked.Length - payload.Length;
        unmasked[0] = firstByte;
        unmasked[1] |= 0x80;
        return [.. unmasked[..header], 0, 0, 0, 0, .. payload];
    }

    public Task SayAsync(string text) => WriteAsync(Frame(0x81, Encoding.UTF8.GetBytes(text)));

    /// <summary>The next frame: its first byte, and its payload.</summary>
    public async Task<(byte First, byte[] Payload)> ReadFrameAsync()
    {
        byte[] head = await ReadAsync(2);
        long length = head[1] switch
        {
            126 => BinaryPrimitives.ReadUInt16BigEndian(await ReadAsync(2)),
            127 => (long)BinaryPrimitives.ReadUInt64BigEndian(await ReadAsync(8)),
            byte small => small,
        };
        return (head[0], await ReadAsync((int)length));
    }

    /// <summary>The next text; the server's pings are passed over.</summary>
    public async Task<string> HearAsync()
    {
        while (true)
        {
            (byte first, byte[] payload) = await ReadFrameAsync();
            if (first == 0x81)
                return Encoding.UTF8.GetString(payload);
            if (first == 0x88)
                throw new InvalidOperationException($"closed: {BinaryPrimitives.ReadUInt16BigEndian(payload)} {Encoding.UTF8.GetString(payload.AsSpan(2))}");
        }
    }

    /// <summary>Exactly that many bytes.</summary>
    /// <exception cref="EndOfStreamException">The server has ended the connection.</exception>
    public async Task<byte[]> ReadAsync(int count)
    {
        using CancellationTokenSource limit = Rig.Patience();
        var bytes = new byte[count];
        for (int read = 0; read < count;)
        {
            int more = await _socket.ReceiveAsync(bytes.AsMemory(read), limit.Token);
            if (more == 0)
                throw new EndOfStreamException();
            read += more;
        }
        return bytes;
    }

    /// <summary>Waits until the server has reset the connection, without reading anything.</summary>
    public async Task ResetAsync()
    {
        using CancellationTokenSource limit = Rig.Patience();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        try
        {
            while (await pace.WaitForNextTickAsync(limit.Token))
                await _socket.SendAsync(new byte[1], limit.Token);
        }
        catch (SocketException) { } // what was waited for
    }

    /// <summary>Reads until the server ends the connection, orderly or not; returns what came, ends included.</summary>
    public async Task<byte[]> ReadToEndAsync()
    {
        using CancellationTokenSource limit = Rig.Patience();
        using var all = new MemoryStream();
        var bytes = new byte[64 * 1024];
        try
        {
            while (await _socket.ReceiveAsync(bytes.AsMemory(), limit.Token) is > 0 and int read)
                all.Write(bytes, 0, read);
        }
        catch (SocketException) { } // reset
        return all.ToArray();
    }

    public void Dispose() => _socket.Dispose();
}
