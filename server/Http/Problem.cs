using System.Globalization;

namespace ChatMinimal;

/// <summary>
/// A problem is why a request is refused, told as problem details (RFC 9457): a status, and what is wrong in plain words.
/// </summary>
/// <param name="RetryAfter">When it is worth trying again.</param>
sealed record Problem(int Status, string Detail, TimeSpan? RetryAfter = null)
{
    public const string WebSocketVersion = "13"; // RFC 6455's

    public Task WriteAsync(HttpContext http)
    {
        IHeaderDictionary headers = http.Response.Headers;
        switch (Status)
        {
            case StatusCodes.Status401Unauthorized:
                headers.WWWAuthenticate = "Bearer";
                break;
            case StatusCodes.Status415UnsupportedMediaType: // RFC 9110 section 15.5.16
                headers.AcceptEncoding = "identity";
                break;
            case StatusCodes.Status426UpgradeRequired: // RFC 9110 section 15.5.22, RFC 6455 section 4.4
                headers.Upgrade = "websocket";
                headers.SecWebSocketVersion = WebSocketVersion;
                break;
        }
        if (RetryAfter is { } after)
            headers.RetryAfter = Math.Max(1, Math.Ceiling(after.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        return TypedResults.Problem(Detail, statusCode: Status).ExecuteAsync(http);
    }
}
