using System.Net;

namespace ChatMinimal;

/// <summary><c>chatminimal health</c>: what a container or a supervisor asks where there is no curl.</summary>
static class HealthCommand
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5); // longer than the store may take to answer

    public static async Task<int> RunAsync(Settings settings)
    {
        Uri ready = AddressOf(settings.Configuration);
        using var handler = new SocketsHttpHandler { UseProxy = false };
        if (IPAddress.TryParse(ready.Host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address)
            || ready.Host == "localhost") // where the certificate is for the name outside
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null;
        using var http = new HttpClient(handler) { Timeout = s_patience };
        using var request = new HttpRequestMessage(HttpMethod.Get, ready);
        if (settings.Configuration["AllowedHosts"]?.Split(';')[0] is { } host and not ("" or "*"))
            request.Headers.Host = host.Replace("*.", "health.", StringComparison.Ordinal);
        try
        {
            using HttpResponseMessage answer = await http.SendAsync(request);
            string text = (await answer.Content.ReadAsStringAsync()).Trim();
            if (answer.IsSuccessStatusCode)
            {
                Console.Out.WriteLine(text);
                return 0;
            }
            throw new StartException($"{ready}: {(int)answer.StatusCode} {text}");
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
        {
            throw new StartException(error is HttpRequestException
                ? $"{ready}: {error.Message}"
                : $"{ready}: no answer in {s_patience.TotalSeconds} s");
        }
    }

    // Where the server of these settings listens, seen from this machine.
    static Uri AddressOf(IConfiguration configuration)
    {
        string address = Hosting.AddressesOf(configuration).First();
        var bound = BindingAddress.Parse(address);
        string host = bound.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "127.0.0.1" : bound.Host;
        return new UriBuilder(bound.Scheme, host, bound.Port, "/readyz").Uri;
    }
}
