using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Unicode;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

/// <summary>
/// The same random bytes, randomly cut, into our reader and into the BCL's: the same messages and pongs, the same close code.
/// Where the two may differ stands in <see cref="IsAllowed"/>. Two seconds in the suite; E2E_FUZZ=10 for ten minutes,
/// E2E_SEED=N for the same again.
/// </summary>
public sealed class MessageReaderFuzzTests
{
    const int Limit = 200_000; // bytes: a message is seldom refused for its length alone, for the BCL has no limit

    [Test]
    public async Task Random_bytes_are_read_as_the_BCL_reads_them()
    {
        TimeSpan length = Rig.Long("E2E_FUZZ") ?? TimeSpan.FromSeconds(2);
        int seed = Rig.Seed, rounds = 0;
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < length)
        {
            var random = new Random(unchecked(seed + rounds++ * 7919));
            byte[] bytes = RandomFrames(random);
            List<string> ours = Read(bytes, random, out int unread), theirs = await ReadByBclAsync(bytes, random);
            if (!ours.SequenceEqual(theirs) && !IsAllowed(ours, theirs, unread))
                Assert.Fail($"E2E_SEED={seed}, round {rounds}\nours:   {string.Join(" | ", ours)}\ntheirs: {string.Join(" | ", theirs)}\n{Convert.ToHexString(bytes)}");
        }
        Assert.That(rounds, Is.GreaterThan(10));
    }

    // Up to the difference, everything is the same.
    static bool IsAllowed(List<string> ours, List<string> theirs, int unread)
    {
        int same = 0;
        while (same < ours.Count && same < theirs.Count && ours[same] == theirs[same])
            same++;
        return (ours.ElementAtOrDefault(same) ?? "", theirs.ElementAtOrDefault(same) ?? "") switch
        {
            ("Fault:1003", _) => true, // binary is a message to the BCL
            ("Fault:1009", _) => true, // it has no limit, and waits for what we refuse by the header
            ("Fault:1002", "") => unread < 14, // it waits for the rest of a header whose first bytes are wrong
            ("", "Fault:1007") => true, // it validates the bytes of a frame that is not complete; the frame's end decides, here
            // IANA's registry has them
            ("Close:1012", "Fault:1002") or ("Close:1013", "Fault:1002") or ("Close:1014", "Fault:1002") => true,
            // It takes half a character before an empty last fragment, and an impossible one until its last byte; for a close reason it
            // says 1002.
            ("Fault:1007", _) =>
                !theirs.Skip(same).SkipWhile(told => told.StartsWith("Ping:", StringComparison.Ordinal)).Take(1).Any(IsText),
            _ => false,
        };
    }

    static bool IsText(string told) => told.StartsWith("Text:", StringComparison.Ordinal) && Utf8.IsValid(Convert.FromHexString(told[5..]));

    // ---- What is read: frames, mostly valid, in an order that is mostly valid

    static byte[] RandomFrames(Random random)
    {
        using var all = new MemoryStream();
        bool isInMessage = false;
        for (int count = random.Next(1, 12); count > 0; count--)
        {
            bool isFinal = random.Next(3) > 0;
            int opcode = random.Next(100) switch
            {
                < 70 => isInMessage ? Frame.Continuation : Frame.Text,
                < 85 => random.Next(2) == 0 ? Frame.Ping : Frame.Pong,
                < 90 => Frame.Close,
                < 92 => Frame.Binary,
                < 96 => isInMessage ? Frame.Text : Frame.Continuation,
                _ => random.Next(16),
            };
            bool isControl = opcode >= Frame.FirstControl;
            if (isControl && random.Next(20) > 0)
                isFinal = true;
            byte[] payload = opcode == Frame.Close ? RandomClose(random) : RandomText(random, isControl ? 130 : 70_000);
            int first = (isFinal ? 0x80 : 0) | opcode | (random.Next(60) == 0 ? 0x10 << random.Next(3) : 0);
            int[] forms = [.. ClientFrame.LengthForms.Where(bits => ClientFrame.Fits(payload.Length, bits))];
            // Not a control frame: the BCL takes one whose length is in a longer form, and for us what says 126 there says too much.
            byte[] frame = ClientFrame.Of(first, payload, !isControl
                && random.Next(4) == 0 ? forms[random.Next(forms.Length)] : 0, (uint)random.Next());
            if (random.Next(80) == 0)
                frame[1] &= 0x7F; // not masked
            if (!isControl && random.Next(80) == 0)
                frame = [.. ClientFrame.Header(first, (ulong)random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64), 64),
                    .. payload];
            all.Write(frame);
            if (!isControl)
                isInMessage = !isFinal;
        }
        return all.ToArray()[..^(random.Next(4) == 0 ? random.Next((int)all.Length) : 0)];
    }

    static byte[] RandomClose(Random random)
    {
        if (random.Next(4) == 0)
            return new byte[random.Next(2)];
        byte[] code = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(code, (ushort)(random.Next(3) > 0 ? 1000 + random.Next(20) : random.Next(65_536)));
        return [.. code, .. RandomText(random, 123)];
    }

    // UTF-8 of all lengths, now and then cut anywhere, or with one byte changed.
    static byte[] RandomText(Random random, int longest)
    {
        int[] lengths = [random.Next(8), random.Next(140), random.Next(longest + 1)];
        int length = Math.Min(longest, lengths[random.Next(random.Next(10) == 0 ? 3 : 2)]);
        var text = new StringBuilder();
        while (text.Length < length)
            text.Append(random.Next(4) switch { 0 => 'a', 1 => 'é', 2 => '€', _ => (object)"😀" });
        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        if (random.Next(3) == 0 || bytes.Length > longest)
            bytes = bytes[..Math.Min(length, bytes.Length)];
        if (bytes.Length > 0 && random.Next(15) == 0)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return bytes;
    }

    // ---- Who reads

    // As from a pipe: what was not read comes again, in front of what comes next.
    static List<string> Read(byte[] bytes, Random random, out int unread)
    {
        var reader = new MessageReader(Limit);
        var events = new List<string>();
        byte[] rest = [];
        unread = 0;
        for (int at = 0; at < bytes.Length;)
        {
            int length = NextCut(random, bytes.Length - at);
            ReadOnlySequence<byte> read = Segment.Sequence(rest, bytes[at..(at += length)]);
            while (reader.Read(ref read) is var heard && heard != Received.NotYet)
            {
                unread = (int)read.Length + bytes.Length - at;
                switch (heard)
                {
                    case Received.Fault:
                        events.Add($"Fault:{reader.Code}");
                        return events;
                    case Received.Close:
                        events.Add($"Close:{(reader.Code == 0 ? 1000 : reader.Code)}"); // as the BCL tells a close without a code
                        return events;
                    case Received.Text or Received.Ping:
                        events.Add($"{heard}:{Convert.ToHexString(reader.Payload)}");
                        break;
                }
            }
            rest = read.ToArray();
        }
        return events;
    }

    static async Task<List<string>> ReadByBclAsync(byte[] bytes, Random random)
    {
        var events = new List<string>();
        await using var wire = new FakeWire(bytes, random, events);
        using var socket = WebSocket.CreateFromStream(wire,
            new WebSocketCreationOptions { IsServer = true, KeepAliveInterval = Timeout.InfiniteTimeSpan });
        var message = new ArrayBufferWriter<byte>();
        try
        {
            while (true)
            {
                ValueWebSocketReceiveResult received = await socket.ReceiveAsync(message.GetMemory(random.Next(1, 5000)), default);
                message.Advance(received.Count);
                if (received.MessageType == WebSocketMessageType.Close)
                {
                    events.Add($"Close:{(int?)socket.CloseStatus}");
                    return events;
                }
                if (!received.EndOfMessage)
                    continue;
                events.Add($"{received.MessageType}:{Convert.ToHexString(message.WrittenSpan)}");
                message.ResetWrittenCount();
            }
        }
        catch (WebSocketException) { } // its close frame has told why; without one, the bytes have ended
        return events;
    }

    static int NextCut(Random random, int most) =>
        Math.Min(most, random.Next(3) switch { 0 => random.Next(1, 4), 1 => random.Next(1, 200), _ => random.Next(1, 100_000) });

    /// <summary>
    /// Gives a client's bytes in random pieces, and records what the reader answers by itself: pongs, and the close frame of a fault.
    /// </summary>
    sealed class FakeWire(byte[] bytes, Random random, List<string> events) : Stream
    {
        int _at;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int length = Math.Min(buffer.Length, _at == bytes.Length ? 0 : NextCut(random, bytes.Length - _at));
            bytes.AsSpan(_at, length).CopyTo(buffer.Span);
            _at += length;
            return new(length);
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            ReadOnlySpan<byte> payload = buffer.Span[Frame.HeaderLength(buffer.Length - 2)..];
            if (Frame.Opcode(buffer.Span) == Frame.Pong)
                events.Add($"Ping:{Convert.ToHexString(payload)}");
            else if (Frame.Opcode(buffer.Span) == Frame.Close)
                events.Add($"Fault:{BinaryPrimitives.ReadUInt16BigEndian(payload)}");
            return default;
        }

        public override bool CanRead => true;
        public override bool CanWrite => true;
        public override bool CanSeek => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
