using System.Net;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ChatMinimal.Client;

/// <summary>The handshake opens a WebSocket, or says in the server's words why not.</summary>
sealed class Handshake
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(15); // a ping, and as much again for the pong

    readonly Uri _server;
    readonly string[] _query;

    /// <param name="server">ws://, wss://, or the page's address: http://, https://.</param>
    /// <param name="room">Null: the server's default.</param>
    /// <param name="name">Null: anonymous.</param>
    public Handshake(Uri server, string? room, string? name)
    {
        var address = new UriBuilder(server) { Fragment = "" };
        address.Scheme = address.Scheme switch
        {
            "http" or "ws" => "ws",
            "https" or "wss" => "wss",
            _ => throw new ArgumentException(Accepted, nameof(server))
        };
        _server = address.Uri;
        _query = [server.Query.TrimStart('?'), Pair("room", room), Pair("name", name)];
    }

    public const string Accepted = "ws://HOST:PORT, wss://HOST:PORT, or the page's http://HOST:PORT, https://HOST:PORT";

    public static bool Accepts(Uri server) => server.Scheme is "ws" or "wss" or "http" or "https";

    /// <exception cref="WebSocketException">Nobody is there, or it is no such server.</exception>
    /// <exception cref="ChatRefusedException">The server refuses, and why.</exception>
    public async Task<ClientWebSocket> OpenAsync(string? subprotocol, string resume, CancellationToken cancel)
    {
        var socket = new ClientWebSocket();
        socket.Options.KeepAliveInterval = socket.Options.KeepAliveTimeout = s_keepAlive;
        if (subprotocol is not null)
            socket.Options.AddSubProtocol(subprotocol);
        var uri = new UriBuilder(_server) { Query = string.Join('&', [.. _query.Append(resume).Where(part => part != "")]) };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(s_patience);
        using var answer = new Answer();
        try
        {
            await socket.ConnectAsync(uri.Uri, new HttpMessageInvoker(answer, disposeHandler: false), limit.Token);
            answer.Keep();
            return socket;
        }
        catch (WebSocketException) when (answer.Refusal is { } refusal)
        {
            socket.Dispose();
            throw refusal;
        }
        catch (WebSocketException)
        {
            socket.Dispose();
            throw;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            socket.Dispose();
            throw new WebSocketException($"no answer in {s_patience.TotalSeconds} s");
        }
    }

    static string Pair(string key, string? value) => value is null ? "" : $"{key}={Uri.EscapeDataString(value)}";

    // What the server answered where it did not switch protocols: problem details (RFC 9457), which the BCL's WebSocket does not show.
    sealed class Answer() : DelegatingHandler(new SocketsHttpHandler())
    {
        const int Longest = 16 << 10; // bytes

        bool _isKept;

        public ChatRefusedException? Refusal { get; private set; }

        /// <summary>The socket lives on the handler's connection.</summary>
        public void Keep() => _isKept = true;

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel)
        {
            HttpResponseMessage response = await base.SendAsync(request, cancel);
            if (response.StatusCode >= HttpStatusCode.BadRequest)
                Refusal = new ChatRefusedException(await DetailAsync(response, cancel)
                    ?? $"{(int)response.StatusCode} {response.ReasonPhrase}", response.StatusCode);
            return response;
        }

        protected override void Dispose(bool disposing)
        {
            if (!_isKept)
                base.Dispose(disposing);
        }

        static async Task<string?> DetailAsync(HttpResponseMessage response, CancellationToken cancel)
        {
            if (response.Content.Headers.ContentType?.MediaType != "application/problem+json")
                return null;
            var body = new byte[Longest];
            int length = await (await response.Content.ReadAsStreamAsync(cancel))
                .ReadAtLeastAsync(body, Longest, throwOnEndOfStream: false, cancel);
            try
            {
                return JsonNode.Parse(body.AsSpan(0, length)) is JsonObject problem && problem["detail"] is JsonValue detail
                    && detail.TryGetValue(out string? text) ? text : null;
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }
}
