using System.Net.Sockets;
using System.Security.Cryptography;

namespace ChatMinimal;

/// <summary>What the operator can mend of what ends the start. Everything else is a bug, and shows its stack trace.</summary>
static class StartFailure
{
    /// <summary>It in one line; null: it is a bug.</summary>
    public static string? Explain(Exception error)
    {
        if (error is StartException)
            return error.Message;
        if (error is InvalidDataException { InnerException: { } inner }) // appsettings.json
            return Line($"{error.Message} {inner.Message}");
        if (error is CryptographicException)
            return Line($"Kestrel: the certificate cannot be used: {error.Message}");
        if (error.Message.StartsWith("Unable to configure HTTPS endpoint", StringComparison.Ordinal))
            return "urls: https:// needs a certificate: --Kestrel:Certificates:Default:Path=FILE.pfx, or a .pem with --Kestrel:Certificates:Default:KeyPath";
        return error is InvalidOperationException or IOException or UnauthorizedAccessException or SocketException or FormatException
            or ArgumentException or NotSupportedException
            ? Line(error.Message)
            : null;
    }

    static string Line(string text) =>
        string.Join(' ', text.Split(['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}
