using System.Text;

namespace ChatMinimal.E2E.Conformance;

/// <summary>
/// The case groups of the public WebSocket test suite, and what it lacks: masking, lengths in a form longer than they need,
/// data after close. The expected values come from RFC 6455, and from what this server says it refuses: binary messages
/// (1003) and long ones (1009).
/// </summary>
static class ConformanceCases
{
    public const int Limit = 65_536; // bytes of text, the default

    // The ends of what each length of a sequence may encode, and what looks like an end and is none.
    static readonly string[] s_valid =
        ["61", "7F", "C280", "DFBF", "E0A080", "ED9FBF", "EE8080", "EFBFBD", "EFBFBE", "EFBFBF", "F0908080", "F09FBFBE", "F09FBFBF",
            "F48FBFBF", "EFBBBF61", "CEBAE1BDB9CF83CEBCCEB5", "F09F9880"];

    // Lonely continuations, sequences cut short, too long, of five and six bytes, surrogates, beyond U+10FFFF, and bytes that never occur.
    static readonly string[] s_invalid =
    [
        "80", "BF", "8080", "C3", "C361", "E282", "E28261", "F09F98", "F09F9861", "C080", "C0AF", "C1BF", "E08080", "E080AF", "E09FBF",
            "F0808080", "F08080AF", "F08FBFBF",
        "F888808080", "FC8480808080", "F4908080", "F7BFBFBF", "FBBFBFBFBF", "EDA080", "EDAFBF", "EDB080", "EDBFBF", "EDA080EDB080", "FE",
            "FF", "FEFEFFFF", "CEBAE1BDB9CF83CEBCCEB5EDA080656469746564",
    ];

    public static IEnumerable<ConformanceCase> All =>
        ((Dialect[])[Dialect.Plain, Dialect.Chat]).SelectMany(dialect => (IEnumerable<ConformanceCase>)
        [.. Framing(dialect), .. Pings(dialect), .. ReservedBits(dialect), .. Opcodes(dialect), .. Fragments(dialect), .. Utf8(dialect),
            .. Closings(dialect), .. Limits(dialect), .. Masks(dialect), .. Lengths(dialect)]);

