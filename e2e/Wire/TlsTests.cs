using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>Under TLS a link is not the end of the stream that the browser sees; the talk must be the same.</summary>
public sealed class TlsTests
{
    [Test]
    public async Task Over_TLS_everything_is_as_without()
    {
        using var folder = new ChatFolder();
        string certificate = Path.Combine(Path.GetDirectoryName(folder.File)!, "certificate.pfx");
        string thumbprint;
        using (var key = ECDsa.Create(ECCurve.NamedCurves.nistP256))
        {
            var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
            using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            thumbprint = made.Thumbprint;
            await File.WriteAllBytesAsync(certificate, made.Export(X509ContentType.Pfx, "test"));
        }
        var server = ChatServer.Start(("Kestrel:Endpoints:Tls:Url", "https://127.0.0.1:0"),
            ("Kestrel:Endpoints:Tls:Certificate:Path", certificate), ("Kestrel:Endpoints:Tls:Certificate:Password", "test"));
        Assert.That(server.Http.Scheme, Is.EqualTo("https"));

        using ClientWebSocket first = await ConnectAsync(server, thumbprint), second = await ConnectAsync(server, thumbprint),
            third = await ConnectAsync(server, thumbprint);
        string[] texts = [.. Enumerable.Range(0, 200).Select(i => $"{i} {new string('x', i * 300)}")];
        foreach (string text in texts)
            await first.SendAsync(Encoding.UTF8.GetBytes(text).AsMemory(), WebSocketMessageType.Text, true, default);
        foreach (ClientWebSocket one in (ClientWebSocket[])[first, second])
            foreach (string text in texts)
                Assert.That(await ReceiveAsync(one), Is.EqualTo($"Message d'un client : {text}"));

        await second.SendAsync(new byte[] { 1 }.AsMemory(), WebSocketMessageType.Binary, true, default);
        Assert.That(await ReceiveAsync(second), Is.Null);
        Assert.That(((int)second.CloseStatus!, second.CloseStatusDescription), Is.EqualTo((1003, "text messages only")));
        third.Abort();

        ValueTask stopping = server.DisposeAsync();
        Assert.That(await ReceiveAsync(first), Is.Null);
        Assert.That(first.CloseStatus, Is.EqualTo(WebSocketCloseStatus.EndpointUnavailable));
        await first.CloseOutputAsync(WebSocketCloseStatus.EndpointUnavailable, null, default);
        await stopping;
    }

    static async Task<ClientWebSocket> ConnectAsync(ChatServer server, string thumbprint)
    {
        var socket = new ClientWebSocket();
        socket.Options.RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == thumbprint;
        await socket.ConnectAsync(new Uri($"wss://{server.Http.Authority}/"), default);
        return socket;
    }

    static async Task<string?> ReceiveAsync(ClientWebSocket socket)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        using var message = new MemoryStream();
        var bytes = new byte[16 * 1024];
        while (true)
        {
            WebSocketReceiveResult received = await socket.ReceiveAsync(bytes, limit.Token);
            if (received.MessageType == WebSocketMessageType.Close)
                return null;
            message.Write(bytes, 0, received.Count);
            if (received.EndOfMessage)
                return Encoding.UTF8.GetString(message.ToArray());
        }
    }
}
