using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace ChatMinimal;

/// <summary>
/// An origin is what a browser tells of the page that makes a request (RFC 6454): scheme, name and port, here in one normal
/// form, so that two that mean the same are equal. A page opened from disk has the opaque origin <c>null</c>.
/// </summary>
readonly record struct Origin(string Scheme, string Name, int Port)
{
    const int NoPort = -1; // of a scheme without a default port, such as chrome-extension

    static readonly IdnMapping s_idn = new();
    static readonly SearchValues<char> s_schemeCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789+-.");
    // Windows networks have the underscore
    static readonly SearchValues<char> s_nameCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-_.");

    /// <summary>Of a page opened from disk, and of sandboxed frames.</summary>
    public static readonly Origin Opaque = new("null", "", NoPort);

    /// <summary>Whether the page came from this machine, whatever its port: a student's own web server.</summary>
    public bool IsLoopback => IsWeb && IsLoopbackName(Name);

    bool IsWeb => Scheme is "http" or "https";

    public static bool TryParse(string text, out Origin origin)
    {
        origin = Opaque;
        if (text == "null")
            return true;
        int authority = text.IndexOf("://", StringComparison.Ordinal);
        if (authority < 1)
            return false;
        string scheme = text[..authority].ToLowerInvariant(), name = text[(authority + 3)..];
        int port = DefaultPort(scheme);
        int colon = name.LastIndexOf(':');
        if (colon > name.LastIndexOf(']')) // an IPv6 address has colons of its own
        {
            if (!ushort.TryParse(name.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort given))
                return false;
            (name, port) = (name[..colon], given);
        }
        name = Normalise(name);
        origin = new Origin(scheme, name, port);
        return name != "" && !scheme.AsSpan().ContainsAnyExcept(s_schemeCharacters);
    }

    /// <summary>
    /// Whether the page came from the host that this request asks for: the same name, and the same effective port. A port that is
    /// not given is the default of the page's scheme; ours may differ, behind a proxy that ends TLS.
    /// </summary>
    public bool IsOf(HostString host) =>
        IsWeb && host.HasValue && Normalise(host.Host) == Name && (host.Port ?? DefaultPort(Scheme)) == Port;

    public override string ToString() =>
        this == Opaque ? "null" : Port == DefaultPort(Scheme) ? $"{Scheme}://{Name}" : $"{Scheme}://{Name}:{Port}";

    /// <summary>A host's name as two are compared: lower case, in ASCII, without the dot of the root. "": it is none.</summary>
    public static string Normalise(string name)
    {
        if (name is ['[', .. var literal, ']'])
            return IPAddress.TryParse(literal, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetworkV6
                ? $"[{address}]"
                : "";
        try
        {
            string ascii = s_idn.GetAscii((name is [.. var absolute, '.'] ? absolute : name).ToLowerInvariant());
            return ascii.AsSpan().ContainsAnyExcept(s_nameCharacters) ? "" : ascii;
        }
        catch (ArgumentException) // empty labels, labels of over 63 characters, what IDNA forbids
        {
            return "";
        }
    }

    public static bool IsLoopbackName(string name) =>
        name == "localhost" || name.EndsWith(".localhost", StringComparison.Ordinal)
            || (IsAddress(name, out IPAddress? address) && IPAddress.IsLoopback(address));

    public static bool IsAddress(string name, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out IPAddress? address) =>
        IPAddress.TryParse(name.AsSpan().Trim("[]"), out address);

    static int DefaultPort(string scheme) => scheme switch { "http" => 80, "https" => 443, _ => NoPort };
}
