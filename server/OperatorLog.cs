using System.Globalization;
using System.Net;

namespace ChatMinimal;

/// <summary>
/// What peers can cause as often as they like, told to the operator with a rate limit for each kind of line, so that nobody
/// fills a disk: what is more than that is counted, and the count is told a second later.
/// </summary>
sealed class OperatorLog(ILogger<OperatorLog> log, TimeProvider clock)
{
    // Lines a second in the long run, and at once: a class that comes and goes is told one by one, a flood is not.
    readonly Limit _visits = new(log, clock, "client connected or disconnected", perSecond: 20, burst: 2000);
    readonly Limit _refusals = new(log, clock, "client refused", perSecond: 2, burst: 50);
    readonly Limit _gaveUp = new(log, clock, "client given up", perSecond: 2, burst: 50);
    readonly Limit _failures = new(log, clock, "connection failed", perSecond: 2, burst: 50);
    readonly Limit _forwarded = new(log, clock, "X-Forwarded-For ignored", perSecond: 1 / 60.0, burst: 1);

    public void Connected(int clients)
    {
        if (_visits.TryPass())
            log.Connected(clients);
    }

    public void Disconnected(int clients)
    {
        if (_visits.TryPass())
            log.Disconnected(clients);
    }

    public void Received(ReadOnlySpan<byte> text) => log.Received(text);

    public void Refused(HttpContext http, Problem problem)
    {
        Metrics.Refused(problem.Status.ToString(CultureInfo.InvariantCulture));
        if (_refusals.TryPass())
            log.Refused(problem.Status, Name(http.Connection.RemoteIpAddress), Log.OneLine(http.Request.Query["room"].ToString()),
                problem.Detail);
    }

    /// <summary>The server closed the connection of a slow client, or of one that stayed silent.</summary>
    public void GaveUp(int code, IPAddress? address, string room, string reason)
    {
        Metrics.GaveUp(code.ToString(CultureInfo.InvariantCulture));
        if (_gaveUp.TryPass())
            log.GaveUp(code, Name(address), room, Log.OneLine(reason));
    }

    /// <summary>The server aborted a connection whose answer was not read.</summary>
    public void AnswerNotRead(EndPoint? peer, int seconds)
    {
        Metrics.GaveUp("http");
        if (_gaveUp.TryPass())
            log.AnswerNotRead(peer, seconds);
    }

    /// <summary>The server has no place for another TCP connection.</summary>
    public void TooManyLinks(int most, EndPoint? peer)
    {
        Metrics.Refused("tcp");
        if (_refusals.TryPass())
            log.TooManyLinks(most, peer);
    }

    /// <summary>A bug or a broken file, which cost this connection and nothing else.</summary>
    public void Failed(Exception error, IPAddress? address, string room)
    {
        Metrics.Failed();
        if (_failures.TryPass())
            log.Failed(Name(address), room, Log.OneLine(error));
    }

    /// <summary>A peer that is no known proxy claims to forward for somebody else.</summary>
    public void Forwarded(IPAddress? address)
    {
        if (_forwarded.TryPass())
            log.Forwarded(Name(address));
    }

    static string Name(IPAddress? address) =>
        address is null ? "a unix socket" : (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString();

    sealed class Limit(ILogger log, TimeProvider clock, string kind, double perSecond, int burst)
    {
        static readonly TimeSpan s_tellAfter = TimeSpan.FromSeconds(1);

        readonly Lock _lock = new();
        TokenBucket _lines;
        int _more;
        ITimer? _timer;

        public bool TryPass()
        {
            lock (_lock)
            {
                if (_lines.TryTake(new(perSecond, burst), clock, out _))
                    return true;
                if (_more++ == 0)
                    _timer = clock.CreateTimer(_ => TellMore(), null, s_tellAfter, Timeout.InfiniteTimeSpan);
                return false;
            }
        }

        void TellMore()
        {
            int more;
            lock (_lock)
            {
                (more, _more) = (_more, 0);
                _timer?.Dispose();
            }
            log.More(more.ToString(CultureInfo.InvariantCulture), kind);
        }
    }
}
