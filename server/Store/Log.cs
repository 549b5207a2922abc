using System.Globalization;
using System.Text;

namespace ChatMinimal;

/// <summary>What the server tells its operator. The first four lines are the course's own, in French; the others are in English.</summary>
static partial class Log
{
    const int LongestQuote = 200; // characters of what a peer sent

    [LoggerMessage(1, LogLevel.Information, "Serveur WebSocket démarré sur {Address}")]
    public static partial void Started(this ILogger log, string address);

    [LoggerMessage(2, LogLevel.Information, "Client connecté. Total clients : {Clients}")]
    public static partial void Connected(this ILogger log, int clients);

    [LoggerMessage(3, LogLevel.Information, "Client déconnecté. Total clients : {Clients}")]
    public static partial void Disconnected(this ILogger log, int clients);

    [LoggerMessage(4, LogLevel.Debug, "Message reçu : {Text}", SkipEnabledCheck = true)]
    static partial void Received(this ILogger log, string text);

    [LoggerMessage(5, LogLevel.Information, "Page: {Address}")]
    public static partial void Page(this ILogger log, string address);

    [LoggerMessage(6, LogLevel.Information, "Refused ({Status}) {Address}, room '{Room}': {Reason}")]
    public static partial void Refused(this ILogger log, int status, string address, string room, string reason);

    [LoggerMessage(7, LogLevel.Warning, "Gave up ({Code}) on {Address}, room '{Room}': {Reason}")]
    public static partial void GaveUp(this ILogger log, int code, string address, string room, string reason);

    [LoggerMessage(9, LogLevel.Information, "Messages are stored in {Place}")]
    public static partial void Kept(this ILogger log, string place);

    [LoggerMessage(10, LogLevel.Error, "Messages cannot be stored, and are refused: {Reason}")]
    public static partial void StoreFailed(this ILogger log, string reason);

    [LoggerMessage(11, LogLevel.Warning, "Messages can be stored again")]
    public static partial void StoreRecovered(this ILogger log);

    [LoggerMessage(12, LogLevel.Warning, "{Count} more like this: {Kind}")]
    public static partial void More(this ILogger log, string count, string kind);

    [LoggerMessage(13, LogLevel.Error, "Unexpected, and the end of the connection of {Address}, room '{Room}': {Error}")]
    public static partial void Failed(this ILogger log, string address, string room, string error);

    [LoggerMessage(14, LogLevel.Warning,
        "{Address} sends X-Forwarded-For and is not a known proxy: its clients count as one address (Chat:Proxies)")]
    public static partial void Forwarded(this ILogger log, string address);

    [LoggerMessage(15, LogLevel.Information, "ChatMinimal {Version}, {Environment}")]
    public static partial void Version(this ILogger log, string version, string environment);

    [LoggerMessage(16, LogLevel.Information, "Page for other machines: {Address}")]
    public static partial void PageForOthers(this ILogger log, string address);

    [LoggerMessage(17, LogLevel.Information, "Only this machine can connect; to let others, start the server with --urls http://*:8765")]
    public static partial void LocalOnly(this ILogger log);

    [LoggerMessage(18, LogLevel.Information, "Not at their default: {Options}")]
    public static partial void NotDefault(this ILogger log, string options);

    [LoggerMessage(19, LogLevel.Information, "Stopping after {Uptime}, with {Clients} clients connected")]
    public static partial void Stopping(this ILogger log, int clients, string uptime);

    [LoggerMessage(21, LogLevel.Error, "A pump met something unexpected and goes on")]
    public static partial void PumpFailed(this ILogger log, Exception error);

    [LoggerMessage(26, LogLevel.Error, "The loop met something unexpected and goes on")]
    public static partial void LoopFailed(this ILogger log, Exception error);

    [LoggerMessage(22, LogLevel.Warning, "{Peer}: an answer was not read for {Seconds} s, the connection is aborted")]
    public static partial void AnswerNotRead(this ILogger log, System.Net.EndPoint? peer, int seconds);

    [LoggerMessage(23, LogLevel.Warning, "There are {Most} TCP connections already: {Peer} is refused")]
    public static partial void TooManyLinks(this ILogger log, int most, System.Net.EndPoint? peer);

    [LoggerMessage(24, LogLevel.Information, "Metrics are exported to {Collector}")]
    public static partial void Exported(this ILogger log, string collector);

    [LoggerMessage(25, LogLevel.Warning, "Metrics do not reach {Collector}")]
    public static partial void NotExported(this ILogger log, string collector);

    public static void Received(this ILogger log, ReadOnlySpan<byte> text)
    {
        if (log.IsEnabled(LogLevel.Debug))
            log.Received(OneLine(Encoding.UTF8.GetString(text), longest: int.MaxValue));
    }

    /// <summary>An exception, whose message may quote a peer.</summary>
    public static string OneLine(Exception error) => $"{error.GetType().Name}: {OneLine(error.Message)} {error.StackTrace}";

    /// <summary>What a peer sent, with everything escaped that could forge, turn or hide a line of the log.</summary>
    public static string OneLine(string text, int longest = LongestQuote)
    {
        var line = new StringBuilder(Math.Min(text.Length, longest));
        foreach (char c in text.AsSpan(0, Math.Min(text.Length, longest)))
            if (char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator)
                line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else
                line.Append(c);
        if (text.Length > longest)
            line.Append('…');
        return line.ToString();
    }
}
