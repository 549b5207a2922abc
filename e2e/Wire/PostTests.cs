using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>What is there and cannot be used is refused, and never stored as something else.</summary>
public sealed class PostTests
{
    [TestCase("application/x-www-form-urlencoded", "text=caf\xe9", 400, "text: not UTF-8"),
        TestCase("application/x-www-form-urlencoded", "text=caf%E9", 400, "text: not UTF-8")]
    [TestCase("application/x-www-form-urlencoded", "text=a&name=%FF", 400, "name: not UTF-8"),
        TestCase("application/x-www-form-urlencoded", "text=a&text=b", 400, "text: given twice")]
    [TestCase("application/x-www-form-urlencoded", "text=a&key=", 400, "key must be"),
        TestCase("application/x-www-form-urlencoded; charset=latin1", "text=a", 415, "UTF-8")]
    [TestCase("text/plain", "caf\xe9", 400, "text: not UTF-8"), TestCase("text/plain; charset=utf-16le", "h\0i\0", 415, "UTF-8"),
        TestCase("nonsense", "a", 415, "Content-Type")]
    [TestCase("text/plainest", "a", 415, "text/plain, a form"), TestCase("application/json; charset=utf-16", "{}", 415, "UTF-8")]
    [TestCase("application/json", "{\"text\":\"caf\xe9\"}", 400, "not UTF-8"), TestCase("application/json", "{\"text\":", 400, "not JSON"),
        TestCase("application/json", "[]", 400, "not a JSON object")]
    [TestCase("application/json", "{\"\\ud800\":1,\"text\":\"x\"}", 400, "names of properties"),
        TestCase("application/json", "{\"text\":7}", 400, "text must be")]
    [TestCase("application/json", "{\"text\":\"a\",\"key\":7}", 400, "key must be"),
        TestCase("application/json", "{\"text\":\"a\",\"name\":[]}", 400, "name must be")]
    [TestCase("application/json", "{\"text\":\"a\",\"text\":\"b\"}", 400, "twice"),
        TestCase("application/json", "{\"text\":\"a\",\"name\":\"\\u200b\"}", 400, "must show")]
    [TestCase("multipart/form-data", "", 400, "not a form"), TestCase("multipart/form-data; boundary=b", "nonsense", 400, "not a form")]
    [TestCase("multipart/form-data; boundary=b", "--b\r\nEvil\u001b[31m\r\n\r\nx\r\n--b--", 400,
        "not a form: the parts of multipart/form-data cannot be told apart")]
    [TestCase("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=text\r\n\r\ncaf\xe9\r\n--b--", 400,
        "text: not UTF-8")]
    [TestCase("multipart/form-data; boundary=b",
        "--b\r\nContent-Disposition: form-data; name=text\r\nContent-Type: text/plain; charset=latin1\r\n\r\na\r\n--b--", 400, "charset")]
    [TestCase("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=text; filename=a\r\n\r\na\r\n--b--", 400,
        "text must be")]
    public async Task A_body_that_cannot_be_used_is_refused_with_its_reason_and_adds_nothing(string type, string body, int status,
        string detail)
    {
        using var server = ChatServer.Start();
        (int Status, string Answer) answer = await PostAsync(server, "/messages", Encoding.Latin1.GetBytes(body), type);
        Assert.That(answer.Status, Is.EqualTo(status));
        Assert.That((string)JsonNode.Parse(answer.Answer)!["detail"]!, Does.Contain(detail));
        Assert.That(await TextsAsync(server), Is.Empty);
    }

    [TestCase("text/plain; charset=\"UTF-8\"", "é"), TestCase("application/x-www-form-urlencoded; charset=utf-8", "text=%C3%A9"),
        TestCase("application/x-www-form-urlencoded", "text=é")]
    [TestCase("application/json", "{\"text\":\"\\u00e9\",\"name\":null,\"key\":null}"),
        TestCase("application/json", "{\"text\":\"é\",\"text\":\"é\"}"), TestCase("application/merge-patch+json", "{\"text\":\"é\"}")]
    [TestCase("multipart/form-data; boundary=\"b\"", "--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\né\r\n--b--")]
    public async Task A_text_comes_through_whole_in_whichever_form_it_is_posted(string type, string body)
    {
        using var server = ChatServer.Start();
        Assert.That((await PostAsync(server, "/messages", Encoding.UTF8.GetBytes(body), type)).Status, Is.EqualTo(201));
        Assert.That(await TextsAsync(server), Is.EqualTo(new[] { "é" }));
    }

    [Test]
    public async Task A_coded_body_is_refused_and_told_what_would_be_understood()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using var content = new ByteArrayContent([0x1f, 0x8b]);
        content.Headers.ContentEncoding.Add("gzip");
        using HttpResponseMessage answer = await http.PostAsync("/messages", content);
        Assert.That((int)answer.StatusCode, Is.EqualTo(415));
        Assert.That(answer.Headers.GetValues("Accept-Encoding"), Is.EqualTo(new[] { "identity" }));
    }

    [TestCase("/messages?room=a&room=b", "", 400), TestCase("/messages?room=a&room=a", "", 201), TestCase("/messages?name=%E9", "", 400),
        TestCase("/messages?name=Ana&name=Luc", "", 400)]
    [TestCase("/messages?name=Ana", """{"text":"x","name":"Luc"}""", 400), TestCase("/messages?name=Ana", """{"text":"x","name":" Ana "}""", 201)]
    public async Task Two_values_of_one_thing_are_refused_unless_they_are_the_same(string target, string json, int status)
    {
        using var server = ChatServer.Start();
        byte[] body = Encoding.UTF8.GetBytes(json == "" ? "x" : json);
        Assert.That((await PostAsync(server, target, body, json == "" ? "text/plain" : "application/json")).Status, Is.EqualTo(status));
    }

    [TestCase("\"k\"", "k", 201), TestCase("k", "k", 201), TestCase("other", "k", 400), TestCase("", null, 400), TestCase("a b", null, 400)]
    public async Task A_key_in_the_header_is_the_key_in_the_body_or_refused(string header, string? key, int status)
    {
        using var server = ChatServer.Start();
        string body = key is null ? """{"text":"x"}""" : $$"""{"text":"x","key":"{{key}}"}""";
        using RawPeer peer = await RawPeer.RequestAsync(server.Port, $"""
            POST /messages HTTP/1.1
            Host: localhost
            Content-Type: application/json
            Idempotency-Key: {header}
            Content-Length: {body.Length}

            {body}
            """);
        Assert.That(peer.Answer, Does.StartWith($"HTTP/1.1 {status} "));
    }

    static async Task<(int Status, string Answer)> PostAsync(ChatServer server, string target, byte[] body, string type)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        using var content = new ByteArrayContent(body);
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        using HttpResponseMessage answer = await http.PostAsync(target, content);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    static async Task<IEnumerable<string>> TextsAsync(ChatServer server)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        return JsonNode.Parse(await http.GetStringAsync("/messages"))!["messages"]!.AsArray().Select(message => (string)message!["text"]!);
    }
}
