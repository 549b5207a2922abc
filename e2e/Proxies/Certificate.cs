using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ChatMinimal.E2E.Proxies;

/// <summary>A certificate of chat.example that nobody signed but itself, and the files that proxies read it from.</summary>
sealed class Certificate
{
    Certificate(string folder, string thumbprint) => (Folder, Thumbprint) = (folder, thumbprint);

    public string Folder { get; }

    public string Thumbprint { get; }

    public static async Task<Certificate> MakeAsync(string folder)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=chat.example", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("chat.example");
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        string certificate = made.ExportCertificatePem(), secret = key.ExportPkcs8PrivateKeyPem();
        await File.WriteAllTextAsync(Path.Combine(folder, "chat.crt"), certificate);
        await File.WriteAllTextAsync(Path.Combine(folder, "chat.key"), secret);
        await File.WriteAllTextAsync(Path.Combine(folder, "chat.pem"), $"{certificate}\n{secret}\n");
        return new Certificate(folder, made.Thumbprint);
    }
}
