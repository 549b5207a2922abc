using System.Runtime.CompilerServices;
using System.Text;
using CsCheck;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

public sealed class FrameLogTests
{
    const int Unlimited = int.MaxValue;

    [Test]
    public void A_cursor_reads_every_message_once_in_order_whatever_the_lengths_and_batches() =>
        Gen.Int[0, 3000].Array[1, 8].Array[1, 40].Sample(batches =>
        {
            var log = new FrameLog(next: 1, Unlimited);
            log.TrySeek(1, out FrameLog.Cursor cursor);
            var written = new List<byte[]>();
            var read = new List<byte[]>();
            foreach (int[] batch in batches)
            {
                foreach (int length in batch)
                    written.Add(Append(log, written.Count + 1, length));
                log.Publish();
                if (written.Count % 3 == 0) // a reader does not come by after each batch
                    ReadAll(ref cursor, read);
            }
            ReadAll(ref cursor, read);
            Assert.That(Hex(read), Is.EqualTo(Hex(written)));
            Assert.That(cursor.Seq, Is.EqualTo(written.Count + 1));
        });

    [Test]
    public void A_cursor_found_by_its_seq_reads_on_from_there() =>
        Gen.Select(Gen.Int[0, 5000].Array[1, 60], Gen.Int[1, 61], Gen.Long[1, 1_000_000]).Sample((lengths, place, first) =>
        {
            var log = new FrameLog(first, Unlimited);
            var written = new List<byte[]>();
            foreach (int length in lengths)
                written.Add(Append(log, first + written.Count, length));
            log.Publish();
            long seq = first + Math.Min(place - 1, lengths.Length);

            Assert.That(log.TrySeek(seq, out FrameLog.Cursor cursor), Is.True);

            var read = new List<byte[]>();
            ReadAll(ref cursor, read);
            Assert.That(Hex(read), Is.EqualTo(Hex(written[(int)(seq - first)..])));
        });

    [Test]
    public void A_batch_that_would_straddle_two_chunks_is_one_write()
    {
        var log = new FrameLog(1, Unlimited);
        log.TrySeek(1, out FrameLog.Cursor cursor);
        byte[] payload = new byte[4096];
        for (int batch = 0; batch < 20; batch++) // of 41 KB: two of three do not fit into what is left of 64 KiB
        {
            log.MakeRoom(10 * (payload.Length + Frame.LongestHeader));
            for (int i = 0; i < 10; i++)
                log.Append(payload);
            log.Publish();
            Assert.That(FrameLog.TryRead(ref cursor, out ReadOnlyMemory<byte> frames), Is.True);
            Assert.That(frames.Length, Is.EqualTo(10 * (payload.Length + Frame.HeaderLength(payload.Length))));
        }
    }

    [Test]
    public void What_is_not_published_is_not_read()
    {
        var log = new FrameLog(1, Unlimited);
        log.TrySeek(1, out FrameLog.Cursor cursor);
        log.Append("one"u8);
        Assert.That(FrameLog.TryRead(ref cursor, out ReadOnlyMemory<byte> frames), Is.True);
        Assert.That(frames.IsEmpty);
        log.Publish();
        Assert.That(FrameLog.TryRead(ref cursor, out frames), Is.True);
        Assert.That(frames.ToArray(), Is.EqualTo(Frame.Of(Frame.Text, "one"u8)));
    }

