using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;

namespace ChatMinimal;

/// <summary>
/// Names and values as a query or a form writes them: <c>room=cours&amp;name=Ana+B</c> (WHATWG URL Standard, section 5.1). What is
/// there and cannot be used is told, where ASP.NET's own reader would put U+FFFD for what is not UTF-8, and commas between two values.
/// </summary>
readonly ref struct UrlEncoded(ReadOnlySpan<byte> pairs)
{
    readonly ReadOnlySpan<byte> _pairs = pairs;

    public static UrlEncoded Query(HttpRequest request) =>
        new(Encoding.UTF8.GetBytes(request.QueryString.Value is ['?', .. var query] ? query : ""));

    /// <summary>The value of this name; null: it is not there, or unusable, and then <paramref name="why"/> tells why.</summary>
    public string? Get(string name, ref string? why) => GetBytes(name, ref why) is { } utf8 ? Encoding.UTF8.GetString(utf8) : null;

    public byte[]? GetBytes(string name, ref string? why)
    {
        byte[]? value = null;
        foreach (Range range in _pairs.Split((byte)'&'))
        {
            ReadOnlySpan<byte> pair = _pairs[range];
            int equals = pair.IndexOf((byte)'=');
            if (!IsName(equals < 0 ? pair : pair[..equals], name))
                continue;
            byte[] decoded = Decode(equals < 0 ? [] : pair[(equals + 1)..]);
            if (!Utf8.IsValid(decoded))
                why ??= $"{name}: not UTF-8";
            if (value?.AsSpan().SequenceEqual(decoded) == false)
                why ??= $"{name}: given twice, with different values";
            value = decoded;
        }
        return why is null ? value : null;
    }

    static bool IsName(ReadOnlySpan<byte> encoded, string name) =>
        encoded.Length >= name.Length && encoded.Length <= 3 * name.Length && Ascii.EqualsIgnoreCase(Decode(encoded), name);

    static byte[] Decode(ReadOnlySpan<byte> encoded)
    {
        var decoded = new byte[encoded.Length];
        int length = 0;
        for (int i = 0; i < encoded.Length; i++)
        {
            byte value = encoded[i] == '+' ? (byte)' ' : encoded[i];
            if (value == '%' && i + 2 < encoded.Length
                && Utf8Parser.TryParse(encoded.Slice(i + 1, 2), out byte escaped, out int digits, 'X') && digits == 2)
                (value, i) = (escaped, i + 2);
            decoded[length++] = value;
        }
        return decoded.AsSpan(0, length).ToArray();
    }
}
