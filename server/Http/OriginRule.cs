using System.Net;
using Microsoft.Extensions.Primitives;

namespace ChatMinimal;

/// <summary>
/// The origin rule decides which pages may use this server. A browser lets any page of any site open a WebSocket to us, with the
/// user's own network position, and tells only where the page came from (RFC 6455 section 10.2). Other programs can claim what
/// they like, and are not asked.
/// </summary>
sealed class OriginRule
{
    const string Any = "any"; // not "*", which one writes without thinking

    readonly HashSet<Origin> _allowed = [];
    readonly bool _isAnyAllowed, _isDevelopment, _areHostsListed;
    readonly string _list;

    public OriginRule(ChatOptions options, IHostEnvironment environment, IConfiguration configuration)
    {
        string[] entries = ChatOptions.Split(options.AllowedOrigins);
        foreach (string entry in entries)
            if (TryParseEntry(entry, out Origin origin))
                _allowed.Add(origin);
        _list = string.Join(',', entries);
        _isAnyAllowed = entries.Contains(Any);
        _isDevelopment = environment.IsDevelopment();
        _areHostsListed = configuration["AllowedHosts"] is not (null or "" or "*"); // then ASP.NET's host filter decides
    }

    public static bool IsEntry(string entry) => entry == Any || TryParseEntry(entry, out _);

    // A closing slash is what one copies from an address bar.
    static bool TryParseEntry(string entry, out Origin origin) => Origin.TryParse(entry is [.. var bare, '/'] ? bare : entry, out origin);

    /// <summary>Why this request is refused, with what to do about it; null: it comes from a page that may, or from no page.</summary>
    public Problem? Check(HttpContext http)
    {
        StringValues given = http.Request.Headers.Origin;
        IHeaderDictionary headers = http.Response.Headers;
        headers.Vary = "Origin";
        if (given.Count == 0)
            return null;
        bool isOrigin = Origin.TryParse(given.ToString(), out Origin page);
        if (isOrigin)
        {
            // Those that may read the answer; the others may read why not.
            headers.AccessControlAllowOrigin = given.ToString();
            headers.AccessControlExposeHeaders = "Retry-After";
        }
        if (!isOrigin)
            return new(StatusCodes.Status403Forbidden, "the Origin header must be one origin, such as https://chat.example");
        if (Allows(page, http))
            return null;
        string pages = page == Origin.Opaque ? "pages opened from disk" : $"pages of {page}";
        string option = _list == "" ? $"{page}" : $"{_list},{page}";
        return new(StatusCodes.Status403Forbidden,
            $"{pages} may not connect here; to let them, start the server with --Chat:AllowedOrigins={option}");
    }

    bool Allows(Origin page, HttpContext http)
    {
        if (_isAnyAllowed || _allowed.Contains(page) || page.IsOf(http.Request.Host))
            return true;
        // The course's snippet: opened from disk or from a web server of the student's own, on the machine of whoever develops.
        return _isDevelopment && (page == Origin.Opaque || page.IsLoopback) && http.Connection.RemoteIpAddress is { } peer
            && IPAddress.IsLoopback(peer);
    }

    /// <summary>
    /// Whether the request asks for a name that is ours. DNS rebinding: a site lets its own name point to 127.0.0.1, so that to
    /// the browser its pages and this server are one origin. In Production, behind whatever proxy, <c>AllowedHosts</c> lists the names that
    /// are ours.
    /// </summary>
    public Problem? CheckHost(HttpContext http)
    {
        if (!_isDevelopment || _areHostsListed || http.Connection.LocalIpAddress is not { } local || !IPAddress.IsLoopback(local)
            || !http.Request.Host.HasValue)
            return null;
        string name = Origin.Normalise(http.Request.Host.Host);
        if (Origin.IsLoopbackName(name) || Origin.IsAddress(name, out _) || s_machine.Contains(name))
            return null;
        return new(StatusCodes.Status403Forbidden,
            $"in Development this server answers to localhost, not to {(name == "" ? "that name" : name)}; "
            + $"to let it, start the server with --AllowedHosts={(name == "" ? "NAME" : name)}, or in Production");
    }

    static readonly HashSet<string> s_machine = [Origin.Normalise(Environment.MachineName), Origin.Normalise(Dns.GetHostName())];
}