    /// <summary>
    /// One writer, three readers, all at once, through a window far smaller than what is written. A reader that is told
    /// it is behind asks for its place again later, as the pump's connections do; it must never skip a seq by itself.
    /// </summary>
    [Test]
    public void Under_concurrent_appends_a_cursor_never_skips_or_repeats() =>
        Gen.Select(Gen.Int[0, 400].Array[200, 600], Gen.Int[1, 20], Gen.Int[2_000, 40_000]).Sample((lengths, batch, window) =>
        {
            var log = new FrameLog(1, window);
            var lockOfTheRoom = new Lock();
            var started = new CountdownEvent(4);
            var writer = Task.Run(() =>
            {
                started.Signal();
                started.Wait();
                for (int i = 0; i < lengths.Length; i++)
                    lock (lockOfTheRoom)
                    {
                        Append(log, i + 1, lengths[i]);
                        if (i % batch == 0 || i == lengths.Length - 1)
                            log.Publish();
                    }
            });
            Task<int>[] readers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
            {
                started.Signal();
                started.Wait();
                FrameLog.Cursor cursor;
                lock (lockOfTheRoom)
                    log.TrySeek(1, out cursor);
                long expected = 1;
                int jumps = 0;
                while (expected <= lengths.Length)
                {
                    if (!FrameLog.TryRead(ref cursor, out ReadOnlyMemory<byte> frames))
                    {
                        Assert.That(cursor.Seq, Is.EqualTo(expected), "a reader who is behind knows exactly where it is");
                        jumps++;
                        lock (lockOfTheRoom) // the store would give what is between
                            while (!log.TrySeek(expected, out cursor))
                                expected++;
                        continue;
                    }
                    foreach (byte[] payload in Payloads(frames))
                        Assert.That(Encoding.ASCII.GetString(payload), Does.StartWith($"{expected++}:"));
                }
                return jumps;
            }))];
            Task.WaitAll([writer, .. readers]);
        }, iter: 60);

    [Test]
    public void A_window_holds_no_more_than_it_may_and_says_who_is_behind()
    {
        var log = new FrameLog(1, windowBytes: 8 * 1024);
        log.TrySeek(1, out FrameLog.Cursor first);
        for (int seq = 1; seq <= 100; seq++)
        {
            Append(log, seq, 1000);
            log.Publish();
        }
        Assert.That(log.TrySeek(1, out _), Is.False);
        Assert.That(log.TrySeek(100, out _), Is.True);
        Assert.That(log.TrySeek(101, out FrameLog.Cursor end), Is.True, "just past the end is a place, too");
        Assert.That(FrameLog.TryRead(ref end, out ReadOnlyMemory<byte> nothing) && nothing.IsEmpty);
        Assert.That(log.TrySeek(102, out _), Is.False);
        while (FrameLog.TryRead(ref first, out ReadOnlyMemory<byte> frames))
            Assert.That(frames.IsEmpty, Is.False, "there is more, only not here");
    }

    [Test]
    public void A_hole_is_not_stepped_over()
    {
        var log = new FrameLog(1, Unlimited);
        log.TrySeek(1, out FrameLog.Cursor cursor);
        Append(log, 1, 10);
        log.Publish();
        log.SkipTo(5);
        Append(log, 5, 10);
        log.Publish();
        var read = new List<byte[]>();
        Assert.That(FrameLog.TryRead(ref cursor, out ReadOnlyMemory<byte> frames), Is.True);
        read.AddRange(Payloads(frames));
        Assert.That(read, Has.Count.EqualTo(1));
        Assert.That(FrameLog.TryRead(ref cursor, out _), Is.False);
        Assert.That(cursor.Seq, Is.EqualTo(2));
        Assert.That(log.TrySeek(2, out _), Is.False);
        Assert.That(log.TrySeek(5, out _), Is.True);
    }

    [Test]
    public void Chunks_that_nobody_reads_are_collectable_even_behind_a_reader_who_stays()
    {
        var log = new FrameLog(1, windowBytes: 64 * 1024);
        log.TrySeek(1, out FrameLog.Cursor stays);
        List<WeakReference> chunks = Fill(log);

        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();

        int alive = chunks.Count(chunk => chunk.IsAlive);
        Assert.That(chunks, Has.Count.GreaterThan(20));
        Assert.That(alive, Is.LessThanOrEqualTo(3), "the window, and the one chunk that the reader is in");
        Assert.That(FrameLog.TryRead(ref stays, out _), Is.True, "the reader has kept its own");
        GC.KeepAlive(log);
    }

    [MethodImpl(MethodImplOptions.NoInlining)] // so that no register keeps a chunk alive
    static List<WeakReference> Fill(FrameLog log)
    {
        var chunks = new List<WeakReference>();
        for (int seq = 1; seq <= 2000; seq++)
        {
            Append(log, seq, 1000);
            log.Publish();
            log.TrySeek(seq, out FrameLog.Cursor cursor);
            if (!chunks.Exists(known => known.Target == cursor.Chunk))
                chunks.Add(new WeakReference(cursor.Chunk));
        }
        return chunks;
    }

    static byte[] Append(FrameLog log, long seq, int length)
    {
        byte[] payload = Encoding.ASCII.GetBytes($"{seq}:{new string('x', length)}");
        log.Append(payload);
        return payload;
    }

    // Strings are compared in one go; lists of bytes byte by byte, which took most of these tests' time.
    static string[] Hex(IEnumerable<byte[]> payloads) => [.. payloads.Select(Convert.ToHexString)];

    static void ReadAll(ref FrameLog.Cursor cursor, List<byte[]> read)
    {
        while (FrameLog.TryRead(ref cursor, out ReadOnlyMemory<byte> frames) && !frames.IsEmpty)
            read.AddRange(Payloads(frames));
    }

    static IEnumerable<byte[]> Payloads(ReadOnlyMemory<byte> frames)
    {
        while (!frames.IsEmpty)
        {
            int length = Frame.Length(frames.Span);
            int header = length <= 127 ? 2 : length <= 65_535 + 4 ? 4 : 10;
            yield return frames[header..length].ToArray();
            frames = frames[length..];
        }
    }
}
