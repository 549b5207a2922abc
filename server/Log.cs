using System.Text;

namespace ChatMinimal;

/// <summary>What the server tells its operator. The first four lines are the course's own.</summary>
static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Serveur WebSocket démarré sur {Address}")]
    public static partial void Started(this ILogger log, string address);

    [LoggerMessage(2, LogLevel.Information, "Client connecté. Total clients : {Clients}")]
    public static partial void Connected(this ILogger log, int clients);

    [LoggerMessage(3, LogLevel.Information, "Client déconnecté. Total clients : {Clients}")]
    public static partial void Disconnected(this ILogger log, int clients);

    [LoggerMessage(4, LogLevel.Debug, "Message reçu : {Text}", SkipEnabledCheck = true)]
    static partial void Heard(this ILogger log, string text);

    [LoggerMessage(5, LogLevel.Information, "Page : {Address}")]
    public static partial void Page(this ILogger log, string address);

    [LoggerMessage(9, LogLevel.Information, "Messages conservés dans {Place}")]
    public static partial void Kept(this ILogger log, string place);

    [LoggerMessage(6, LogLevel.Information, "Refusé ({Status}) : {Reason}")]
    public static partial void Refused(this ILogger log, int status, string reason);

    [LoggerMessage(7, LogLevel.Warning, "Client abandonné ({Code}) : {Reason}")]
    public static partial void GaveUp(this ILogger log, int code, string reason);

    [LoggerMessage(10, LogLevel.Error, "Messages non conservés, et donc refusés : {Reason}")]
    public static partial void StoreFailed(this ILogger log, string reason);

    [LoggerMessage(11, LogLevel.Warning, "Messages conservés de nouveau")]
    public static partial void StoreRecovered(this ILogger log);

    [LoggerMessage(20, LogLevel.Error, "A connection in room {Room} failed and is closed with 1011")]
    public static partial void ConnectionFailed(this ILogger log, Exception error, string room);

    [LoggerMessage(21, LogLevel.Error, "The pump met something unexpected and goes on")]
    public static partial void PumpFailed(this ILogger log, Exception error);

    [LoggerMessage(22, LogLevel.Warning, "{Peer}: an answer was not read for {Seconds} s, the connection is aborted")]
    public static partial void AnswerNotRead(this ILogger log, System.Net.EndPoint? peer, int seconds);

    [LoggerMessage(23, LogLevel.Warning, "There are {Most} TCP connections already: {Peer} is refused")]
    public static partial void TooManyLinks(this ILogger log, int most, System.Net.EndPoint? peer);

    public static void Heard(this ILogger log, ReadOnlySpan<byte> text)
    {
        if (log.IsEnabled(LogLevel.Debug))
            log.Heard(OneLine(Encoding.UTF8.GetString(text)));
    }

    /// <summary>Control characters escaped, so that nobody forges a line of the log.</summary>
    public static string OneLine(string text)
    {
        var line = new StringBuilder(text.Length);
        foreach (char c in text)
            if (char.IsControl(c) || c is '\u2028' or '\u2029')
                line.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else
                line.Append(c);
        return line.ToString();
    }
}
