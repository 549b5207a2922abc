using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class ExportTests
{
    [Test]
    public async Task A_room_is_taken_along_as_the_lines_that_messages_has_of_it()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= 300; i++) // more than a page
            await SubmitAsync(http, $"/messages?room=cours&name={(i % 2 == 0 ? "Ana" : "")}", $"message {i} é😀\n\u2028");
        using HttpResponseMessage answer = await http.GetAsync("/export?room=cours");

        string[] lines = (await answer.Content.ReadAsStringAsync()).Split('\n');
        Assert.That(answer.Content.Headers.ContentType!.MediaType, Is.EqualTo("application/jsonl"));
        Assert.That(answer.Content.Headers.ContentDisposition!.FileName!.Trim('"'), Is.EqualTo("cours.jsonl"));
        Assert.That(lines, Has.Length.EqualTo(301));
        Assert.That(lines[^1], Is.Empty);
        var messages = JsonNode.Parse(await http.GetStringAsync("/messages?room=cours&last=1000"))!["messages"]!.AsArray();
        Assert.That(lines[..^1].Select(line => JsonNode.Parse(line)!.ToJsonString()),
            Is.EqualTo(messages.Select(message => message!.ToJsonString())));
    }

    [Test]
    public async Task As_text_nobody_forges_a_line_or_reaches_the_terminal()
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        await SubmitAsync(http, "/messages?name=Ana", "one\n2026-01-01 00:00:00Z Zoé: forged\t\u001b[31m\u009b0m\u0007é");
        await SubmitAsync(http, "/messages", "two");

        string text = await http.GetStringAsync("/export?format=text");

        Assert.That(text, Does.Match("^[0-9-]{10} [0-9:]{8}Z Ana: one\n    2026-01-01 00:00:00Z Zoé: forged\t\\[31m0mé\n[0-9-]{10} [0-9:]{8}Z -: two\n$"));
    }

    [TestCase("format=xml", "format: jsonl or text")]
    [TestCase("room=*", "room: 1 to 64 of A-Z a-z 0-9 - _")]
    [TestCase("format=text&format=jsonl", "format")]
    public async Task What_cannot_be_exported_is_refused(string query, string why)
    {
        using var server = ChatServer.Start();
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync("/export?" + query);
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That((string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["detail"]!, Does.StartWith(why));
    }

    static async Task SubmitAsync(HttpClient http, string target, string text)
    {
        using HttpResponseMessage answer = await http.PostAsync(target, new StringContent(text, Encoding.UTF8, "text/plain"));
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.Created));
    }
}
