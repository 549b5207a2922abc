using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class StaticFileTests
{
    [TestCase("/", "text/html"), TestCase("/index.html", "text/html"), TestCase("/minimal.html", "text/html"),
        TestCase("/minimal.js", "text/javascript")]
    [TestCase("/chat.js", "text/javascript"), TestCase("/chat.css", "text/css"), TestCase("/favicon.svg", "image/svg+xml")]
    [TestCase("/service-worker.js", "text/javascript"), TestCase("/manifest.webmanifest", "application/manifest+json")]
    public async Task The_page_is_served_with_its_types_and_headers(string path, string type)
    {
        foreach (string environment in (string[])["Development", "Production"])
        {
            using var server = ChatServer.StartIn(environment);
            using var http = new HttpClient { BaseAddress = server.Http };
            using HttpResponseMessage answer = await http.GetAsync(path);
            Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.OK));
            Assert.That(answer.Content.Headers.ContentType?.MediaType, Is.EqualTo(type));
            byte[] served = await answer.Content.ReadAsByteArrayAsync();
            Assert.That(served, Is.EqualTo(await File.ReadAllBytesAsync(Path.Combine(BuiltProcess.PathOf("Root"), "web",
                path == "/" ? "index.html" : path[1..]))));
            Assert.That(answer.Headers.GetValues("Content-Security-Policy").Single(), Is.EqualTo(
                "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; manifest-src 'self'; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types page"));
            Assert.That(answer.Headers.GetValues("X-Content-Type-Options").Single(), Is.EqualTo("nosniff"));
            Assert.That(answer.Headers.GetValues("Referrer-Policy").Single(), Is.EqualTo("no-referrer"));

            using var again = new HttpRequestMessage(HttpMethod.Get, path);
            again.Headers.IfNoneMatch.Add(answer.Headers.ETag!);
            Assert.That((await http.SendAsync(again)).StatusCode, Is.EqualTo(HttpStatusCode.NotModified));

            using var compressed = new HttpRequestMessage(HttpMethod.Get, path);
            compressed.Headers.AcceptEncoding.ParseAdd("gzip");
            using HttpResponseMessage small = await http.SendAsync(compressed);
            Assert.That(small.Content.Headers.ContentEncoding, Is.EqualTo(new[] { "gzip" }));
            // Not smaller here: from a build, which may be edited while it runs, the SDK only wraps; publish compresses.
            using var unzipped = new GZipStream(await small.Content.ReadAsStreamAsync(), CompressionMode.Decompress);
            using var copy = new MemoryStream();
            await unzipped.CopyToAsync(copy);
            Assert.That(copy.ToArray(), Is.EqualTo(served));
        }
    }

    [Test]
    public void What_travels_of_the_page_is_under_25_KB_what_it_loads_when_it_is_opened_under_6_and_the_minimal_one_has_under_60_lines()
    {
        string web = Path.Combine(BuiltProcess.PathOf("Root"), "web");
        string index = File.ReadAllText(Path.Combine(web, "index.html"));
        string[] files = ["index.html", .. Regex.Matches(index, "(?:src|href)=\"([^\"]+)\"").Select(match => match.Groups[1].Value)];
        Assert.That(files, Does.Contain("chat.js").And.Contain("chat.css").And.Contain("favicon.svg"));
        Assert.That(files.Sum(Travels), Is.LessThan(25_000), "bytes, as Brotli; comments are free: the page is there to be read");
        string[] later = ["qr-code.js", "invitation.js", "search.js", "search.css", "service-worker.js"];
        Assert.That(files.Intersect(later), Is.Empty);
        Assert.That(later.Sum(Travels), Is.LessThan(6_000), "bytes");
        Assert.That(Directory.EnumerateFiles(web, "minimal.*").Sum(file => File.ReadLines(file).Count()), Is.LessThan(60));

        long Travels(string file) => CompressedLength(WithoutComments(File.ReadAllText(Path.Combine(web, file))));
    }

    static string WithoutComments(string text) =>
        Regex.Replace(text, @"^\s*//.*\n|^\s*/\*[\s\S]*?\*/ *\n| // [^""'`\n]*$", "", RegexOptions.Multiline);

    // As publish compresses what it serves.
    static long CompressedLength(string content)
    {
        using var compressed = new MemoryStream();
        using (var brotli = new BrotliStream(compressed, CompressionLevel.SmallestSize, leaveOpen: true))
            brotli.Write(Encoding.UTF8.GetBytes(content));
        return compressed.Length;
    }
}
