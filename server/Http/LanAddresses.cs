using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace ChatMinimal;

/// <summary>Where other machines of this network reach the server: the page invites with it where "localhost" would not do.</summary>
static class LanAddresses
{
    /// <summary>
    /// <c>GET /lan</c>: an address a line, those with a way out first; none when the server listens on this machine alone. Told to this
    /// machine only.
    /// </summary>
    public static Task ListAsync(HttpContext http, IServer server)
    {
        bool isFromHere = http.Connection.RemoteIpAddress is { } peer && IPAddress.IsLoopback(peer);
        IEnumerable<string> addresses = isFromHere ? server.Features.Get<IServerAddressesFeature>()!.Addresses.SelectMany(Reachable) : [];
        http.Response.ContentType = "text/plain";
        http.Response.Headers.CacheControl = "no-store";
        return http.Response.WriteAsync(string.Join('\n', addresses), http.RequestAborted);
    }

    /// <summary>Whether this address is reached from this machine only.</summary>
    public static bool IsLoopback(string address)
    {
        var bound = BindingAddress.Parse(address);
        return bound.IsUnixPipe || bound.IsNamedPipe || bound.Host == "localhost"
            || IPAddress.TryParse(bound.Host, out IPAddress? one) && IPAddress.IsLoopback(one);
    }

    /// <summary>Where other machines reach what listens on this address.</summary>
    public static IEnumerable<string> Reachable(string address)
    {
        var bound = BindingAddress.Parse(address);
        if (bound.IsUnixPipe || bound.IsNamedPipe)
            return [];
        if (bound.Host is "*" or "+" or "0.0.0.0" or "[::]")
            return OwnAddresses().Select(own => $"{bound.Scheme}://{own}:{bound.Port}");
        return IPAddress.TryParse(bound.Host, out IPAddress? one) && !IPAddress.IsLoopback(one) ? [address] : [];
    }

    static IEnumerable<IPAddress> OwnAddresses() => NetworkInterface.GetAllNetworkInterfaces()
        .Where(link => link is { OperationalStatus: OperationalStatus.Up, NetworkInterfaceType: not NetworkInterfaceType.Loopback })
        .Select(link => link.GetIPProperties())
        .OrderByDescending(link => link.GatewayAddresses.Count)
        .SelectMany(link => link.UnicastAddresses)
        .Select(own => own.Address)
        .Where(own => own.AddressFamily == AddressFamily.InterNetwork);
}
