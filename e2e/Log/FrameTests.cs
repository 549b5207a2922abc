using System.Net.WebSockets;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

public sealed class FrameTests
{
    [TestCase(0), TestCase(1), TestCase(125), TestCase(126), TestCase(127), TestCase(65_535), TestCase(65_536), TestCase(1_000_000)]
    public async Task A_frame_is_what_the_BCL_reads_back(int length)
    {
        byte[] payload = [.. Enumerable.Range(0, length).Select(i => (byte)('a' + (i % 26)))];

        byte[] frame = Frame.Of(Frame.Text, payload);

        using var stream = new MemoryStream(frame);
        using var client = WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = false });
        var heard = new byte[length + 1];
        int count = 0;
        ValueWebSocketReceiveResult received;
        do
        {
            received = await client.ReceiveAsync(heard.AsMemory(count), default);
            count += received.Count;
        }
        while (!received.EndOfMessage);
        Assert.That(received.MessageType, Is.EqualTo(WebSocketMessageType.Text));
        Assert.That(heard[..count], Is.EqualTo(payload));
        Assert.That(stream.Position, Is.EqualTo(frame.Length), "nothing is left over");
        Assert.That(Frame.Length(frame), Is.EqualTo(frame.Length));
        Assert.That(Frame.Opcode(frame), Is.EqualTo(Frame.Text));
    }

    [Test]
    public void The_bytes_are_those_of_RFC_6455()
    {
        Assert.That(Frame.Of(Frame.Text, "Hello"u8), Is.EqualTo(new byte[] { 0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f }), "section 5.7");
        Assert.That(Frame.EmptyPing, Is.EqualTo(new byte[] { 0x89, 0x00 }));
        Assert.That(Frame.Of(Frame.Text, new byte[256])[..4], Is.EqualTo(new byte[] { 0x81, 0x7E, 0x01, 0x00 }));
        Assert.That(Frame.Of(Frame.Text, new byte[65_536])[..10], Is.EqualTo(new byte[] { 0x81, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0 }));
    }
}
