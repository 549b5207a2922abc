using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>openapi.json and asyncapi.json say what the server does, and nothing that it does not.</summary>
public sealed class ApiDocumentTests
{
    static readonly JsonNode s_http = Read("openapi.json"), s_sockets = Read("asyncapi.json");

    [Test]
    public void Every_route_and_method_of_Program_is_in_openapi_and_no_other()
    {
        string program = File.ReadAllText(Path.Combine(BuiltProcess.PathOf("Root"), "server", "Program.cs"));
        IEnumerable<string> routes = Regex.Matches(program, @"app\.Map(?<one>Get)?\w*\(""(?<route>/[^""]*)""(?:, \[(?<methods>[^\]]*)\])?")
            .SelectMany(match => (match.Groups["methods"].Success ? match.Groups["methods"].Value.Split(", ") : ["\"GET\""])
                .Select(method => $"{method.Trim('"')} {match.Groups["route"].Value}"))
            .Where(route => !route.Contains(" /lab/", StringComparison.Ordinal)); // Development's
        Assert.That(s_http["paths"]!.AsObject()
            .SelectMany(path => path.Value!.AsObject().Select(method => $"{method.Key.ToUpperInvariant()} {path.Key}")),
                Is.EquivalentTo(routes));
    }

    [Test]
    public async Task What_the_server_answers_is_what_openapi_says()
    {
        using var server = ChatServer.Start(("InviteKey", "hush"), ("MaxMessageBytes", 100));
        using var http = new HttpClient { BaseAddress = server.Http };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "hush");
        await AnswersAsync(http, HttpMethod.Post, "/messages", "?name=Ana", new StringContent("Bonjour"), HttpStatusCode.Created);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "", Json("""{"text":"Bonjour","key":"k"}"""), HttpStatusCode.Created);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "", Json("""{"text":"Bonjour","key":"k"}"""), HttpStatusCode.OK);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "", Json("""{"text":"autre","key":"k"}"""),
            HttpStatusCode.UnprocessableEntity);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "", new FormUrlEncodedContent([new("text", "un formulaire")]),
            HttpStatusCode.Created);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "",
            new MultipartFormDataContent { { new StringContent("des parties"), "text" } }, HttpStatusCode.Created);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "",
            new ByteArrayContent([1]) { Headers = { ContentType = new MediaTypeHeaderValue("image/png") } },
                HttpStatusCode.UnsupportedMediaType);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "", new StringContent(new string('x', 101)),
            HttpStatusCode.RequestEntityTooLarge);
        await AnswersAsync(http, HttpMethod.Post, "/messages", "?room=a%20b", new StringContent("x"), HttpStatusCode.BadRequest);
        foreach (string query in (string[])["", "?last=1", "?after=1", "?before=3&last=1"])
            await AnswersAsync(http, HttpMethod.Get, "/messages", query, null, HttpStatusCode.OK);
        await AnswersAsync(http, HttpMethod.Get, "/messages", "?after=1&before=2", null, HttpStatusCode.BadRequest);
        await AnswersAsync(http, HttpMethod.Get, "/ws", "", null, HttpStatusCode.UpgradeRequired);
        foreach (string path in (string[])["/lan", "/healthz", "/readyz", "/metrics"])
            await AnswersAsync(http, HttpMethod.Get, path, "", null, HttpStatusCode.OK);
        foreach (string query in (string[])["", "?format=text"])
            await AnswersAsync(http, HttpMethod.Get, "/export", query, null, HttpStatusCode.OK);
        await AnswersAsync(http, HttpMethod.Get, "/export", "?format=pdf", null, HttpStatusCode.BadRequest);
        foreach (string path in (string[])["/messages", "/events", "/export", "/healthz", "/readyz", "/metrics"])
            await AnswersAsync(http, HttpMethod.Head, path, "", null, HttpStatusCode.OK);
        foreach (string path in (string[])["/messages", "/events"])
            await AnswersAsync(http, HttpMethod.Options, path, "", null, HttpStatusCode.NoContent);
        http.DefaultRequestHeaders.Authorization = null;
        foreach (string path in (string[])["/messages", "/events", "/metrics"])
            await AnswersAsync(http, HttpMethod.Get, path, "", null, HttpStatusCode.Unauthorized);
        http.DefaultRequestHeaders.Add("Origin", "https://evil.example");
        await AnswersAsync(http, HttpMethod.Get, "/messages", "", null, HttpStatusCode.Forbidden);
    }

    [Test]
    public async Task What_the_server_says_on_a_socket_is_what_asyncapi_says()
    {
        var missing = new HashSet<string>(Messages("send"));
        using var server = ChatServer.Start(("KeepMessages", 3));
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        for (int i = 0; i < 5; i++)
            await ana.SayAsync($"k{i}", "Bonjour");
        await ana.SayAsync("k4", "Bonjour");
        await ana.SayAsync("empty", "");
        await ana.SayAsync("""{"type":"name","name":"Zoé"}""");
        await ReceiveAllAsync(ana, missing, "hello", "message", "logged", "refused", "presence");
        using (Peer late = await Peer.ChatAsync(server, $"after=1&epoch={ana.Epoch}"))
            await ReceiveAllAsync(late, missing, "gap");
        using (Peer luc = await Peer.ChatAsync(server, "name=Luc"))
            while (missing.Contains("typing")) // which is lost on whoever is busy; the refusals tell when to ask again
            {
                await luc.SayAsync("""{"type":"typing"}""");
                await NextRefusalAsync(luc, missing);
                await NextRefusalAsync(ana, missing);
            }
        // A server so impatient that it may give up a peer on a busy machine: then there is another.
        using var impatient = ChatServer.Start(("KeepAliveSeconds", 1));
        while (missing.Contains("beat"))
            using (Peer silent = await Peer.ChatAsync(impatient))
                while (missing.Contains("beat") && await ReceiveOneAsync(silent, missing) is not null)
                    continue;
        Assert.That(missing, Is.Empty, "each was met");
    }

    [TestCase("openapi.json"), TestCase("asyncapi.json")]
    public async Task It_is_served(string file)
    {
        using var server = ChatServer.StartIn("Production");
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync(file);
        Assert.That(answer.Content.Headers.ContentType!.MediaType, Is.EqualTo("application/json"));
        Assert.That(JsonNode.DeepEquals(JsonNode.Parse(await answer.Content.ReadAsStringAsync()), Read(file)));
    }

    [Test]
    public async Task The_page_s_types_are_not_served()
    {
        using var server = ChatServer.StartIn("Production");
        using var http = new HttpClient { BaseAddress = server.Http };
        Assert.That((await http.GetAsync("connection.d.ts")).StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
    }

    // Until each of these types was met.
    static async Task ReceiveAllAsync(Peer peer, HashSet<string> missing, params string[] types)
    {
        while (types.Any(missing.Contains))
            Assert.That(await ReceiveOneAsync(peer, missing), Is.Not.Null, $"closed before {string.Join(", ", types)}");
    }

    static async Task NextRefusalAsync(Peer peer, HashSet<string> missing)
    {
        await peer.SayAsync("""{"type":"nothing"}""");
        string? type;
        do
            Assert.That(type = await ReceiveOneAsync(peer, missing), Is.Not.Null, "closed");
        while (type != "refused");
    }

    // Whatever comes must be as it is documented. Its type; null when the server has closed.
    static async Task<string?> ReceiveOneAsync(Peer peer, HashSet<string> missing)
    {
        if (await peer.ReceiveAsync() is not { } json)
            return null;
        JsonNode said = JsonNode.Parse(json)!;
        string type = (string)said["type"]!;
        Assert.That(Messages("send"), Does.Contain(type));
        Check(s_sockets["components"]!["messages"]![type]!["payload"]!, said, json);
        missing.Remove(type);
        if (type == "hello")
            peer.Epoch = (string)said["epoch"]!;
        return type;
    }

    static IEnumerable<string> Messages(string operation) =>
        s_sockets["operations"]![operation]!["messages"]!.AsArray().Select(message => ((string)message!["$ref"]!).Split('/')[^1]);

    static async Task AnswersAsync(HttpClient http, HttpMethod method, string path, string query, HttpContent? content,
        HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(method, path + query) { Content = content };
        using HttpResponseMessage answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        string what = $"{method} {path}{query}";
        Assert.That(answer.StatusCode, Is.EqualTo(expected), what);
        JsonNode? documented = s_http["paths"]![path]![method.Method.ToLowerInvariant()]!["responses"]![$"{(int)expected}"];
        Assert.That(documented, Is.Not.Null, $"{what}: {(int)expected} is not documented");
        if (documented!["content"] is not JsonObject contents)
            return;
        string type = answer.Content.Headers.ContentType?.MediaType ?? "text/plain"; // which those of one word need not say
        Assert.That(contents.ContainsKey(type), Is.True, $"{what}: {type}");
        if (type.EndsWith("json", StringComparison.Ordinal) && contents[type]!["schema"]!["type"]?.GetValue<string>() != "string")
            Check(contents[type]!["schema"]!, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!, what);
    }

    // As much of JSON Schema as the documents use.
    static void Check(JsonNode schema, JsonNode? value, string where)
    {
        if (schema["$ref"] is { } reference)
        {
            Check(((string)reference!).Split('/').Skip(1).Aggregate(s_http, (node, part) => node[part]!), value, where);
            return;
        }
        if (schema["anyOf"] is JsonArray any)
        {
            Check(any[0]!, value, where);
            return;
        }
        if (schema["const"] is { } constant)
            Assert.That(JsonNode.DeepEquals(constant, value), Is.True, where);
        if (schema["enum"] is JsonArray words)
            Assert.That(words.Any(word => JsonNode.DeepEquals(word, value)), Is.True, where);
        switch ((string?)schema["type"])
        {
            case "object":
                foreach (JsonNode? required in schema["required"]?.AsArray() ?? [])
                    Assert.That(value!.AsObject().ContainsKey((string)required!), Is.True, $"{where}: no {required}");
                foreach ((string name, JsonNode? property) in value!.AsObject())
                    if (schema["properties"]?[name] is { } known)
                        Check(known, property, $"{where} {name}");
                    else
                        Assert.That((bool?)schema["additionalProperties"], Is.Not.False, $"{where}: {name} is not documented");
                break;
            case "array":
                foreach (JsonNode? entry in value!.AsArray())
                    Check(schema["items"]!, entry, where);
                break;
            case "integer":
                Assert.That(value!.GetValueKind(), Is.EqualTo(System.Text.Json.JsonValueKind.Number), where);
                break;
            case "string":
                Assert.That(value!.GetValueKind(), Is.EqualTo(System.Text.Json.JsonValueKind.String), where);
                if (schema["pattern"] is { } pattern)
                    Assert.That((string)value!, Does.Match((string)pattern!), where);
                break;
            case "boolean":
                Assert.That(value!.GetValueKind(), Is.AnyOf(System.Text.Json.JsonValueKind.True, System.Text.Json.JsonValueKind.False),
                    where);
                break;
        }
    }

    static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    static JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(BuiltProcess.PathOf("Root"), "web", file)))!;
}
