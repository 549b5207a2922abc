using System.Net;
using Microsoft.AspNetCore.HttpOverrides;

namespace ChatMinimal;

/// <summary>
/// For whom a proxy asks: its X-Forwarded-For is believed when the proxy is on this machine or listed in <c>Chat:Proxies</c>, and
/// so on from proxy to proxy. Whoever else sends it could claim any address.
/// </summary>
static class ForwardedFor
{
    public static bool IsEntry(string entry) => IPAddress.TryParse(entry, out _) || System.Net.IPNetwork.TryParse(entry, out _);

    public static void Configure(ForwardedHeadersOptions forwarded, ChatOptions options)
    {
        forwarded.ForwardedHeaders = ForwardedHeaders.XForwardedFor;
        forwarded.ForwardLimit = null; // on to the first that is no known proxy
        foreach (string entry in ChatOptions.Split(options.Proxies)) // beside loopback, which is the default
            if (IPAddress.TryParse(entry, out IPAddress? address))
                forwarded.KnownProxies.Add(address);
            else
                forwarded.KnownIPNetworks.Add(System.Net.IPNetwork.Parse(entry));
    }

    /// <summary>Tells the operator of a proxy that was not believed.</summary>
    public static void UseForwardedFor(this WebApplication app)
    {
        app.UseForwardedHeaders();
        app.Use((http, next) =>
        {
            IHeaderDictionary headers = http.Request.Headers;
            if (headers.ContainsKey(ForwardedHeadersDefaults.XForwardedForHeaderName)
                && !headers.ContainsKey(ForwardedHeadersDefaults.XOriginalForHeaderName))
                http.RequestServices.GetRequiredService<OperatorLog>().Forwarded(http.Connection.RemoteIpAddress);
            return next(http);
        });
    }
}