    static IEnumerable<ConformanceCase> Framing(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "framing");
        foreach (int length in (int[])[0, 1, 125, 126, 127, 128, 65_535, 65_536])
        {
            CaseBuilder text = New();
            (byte[] payload, string told) = text.Payload(length);
            yield return text.Send(ClientFrame.Of(0x81, payload)).Receives(told).IsFine($"a text of {length} bytes");
            yield return New().Say("before").Send(ClientFrame.Of(0x82, new byte[length])).Closes($"binary of {length} bytes", 1003);
        }
        yield return New().Say("one").Say("two").Say("three").IsFine("three texts");
    }

    static IEnumerable<ConformanceCase> Pings(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "ping and pong");
        byte[] longest = [.. Enumerable.Repeat((byte)0xFE, 125)];
        foreach ((string name, byte[] payload) in ((string, byte[])[])[("empty", []), ("of text", [.. "Hello, world!"u8]),
            ("binary", [0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF]), ("of 125 bytes", longest)])
        {
            yield return New().Send(ClientFrame.Of(0x89, payload)).Ponged(payload).IsFine($"a ping, {name}");
            yield return New().Send(ClientFrame.Of(0x8A, payload)).Say("after").IsFine($"a pong nobody asked for, {name}");
        }
        yield return New().Send(ClientFrame.Of(0x89, new byte[126])).Closes("a ping of 126 bytes", 1002);
        yield return New().Send(ClientFrame.Of(0x8A, new byte[126])).Closes("a pong of 126 bytes", 1002);
        yield return New().Send(ClientFrame.Of(0x8A, "unasked"u8)).Send(ClientFrame.Of(0x89, "asked"u8)).Ponged("asked"u8)
            .IsFine("a pong nobody asked for, then a ping");
        CaseBuilder ten = New();
        for (byte i = 0; i < 10; i++)
            ten.Send(ClientFrame.Of(0x89, [i])).Ponged([i]);
        yield return ten.IsFine("ten pings");
        yield return New().Say("one").Send(ClientFrame.Of(0x89, "p"u8)).Ponged("p"u8).Say("two").IsFine("a ping between texts");
    }

    static IEnumerable<ConformanceCase> ReservedBits(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "reserved bits");
        for (int bits = 1; bits < 8; bits++)
        {
            yield return New().Send(ClientFrame.Of(0x81 | bits << 4, New().Payload("x"))).Closes($"{bits} in a text", 1002);
            yield return New().Say("before").Send(ClientFrame.Of(0x81 | bits << 4, New().Payload("x")))
                .Closes($"{bits} in a text after another", 1002);
            yield return New().Send(ClientFrame.Of(0x01, "x"u8), ClientFrame.Of(0x80 | bits << 4, "x"u8))
                .Closes($"{bits} in a continuation", 1002);
            yield return New().Send(ClientFrame.Of(0x89 | bits << 4, "x"u8)).Closes($"{bits} in a ping", 1002);
            yield return New().Send(ClientFrame.Of(0x8A | bits << 4, "x"u8)).Closes($"{bits} in a pong", 1002);
            yield return New().Send(ClientFrame.Of(0x88 | bits << 4, [0x03, 0xE8])).Closes($"{bits} in a close", 1002);
        }
    }

    static IEnumerable<ConformanceCase> Opcodes(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "opcodes");
        foreach (int opcode in (int[])[3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
        {
            yield return New().Send(ClientFrame.Of(0x80 | opcode, [])).Closes($"reserved {opcode:x}, empty", 1002);
            yield return New().Say("before").Send(ClientFrame.Of(0x80 | opcode, "x"u8)).Send(ClientFrame.Of(0x89, "unheard"u8))
                .Closes($"reserved {opcode:x} after a text, and a ping", 1002);
            yield return New().Send(ClientFrame.Of(opcode, "x"u8)).Closes($"reserved {opcode:x}, not final", 1002);
        }
    }

    static IEnumerable<ConformanceCase> Fragments(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "fragmentation");
        foreach (int opcode in (int[])[8, 9, 10])
            yield return New().Send(ClientFrame.Of(opcode, []), ClientFrame.Of(0x80, []))
                .Closes($"control frame {opcode:x} in fragments", 1002);
        byte[] ping = ClientFrame.Of(0x89, "p"u8), pong = ClientFrame.Of(0x8A, "p"u8);
        foreach (int count in (int[])[2, 3, 10])
        {
            CaseBuilder plain = New(), pinged = New();
            (byte[][] first, byte[][] second) =
                (InFragments(plain.Payload("fragments"), count), InFragments(pinged.Payload("fragments"), count));
            yield return plain.Send(first).Receives("fragments").IsFine($"a text in {count}");
            foreach (byte[] fragment in second[..^1])
                pinged.Send(fragment, ping, pong).Ponged("p"u8);
            yield return pinged.Send(second[^1]).Receives("fragments").IsFine($"a text in {count}, and a ping and a pong between them");
        }
        CaseBuilder empty = New();
        yield return empty.Send(ClientFrame.Of(0x01, []), ClientFrame.Of(0x00, empty.Payload("x")), ClientFrame.Of(0x00, []),
            ClientFrame.Of(0x80, [])).Receives("x").IsFine("fragments without bytes around it");
        foreach (int first in (int[])[0x00, 0x80])
        {
            yield return New().Send(ClientFrame.Of(first, "x"u8))
                .Closes($"a continuation of nothing, {(first == 0 ? "not final" : "final")}", 1002);
            yield return New().Say("before").Send(ClientFrame.Of(first, []))
                .Closes($"a continuation of what has ended, {(first == 0 ? "not final" : "final")}", 1002);
        }
        yield return New().Send(ClientFrame.Of(0x01, "x"u8), ClientFrame.Of(0x81, "y"u8)).Closes("a text inside a text", 1002);
        yield return New().Send(ClientFrame.Of(0x01, "x"u8), ClientFrame.Of(0x01, "y"u8))
            .Closes("a fragment that begins another text", 1002);
        yield return New().Send(ClientFrame.Of(0x01, "x"u8), ClientFrame.Of(0x82, "y"u8)).Closes("binary inside a text", 1002);
        yield return New().Send(ClientFrame.Of(0x01, "x"u8)).IsFine("a close inside a text");
        yield return New().Send(ClientFrame.Of(0x02, "x"u8), ClientFrame.Of(0x80, "y"u8)).Closes("binary in fragments", 1003);
    }

    static IEnumerable<ConformanceCase> Utf8(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "UTF-8");
        foreach (string hex in s_valid)
        {
            byte[] text = Convert.FromHexString(hex);
            string told = Encoding.UTF8.GetString(text);
            CaseBuilder whole = New();
            yield return whole.Send(ClientFrame.Of(0x81, whole.Payload(text))).Receives(told).IsFine($"valid {hex}");
            CaseBuilder cut = New();
            foreach (int _ in Enumerable.Range(0, 1 + text.Length))
            {
                byte[] payload = cut.Payload(text);
                int at = payload.AsSpan().IndexOf(text) + _;
                cut.Send(ClientFrame.Of(0x01, payload.AsSpan(..at)), ClientFrame.Of(0x80, payload.AsSpan(at..))).Receives(told);
            }
            yield return cut.IsFine($"valid {hex}, cut at each byte");
            CaseBuilder bytes = New();
            yield return bytes.Send(InFragments(bytes.Payload(text), int.MaxValue)).Receives(told)
                .IsFine($"valid {hex}, a fragment each byte");
        }
        foreach (string hex in s_invalid)
        {
            byte[] text = Convert.FromHexString(hex);
            yield return New().Say("before").Send(ClientFrame.Of(0x81, New().Payload(text))).Closes($"invalid {hex}", 1007);
            for (int at = 0; at <= text.Length; at++)
                yield return New().Send(ClientFrame.Of(0x01, text.AsSpan(..at)), ClientFrame.Of(0x80, text.AsSpan(at..)))
                    .Closes($"invalid {hex}, cut at {at}", 1007);
            if (IsBroken(text))
                yield return New().Send(ClientFrame.Of(0x01, text)).Closes($"invalid {hex}, noticed before the message ends", 1007);
        }
    }

    // Whatever follows, it does not become UTF-8; what is only cut short may.
    static bool IsBroken(byte[] text) => text is not ([0xC3] or [0xE2, 0x82] or [0xF0, 0x9F, 0x98]);

    static IEnumerable<ConformanceCase> Closings(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "closing");
        yield return New().Send(ClientFrame.Of(0x88, [])).Closes("without a code", 1000);
        yield return New().Send(ClientFrame.Of(0x88, [0x03])).Closes("with half a code", 1002);
        yield return New().Send(ClientFrame.Of(0x88, new byte[126])).Closes("of 126 bytes", 1002);
        yield return New().Send(CaseBuilder.Close(1000, "bye"u8)).Closes("with a reason", 1000);
        yield return New().Send(CaseBuilder.Close(1000, Encoding.UTF8.GetBytes(new string('x', 123))))
            .Closes("with the longest reason", 1000);
        yield return New().Send(CaseBuilder.Close(1000, [0xC3, 0x28])).Closes("with a reason that is not UTF-8", 1007);
        foreach (int code in (int[])[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
            yield return New().Send(CaseBuilder.Close(code)).Closes($"with {code}", code);
        foreach (int code in (int[])[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
            yield return New().Send(CaseBuilder.Close(code)).Closes($"with {code}, which may not be sent", 1002);
        yield return New().Say("before").Send(CaseBuilder.Close(1001)).Closes("after a text, which comes back first", 1001);
        yield return New().Send(CaseBuilder.Close(1000), ClientFrame.Of(0x81, New().Payload("unheard")))
            .Closes("then a text, which is not heard", 1000);
        yield return New().Send(CaseBuilder.Close(1000), ClientFrame.Of(0x89, "unheard"u8))
            .Closes("then a ping, which is not answered", 1000);
        yield return New().Send(CaseBuilder.Close(1000), CaseBuilder.Close(1001)).Closes("twice: the first counts", 1000);
        yield return New().Send(CaseBuilder.Close(1000), [0xFF, 0xFF, 0xFF]).Closes("then nonsense", 1000);
        yield return New().Send(ClientFrame.Of(0x83, []), ClientFrame.Of(0x81, New().Payload("unheard")), CaseBuilder.Close(1000))
            .Closes("after a fault: one close frame", 1002);
    }

    static IEnumerable<ConformanceCase> Limits(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "limits");
        int limit = dialect == Dialect.Plain ? Limit : 8 * Limit; // JSON may take more bytes than the text in it
        CaseBuilder whole = New(), parts = New();
        yield return whole.Say(new string('x', Limit)).IsFine("the longest text");
        yield return parts.Send(InFragments(parts.Payload(new string('x', Limit)), 100)).Receives(new string('x', Limit))
            .IsFine("the longest text in a hundred fragments");
        yield return New().Say("before").Send(ClientFrame.Of(0x81, new byte[limit + 1])).Closes("a byte too many", 1009);
        yield return New().Send(InFragments(new byte[limit + 1], 10)).Closes("a byte too many, in fragments", 1009);
        foreach (ulong length in (ulong[])[(ulong)limit + 1, uint.MaxValue, long.MaxValue])
        {
            yield return New().Send(ClientFrame.Header(0x81, length)).Closes($"{length} bytes, announced", 1009);
            yield return New().Send(ClientFrame.Of(0x01, "x"u8), ClientFrame.Header(0x80, length))
                .Closes($"{length} bytes, announced by a continuation", 1009);
        }
        foreach (ulong length in (ulong[])[1UL << 63, ulong.MaxValue])
        {
            yield return New().Send(ClientFrame.Header(0x81, length)).Closes($"{length} bytes: the highest bit is set", 1002);
            yield return New().Send(ClientFrame.Of(0x01, "x"u8), ClientFrame.Header(0x80, length))
                .Closes($"{length} bytes by a continuation: the highest bit is set", 1002);
        }
        yield return New().Send(InFragments([], 20_000)).Closes("endless fragments without bytes", 1009);
    }

    static IEnumerable<ConformanceCase> Masks(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "masking");
        foreach (uint mask in (uint[])[0, 0xFFFFFFFF, 0x000000FF, 0x80808080])
        {
            CaseBuilder masked = New();
            yield return masked.Send(ClientFrame.Of(0x81, masked.Payload("masked €"), mask: mask)).Receives("masked €")
                .IsFine($"by {mask:x8}");
        }
        foreach ((string name, byte[] frame) in ((string, byte[])[])
            [("text", [0x81, 0x01, (byte)'x']), ("an empty text", [0x81, 0x00]), ("a fragment", [0x01, 0x01, (byte)'x']),
                ("a ping", [0x89, 0x00]), ("a pong", [0x8A, 0x00]), ("a close", [0x88, 0x02, 0x03, 0xE8])])
        {
            yield return New().Send(frame).Closes($"{name}, not masked", 1002);
            yield return New().Say("before").Send(frame).Closes($"{name} after a text, not masked", 1002);
        }
    }

    // Section 5.2 tells senders to use the fewest bytes. We read data frames that do not, as the BCL does; a control frame that
    // says 126 or 127 says that it is too long.
    static IEnumerable<ConformanceCase> Lengths(Dialect dialect)
    {
        CaseBuilder New() => new(dialect, "lengths longer than they need");
        foreach (int bits in (int[])[16, 64])
        {
            CaseBuilder whole = New(), second = New();
            yield return whole.Send(ClientFrame.Of(0x81, whole.Payload("x"), bits)).Receives("x").IsFine($"a text, in {bits} bits");
            byte[] payload = second.Payload("yz");
            yield return second.Send(ClientFrame.Of(0x01, payload.AsSpan(..1), bits), ClientFrame.Of(0x80, payload.AsSpan(1..), bits))
                .Receives("yz").IsFine($"fragments, in {bits} bits");
            yield return New().Send(ClientFrame.Of(0x89, "x"u8, bits)).Closes($"a ping, in {bits} bits", 1002);
            yield return New().Send(ClientFrame.Of(0x88, [0x03, 0xE8], bits)).Closes($"a close, in {bits} bits", 1002);
        }
    }

    // About so many; without bytes, exactly.
    static byte[][] InFragments(byte[] payload, int count)
    {
        byte[][] parts = payload.Length == 0
            ? [.. Enumerable.Repeat(payload, count)]
            : [.. payload.Chunk(Math.Max(1, payload.Length / count))];
        return [.. parts.Select((part, i) => ClientFrame.Of((i == 0 ? 0x01 : 0x00) | (i == parts.Length - 1 ? 0x80 : 0x00), part))];
    }
}
