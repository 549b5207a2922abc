using System.Buffers;
using System.Text;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

/// <summary>RFC 6455 section 5, in literal bytes. The mask is 1 2 3 4 where it shows, and whatever the bytes are cut into.</summary>
public sealed class MessageReaderTests
{
    const int Limit = 100;

    static byte[] Masked(byte first, ReadOnlySpan<byte> payload) => RawPeer.Frame(first, payload);

    static IEnumerable<TestCaseData> Messages()
    {
        // Section 5.7's own example
        yield return Case("a text", "Text:Hello", [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        yield return Case("the empty text", "Text:", [0x81, 0x80, 1, 2, 3, 4]);
        yield return Case("fragments cut inside a character", "Text:é",
            [0x01, 0x81, 1, 2, 3, 4, 0xC3 ^ 1, 0x80, 0x81, 1, 2, 3, 4, 0xA9 ^ 1]);
        yield return Case("empty fragments", "Text:", [0x01, 0x80, 1, 2, 3, 4, 0x00, 0x80, 1, 2, 3, 4, 0x80, 0x80, 1, 2, 3, 4]);
        yield return Case("a ping between fragments", "Ping:p Text:ab",
            [.. Masked(0x01, "a"u8), .. Masked(0x89, "p"u8), .. Masked(0x80, "b"u8)]);
        yield return Case("two texts", "Text:a Text:b", [.. Masked(0x81, "a"u8), .. Masked(0x81, "b"u8)]);
        yield return Case("as long as may be", $"Text:{new string('x', Limit)}",
            Masked(0x81, Encoding.ASCII.GetBytes(new string('x', Limit))));
        yield return Case("a length in two bytes that one would do for", "Text:a", [0x81, 0xFE, 0, 1, 0, 0, 0, 0, (byte)'a']);
        yield return Case("a length in eight bytes", "Text:a", [0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, (byte)'a']);
        yield return Case("the longest pong", $"Pong:{new string('p', 125)}", Masked(0x8A, Encoding.ASCII.GetBytes(new string('p', 125))));
        yield return Case("a close", "Close:1000", Masked(0x88, [0x03, 0xE8]));
        yield return Case("a close with a reason", "Close:3000 bye", Masked(0x88, [0x0B, 0xB8, .. "bye"u8]));
        yield return Case("a close without a code", "Close:0", Masked(0x88, []));
        yield return Case("half a header", "", [0x81]);
        yield return Case("half a mask", "", [0x81, 0x81, 1, 2]);
        yield return Case("half a payload", "", [0x81, 0x82, 1, 2, 3, 4, 5]);

        yield return Case("not masked", "Fault:1002", [0x81, 0x01, 0x61]);
        yield return Case("each reserved bit: 1", "Fault:1002", Masked(0xC1, "a"u8));
        yield return Case("each reserved bit: 2", "Fault:1002", Masked(0xA1, "a"u8));
        yield return Case("each reserved bit: 3", "Fault:1002", Masked(0x91, "a"u8));
        foreach (byte opcode in (byte[])[0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF])
            yield return Case($"reserved opcode {opcode:x}", "Fault:1002", Masked((byte)(0x80 | opcode), "a"u8));
        yield return Case("a continuation of nothing", "Fault:1002", Masked(0x80, "a"u8));
        yield return Case("a continuation of what has ended", "Text:ab Fault:1002",
            [.. Masked(0x01, "a"u8), .. Masked(0x80, "b"u8), .. Masked(0x80, "c"u8)]);
        yield return Case("a message inside a message", "Fault:1002", [.. Masked(0x01, "a"u8), .. Masked(0x81, "b"u8)]);
        foreach (byte opcode in (byte[])[0x8, 0x9, 0xA])
        {
            yield return Case($"control frame {opcode:x} in fragments", "Fault:1002", Masked(opcode, []));
            yield return Case($"control frame {opcode:x} of 126 bytes", "Fault:1002", Masked((byte)(0x80 | opcode), new byte[126]));
        }
        yield return Case("half a close code", "Fault:1002", Masked(0x88, [0x03]));
        foreach (int code in (int[])[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
            yield return Case($"close code {code}", "Fault:1002", Masked(0x88, [(byte)(code >> 8), (byte)code]));
        foreach (int code in (int[])[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
            yield return Case($"close code {code}", $"Close:{code}", Masked(0x88, [(byte)(code >> 8), (byte)code]));
        yield return Case("a close reason that is not UTF-8", "Fault:1007", Masked(0x88, [0x03, 0xE8, 0xC3, 0x28]));
        foreach (string bad in (string[])["C328", "C080", "EDA080", "F4908080", "E282", "80", "FF"])
            yield return Case($"not UTF-8: {bad}", "Fault:1007", Masked(0x81, Convert.FromHexString(bad)));
        yield return Case("binary", "Fault:1003", Masked(0x82, "a"u8));
        yield return Case("a byte too many", "Fault:1009", Masked(0x81, new byte[Limit + 1]));
        yield return Case("a byte too many, told from the header", "Fault:1009", [0x81, 0x80 | 101, 1, 2, 3, 4]);
        yield return Case("a byte too many in fragments", "Fault:1009", [.. Masked(0x01, new byte[60]), .. Masked(0x80, new byte[41])]);
        yield return Case("a length with its highest bit set", "Fault:1002",
            [0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4]);

        static TestCaseData Case(string name, string told, byte[] bytes) => new TestCaseData(bytes, told).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Messages))]
    public void What_is_read_is_what_the_RFC_says_however_it_is_cut(byte[] bytes, string told)
    {
        Assert.That(Read([bytes]), Is.EqualTo(told));
        Assert.That(Read([.. bytes.Select(one => (byte[])[one])]), Is.EqualTo(told), "byte by byte");
        for (int cut = 1; cut < bytes.Length; cut++)
            Assert.That(Read([bytes[..cut], bytes[cut..]]), Is.EqualTo(told), $"cut at {cut}");
    }

    [Test]
    public void Every_length_form_in_every_fragment_is_read_and_the_limit_holds_across_them()
    {
        foreach (int[] forms in Products(ClientFrame.LengthForms, most: 3))
            foreach (int length in (int[])[0, 1, Limit / forms.Length])
            {
                string part = new('x', length), whole = string.Concat(Enumerable.Repeat(part, forms.Length));
                byte[][] fragments =
                    [.. forms.Select((bits, i) => ClientFrame.Of(First(i, forms.Length), Encoding.ASCII.GetBytes(part), bits))];
                string told = $"{string.Join('+', forms)} bits, {length} bytes each";
                Assert.That(Read([[.. fragments.SelectMany(fragment => fragment)]]), Is.EqualTo($"Text:{whole}"), told);

                // The last fragment announces more than fits: one byte, and as much as can be written in that form.
                int held = length * (forms.Length - 1), last = forms[^1];
                foreach (ulong announced in (ulong[])[(ulong)(Limit - held + 1), 126, ushort.MaxValue, int.MaxValue, uint.MaxValue,
                    long.MaxValue, 1UL << 63, ulong.MaxValue - (ulong)held, ulong.MaxValue - (ulong)held + 1, ulong.MaxValue])
                {
                    if (announced <= (ulong)(Limit - held) || (last == 7 && announced > 125) || (last == 16 && announced > ushort.MaxValue))
                        continue;
                    byte[] header = ClientFrame.Header(First(forms.Length - 1, forms.Length), announced, last);
                    Assert.That(Read([[.. fragments[..^1].SelectMany(fragment => fragment), .. header]]),
                        Is.EqualTo(announced > long.MaxValue ? "Fault:1002" : "Fault:1009"), $"{told}, the last announces {announced}");
                }
            }
    }

    static int First(int fragment, int count) => (fragment == count - 1 ? 0x80 : 0) | (fragment == 0 ? Frame.Text : Frame.Continuation);

    // Every sequence of 1 to so many of these.
    static IEnumerable<int[]> Products(int[] from, int most) =>
        most == 0 ? [] : from.SelectMany(first => (IEnumerable<int[]>)[[first],
            .. Products(from, most - 1).Select(rest => (int[])[first, .. rest])]);

    [Test]
    public void Text_cut_into_fragments_at_any_byte_is_read_and_a_fragment_that_breaks_it_is_refused_at_once()
    {
        byte[] text = Encoding.UTF8.GetBytes("aé€😀\u0800\uD7FF\uE000\U0010FFFFz");
        for (int cut = 0; cut <= text.Length; cut++)
            for (int second = cut; second <= text.Length; second++)
                Assert.That(Read([[.. Masked(0x01, text.AsSpan(..cut)), .. Masked(0x00, text.AsSpan(cut..second)),
                    .. Masked(0x80, text.AsSpan(second..))]]),
                    Is.EqualTo($"Text:{Encoding.UTF8.GetString(text)}"), $"cut at {cut} and {second}");

        foreach (string bad in (string[])["80", "C0", "C1", "C328", "E080", "E09F", "EDA0", "EDBF", "E28228", "F080", "F08F", "F490", "F5",
            "F09F9828", "FE", "FF"])
        {
            byte[] bytes = Convert.FromHexString(bad);
            for (int cut = 0; cut <= bytes.Length; cut++)
                Assert.That(Read([[.. Masked(0x01, [(byte)'a', .. bytes[..cut]]), .. Masked(0x00, bytes.AsSpan(cut..))]]),
                    Is.EqualTo("Fault:1007"), $"{bad} cut at {cut}, and more might follow");
        }
        foreach (string half in (string[])["C3", "E2", "E282", "F0", "F09F", "F09F98", "F48F"])
        {
            byte[] bytes = Convert.FromHexString(half);
            Assert.That(Read([Masked(0x01, bytes)]), Is.Empty, $"{half} may become a character");
            Assert.That(Read([[.. Masked(0x01, bytes), .. Masked(0x80, [])]]), Is.EqualTo("Fault:1007"), $"{half} will not");
            Assert.That(Read([[.. Masked(0x01, bytes), .. Masked(0x00, "a"u8)]]), Is.EqualTo("Fault:1007"), $"{half} will not");
        }
    }

    [Test]
    public void An_unfinished_message_takes_no_more_memory_than_the_limit()
    {
        const int Count = 1 << 14, Each = 65, Most = Count * Each; // just over a power of two
        byte[] fragment = ClientFrame.Of(0x01, new byte[Each]);
        var reader = new MessageReader(Most);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Count; i++)
        {
            ReadOnlySequence<byte> bytes = new(fragment);
            if (reader.Read(ref bytes) != Received.NotYet || !bytes.IsEmpty)
                Assert.Fail($"fragment {i}");
            fragment[0] = 0x00;
        }
        long cost = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.That(cost, Is.LessThan(2 * Most + 1024), "doubled up to the limit: 1 + 1/2 + 1/4 ... of it, in all");
    }

    [Test]
    public void Masks_are_taken_off_whatever_the_length()
    {
        for (int length = 0; length < Limit; length++)
        {
            string text = string.Concat(Enumerable.Range(0, length).Select(i => (char)('a' + i % 26)));
            Assert.That(Read([Masked(0x81, Encoding.ASCII.GetBytes(text))]), Is.EqualTo($"Text:{text}"));
        }
    }

    // As from a pipe: what was not read comes again, in front of what comes next, in pieces that need not be one.
    static string Read(byte[][] pieces)
    {
        var reader = new MessageReader(Limit);
        var told = new List<string>();
        byte[] rest = [];
        foreach (byte[] piece in pieces)
        {
            ReadOnlySequence<byte> bytes = Segment.Sequence(rest, piece);
            while (reader.Read(ref bytes) is var heard && heard != Received.NotYet)
            {
                string payload = Encoding.UTF8.GetString(reader.Payload);
                told.Add(heard switch
                {
                    Received.Fault => $"Fault:{reader.Code}",
                    Received.Close => $"Close:{reader.Code} {payload}".TrimEnd(),
                    _ => $"{heard}:{payload}",
                });
                if (heard is Received.Fault or Received.Close)
                    return string.Join(' ', told);
            }
            rest = bytes.ToArray();
        }
        return string.Join(' ', told);
    }
}
