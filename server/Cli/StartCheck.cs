using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Console;

namespace ChatMinimal;

/// <summary>What ASP.NET would find out late, and tell in a stack trace: addresses, log levels, the console's format, OpenSSL.</summary>
static class StartCheck
{
    static readonly string[] s_formatters = [ConsoleFormatterNames.Simple, ConsoleFormatterNames.Json, ConsoleFormatterNames.Systemd];
    static readonly string[] s_openSsl = ["libssl.so.3", "libssl.so.1.1", "libssl.so.4", "libssl.so"]; // which .NET takes on Linux

    /// <exception cref="StartException">Something in the configuration cannot be used.</exception>
    public static void Check(IConfiguration configuration, string contentRoot)
    {
        foreach (string address in (configuration["urls"] ?? "")
            .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            CheckAddress(address);
        foreach (string option in (string[])["http_ports", "https_ports"])
            foreach (string port in (configuration[option] ?? "")
                .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                CheckPort(option, port);
        foreach (IConfigurationSection section in configuration.GetSection("Logging").GetChildren())
            CheckLevels(section.Key == "LogLevel" ? section : section.GetSection("LogLevel"));
        CheckConsole(configuration.GetSection("Logging:Console"));
        CheckFiles(configuration.GetSection("Kestrel"), contentRoot);
        Otlp.Check();
        CheckOpenSsl();
    }

    // The handshake of a WebSocket has a SHA-1 in it, .NET's is OpenSSL's, and where it is missing the first client ends the process.
    static void CheckOpenSsl()
    {
        if (OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable("CLR_OPENSSL_VERSION_OVERRIDE") is null
            && !s_openSsl.Any(library => NativeLibrary.TryLoad(library, out _)))
            throw new StartException("there is no OpenSSL on this machine, and WebSockets need it: apt-get install libssl3");
    }

    // Certificates and their keys; Kestrel would say which file it did not find, and not who asked for it.
    static void CheckFiles(IConfigurationSection section, string contentRoot)
    {
        if (section is { Key: "Path" or "KeyPath", Value: { } path } && Path.GetFullPath(path, contentRoot) is var full
            && !File.Exists(full))
            throw new StartException($"{section.Path}: there is no file '{full}'");
        foreach (IConfigurationSection part in section.GetChildren())
            CheckFiles(part, contentRoot);
    }

    static void CheckAddress(string address)
    {
        try
        {
            var bound = BindingAddress.Parse(address);
            if (bound.IsUnixPipe || bound.IsNamedPipe)
                return;
            if (!bound.Scheme.Equals("http", StringComparison.OrdinalIgnoreCase)
                && !bound.Scheme.Equals("https", StringComparison.OrdinalIgnoreCase))
                throw new StartException($"urls: '{address}' begins with {bound.Scheme}://, and may begin with http:// or https://");
            if (bound.PathBase != "")
                throw new StartException($"urls: '{address}' has a path, and may be no more than http://HOST:PORT");
            CheckPort("urls", bound.Port.ToString(CultureInfo.InvariantCulture), address);
        }
        catch (FormatException)
        {
            throw new StartException($"urls: '{address}' is not an address, such as http://localhost:8765, or http://*:8765 for other machines, too");
        }
    }

    static void CheckPort(string option, string port, string? address = null)
    {
        if (!ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw new StartException($"{option}: '{address ?? port}' has no port from 0 to 65535");
    }

    static void CheckLevels(IConfigurationSection levels)
    {
        foreach (IConfigurationSection level in levels.GetChildren())
            if (level.Value is { } name && !Enum.TryParse<LogLevel>(name, ignoreCase: true, out _))
                throw new StartException($"{level.Path}: '{name}' is not one of {string.Join(", ", Enum.GetNames<LogLevel>())}");
    }

    static void CheckConsole(IConfigurationSection console)
    {
        if (console["FormatterName"] is { } formatter && !s_formatters.Contains(formatter, StringComparer.OrdinalIgnoreCase))
            throw new StartException($"{console.Path}:FormatterName: '{formatter}' is not one of {string.Join(", ", s_formatters)}");
        if (console["QueueFullMode"] is { } mode && !Enum.TryParse<ConsoleLoggerQueueFullMode>(mode, ignoreCase: true, out _))
            throw new StartException($"{console.Path}:QueueFullMode: '{mode}' is not one of {string.Join(", ", Enum.GetNames<ConsoleLoggerQueueFullMode>())}");
        if (console["MaxQueueLength"] is { } length
            && (!int.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out int lines) || lines < 1))
            throw new StartException($"{console.Path}:MaxQueueLength: '{length}' is not a number from 1 on (lines)");
        if (console["FormatterOptions:TimestampFormat"] is { } format)
            CheckTimeFormat($"{console.Path}:FormatterOptions:TimestampFormat", format);
    }

    static void CheckTimeFormat(string option, string format)
    {
        try
        {
            _ = DateTimeOffset.UnixEpoch.ToString(format, CultureInfo.InvariantCulture);
        }
        catch (FormatException)
        {
            throw new StartException($"{option}: '{format}' is not a format of .NET for times, such as yyyy-MM-dd HH:mm:ss");
        }
    }
}
