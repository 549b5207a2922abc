using System.Net;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class LaboratoryTests
{
    [Test]
    public async Task Each_thread_tells_what_it_does_with_a_message()
    {
        using var server = ChatServer.Start(("Sockets", "auto"));
        string receives = OperatingSystem.IsLinux() ? "loop" : "a worker of the pool";
        using var http = new HttpClient { BaseAddress = server.Http };
        using StreamReader steps = new(await http.GetStreamAsync("/lab/events"));
        using CancellationTokenSource limit = Rig.Patience();
        Assert.That(await steps.ReadLineAsync(limit.Token), Is.EqualTo(": watching"));
        using Peer ana = await Peer.ConnectAsync(server.WebSocket, null), zoe = await Peer.ConnectAsync(server.WebSocket, "chat.v1");

        // A pump may come by because somebody has joined, and send a message: then the next one is looked at.
        string sends = OperatingSystem.IsLinux() ? "loop" : "pump";
        var seen = new Dictionary<string, JsonObject>();
        for (int seq = 1; seq == 1 || !((string)seen["sent"]["thread"]!).StartsWith(sends, StringComparison.Ordinal); seq++)
        {
            await ana.SayAsync("salut");
            while (!(seen.TryGetValue("sent", out JsonObject? sent) && (int)sent["seq"]! == seq))
            {
                string line = (await steps.ReadLineAsync(limit.Token))!;
                if (line.StartsWith("data: ", StringComparison.Ordinal) && JsonNode.Parse(line["data: ".Length..]) is JsonObject step)
                    seen[(string)step["what"]!] = step;
            }
        }
        Assert.That(seen["received"].ToJsonString(), Does.Contain($$"""{"what":"received","thread":"{{receives}}",""").And.Contain("\"bytes\":5,"));
        Assert.That((string)seen["committed"]["what"]!, Is.EqualTo("committed"));
        Assert.That((int)seen["appended"]["messages"]!, Is.EqualTo(1));
        Assert.That((int)seen["sent"]["clients"]!, Is.EqualTo(2));
        Assert.That(seen.Values.Select(step => (double)step["at"]!).Order(),
            Is.EqualTo(((string[])["received", "committed", "appended", "sent"]).Select(what => (double)seen[what]["at"]!)));
    }

    [Test]
    public async Task In_production_there_is_no_laboratory()
    {
        using var server = ChatServer.StartIn("Production");
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync("/lab/events");
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
    }
}
