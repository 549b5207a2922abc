using System.Net;
using System.Text;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>One request of OTLP: the names of its metrics, and the attributes of the resource that they are about.</summary>
/// <param name="Who">A header of that name.</param>
sealed record Export(string Path, string Who, string[] Metrics, Dictionary<string, string> Resource);

/// <summary>What takes metrics by OpenTelemetry's protocol, over HTTP/1.1 or gRPC.</summary>
sealed class Collector : IAsyncDisposable
{
    readonly WebApplication _app;
    readonly Channel<Export> _exports = Channel.CreateUnbounded<Export>();

    Collector(string protocol)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint =>
            endpoint.Protocols = protocol == "grpc" ? HttpProtocols.Http2 : HttpProtocols.Http1));
        _app = builder.Build();
        _app.Run(protocol == "grpc" ? TakeCallAsync : TakePostAsync);
    }

    public static async Task<Collector> StartAsync(string protocol)
    {
        var collector = new Collector(protocol);
        await collector._app.StartAsync();
        return collector;
    }

    public string Address => _app.Urls.First();

    public HttpStatusCode Answer { get; set; } = HttpStatusCode.OK;

    /// <summary>How many have come that nobody has read.</summary>
    public int Exports => _exports.Reader.Count;

    public async Task<Export> NextAsync() => await _exports.Reader.ReadAsync(TestContext.CurrentContext.CancellationToken);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    async Task TakePostAsync(HttpContext http)
    {
        await TakeAsync(http, prefix: 0);
        http.Response.StatusCode = (int)Answer;
        http.Response.ContentType = "application/x-protobuf";
    }

    async Task TakeCallAsync(HttpContext http)
    {
        await TakeAsync(http, prefix: 5); // whether it is compressed, and the length
        http.Response.ContentType = "application/grpc";
        await http.Response.Body.WriteAsync(new byte[5]); // an empty answer
        http.Response.AppendTrailer("grpc-status", "0");
    }

    async Task TakeAsync(HttpContext http, int prefix)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        ReadOnlyMemory<byte> request = body.ToArray().AsMemory(prefix);
        // ExportMetricsServiceRequest: resource_metrics = 1; there scope_metrics = 2; there metrics = 2, each with name = 1.
        string[] metrics = [.. Fields(request, 1).SelectMany(part => Fields(part, 2)).SelectMany(part => Fields(part, 2))
            .Select(metric => Text(metric, 1))];
        // Beside them resource = 1; there attributes = 1, each with key = 1, and value = 2, which has string_value = 1.
        var resource = Fields(request, 1).SelectMany(part => Fields(part, 1)).SelectMany(part => Fields(part, 1))
            .ToDictionary(attribute => Text(attribute, 1), attribute => Text(Fields(attribute, 2).First(), 1));
        _exports.Writer.TryWrite(new Export(http.Request.Path, http.Request.Headers["who"].ToString(), metrics, resource));
    }

    static string Text(ReadOnlyMemory<byte> message, int number) => Encoding.UTF8.GetString(Fields(message, number).Single().Span);

    // The parts of a message of protobuf that have this number and a length of their own.
    static IEnumerable<ReadOnlyMemory<byte>> Fields(ReadOnlyMemory<byte> message, int number)
    {
        for (int at = 0; at < message.Length;)
        {
            ulong tag = ReadNumber(message.Span, ref at);
            switch (tag & 7)
            {
                case 0:
                    ReadNumber(message.Span, ref at);
                    break;
                case 1:
                    at += 8;
                    break;
                case 2:
                    int length = (int)ReadNumber(message.Span, ref at);
                    if (tag >> 3 == (ulong)number)
                        yield return message.Slice(at, length);
                    at += length;
                    break;
                case 5:
                    at += 4;
                    break;
                default:
                    throw new InvalidDataException($"wire type {tag & 7} at {at}");
            }
        }
    }

    static ulong ReadNumber(ReadOnlySpan<byte> message, ref int at)
    {
        ulong number = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = message[at++];
            number |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return number;
        }
    }
}
