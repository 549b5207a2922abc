using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ChatMinimal.E2E;

/// <summary>A client that writes literal bytes: what no library would let a test say.</summary>
sealed class RawPeer : IDisposable
{
    readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    readonly byte[] _received = new byte[512]; // little, for some tests are about what a client does not read
    int _from, _to;

    /// <summary>The head of the answer to the request.</summary>
    public string Answer { get; private set; } = "";

    /// <summary>Connects, and says nothing.</summary>
    public static async Task<RawPeer> ConnectAsync(int port, int receiveBuffer = 0)
    {
        var peer = new RawPeer();
        if (receiveBuffer > 0)
            peer._socket.ReceiveBufferSize = receiveBuffer;
        using CancellationTokenSource limit = Rig.Patience();
        await peer._socket.ConnectAsync(IPAddress.Loopback, port, limit.Token);
        return peer;
    }

    /// <summary>
    /// Connects and sends a request, with what is to be in the same segment; returns once the head of the answer is there.
    /// </summary>
    public static async Task<RawPeer> RequestAsync(int port, string request, int receiveBuffer = 0, byte[]? first = null)
    {
        RawPeer peer = await AskAsync(port, request, receiveBuffer, first);
        var head = new StringBuilder();
        while (head.Length < 4 || head.ToString(head.Length - 4, 4) != "\r\n\r\n")
            head.Append((char)(await peer.ReadAsync(1))[0]);
        peer.Answer = head.ToString();
        return peer;
    }

    /// <summary>Likewise, and does not wait for the answer.</summary>
    public static async Task<RawPeer> AskAsync(int port, string request, int receiveBuffer = 0, byte[]? first = null)
    {
        RawPeer peer = await ConnectAsync(port, receiveBuffer);
        await peer.WriteAsync([.. Encoding.ASCII.GetBytes(request.ReplaceLineEndings("\r\n") + "\r\n\r\n"), .. first ?? []]);
        return peer;
    }

    public static Task<RawPeer> UpgradeAsync(int port, string target = "/ws", string more = "", int receiveBuffer = 0,
        byte[]? first = null) => RequestAsync(port, Upgrade(port, target, more), receiveBuffer, first);

    /// <summary>The request of a WebSocket.</summary>
    public static string Upgrade(int port, string target = "/ws", string more = "") =>
        $"""
        GET {target} HTTP/1.1
        Host: 127.0.0.1:{port}
        Connection: Upgrade
        Upgrade: websocket
        Sec-WebSocket-Version: 13
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
        """ + more;

    public async Task WriteAsync(byte[] bytes)
    {
        using CancellationTokenSource limit = Rig.Patience();
        for (int sent = 0; sent < bytes.Length;)
            sent += await _socket.SendAsync(bytes.AsMemory(sent), limit.Token);
    }

    /// <summary>A masked frame as a client sends it; the mask is zero, so that the payload is readable as it is.</summary>
    public static byte[] Frame(byte firstByte, ReadOnlySpan<byte> payload) => ClientFrame.Of(firstByte, payload, mask: 0);

    public Task SayAsync(string text) => WriteAsync(Frame(0x81, Encoding.UTF8.GetBytes(text)));

    /// <summary>Whether something has come that nobody has read.</summary>
    public bool HasBytes => _socket.Available > 0;

    /// <summary>Ends the sending side only (half close): the server reads an end, and may still answer.</summary>
    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

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
    public async Task<string> ReceiveAsync()
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
        var bytes = new byte[count];
        int read = Math.Min(count, _to - _from);
        _received.AsSpan(_from, read).CopyTo(bytes);
        _from += read;
        using CancellationTokenSource limit = Rig.Patience();
        while (read < count)
        {
            if (count - read >= _received.Length)
            {
                read += await ReceiveAsync(bytes.AsMemory(read), limit.Token);
                continue;
            }
            _from = 0;
            _to = await ReceiveAsync(_received, limit.Token);
            _from = Math.Min(count - read, _to);
            _received.AsSpan(0, _from).CopyTo(bytes.AsSpan(read));
            read += _from;
        }
        return bytes;
    }

    async ValueTask<int> ReceiveAsync(Memory<byte> to, CancellationToken cancel) =>
        await _socket.ReceiveAsync(to, cancel) is > 0 and int read ? read : throw new EndOfStreamException();

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
        all.Write(_received, _from, _to - _from);
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
