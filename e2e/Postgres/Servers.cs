using System.Net;
using System.Text.Json.Nodes;

namespace ChatMinimal.E2E.Postgres;

/// <summary>Several servers of one chat, on one database.</summary>
static class Servers
{
    /// <summary>A server on this database, which refuses nothing because a busy machine is slow.</summary>
    public static ChatServer Start(string database, params (string Option, object Value)[] options) =>
        Start(database, seconds: 30, options);

    /// <summary>A server whose patience with its database is short, for tests in which that is at fault.</summary>
    public static ChatServer StartImpatient(string database, params (string Option, object Value)[] options) =>
        Start(database, seconds: 2, options);

    static ChatServer Start(string database, int seconds, (string Option, object Value)[] options) =>
        ChatServer.Start([("ConnectionStrings:Chat", $"{database};Command Timeout={seconds}"), .. options]);

    /// <summary>All texts of a room, as GET tells them.</summary>
    public static async Task<List<string>> TextsAsync(this ChatServer server, string room = "salon") =>
        [.. JsonNode.Parse(await server.GetAsync($"/messages?room={room}&last=1000"))!["messages"]!.AsArray()
            .Select(message => (string)message!["text"]!)];

    /// <summary>
    /// What a server answers as soon as it can: a database that was just restarted may cost it another connection or two.
    /// </summary>
    public static async Task<string> GetAsync(this ChatServer server, string path)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        string answer = "";
        await UntilAsync(async () =>
        {
            using HttpResponseMessage response = await http.GetAsync(path);
            answer = await response.Content.ReadAsStringAsync();
            return response.StatusCode != HttpStatusCode.ServiceUnavailable && response.EnsureSuccessStatusCode().IsSuccessStatusCode;
        });
        return answer;
    }

    public static async Task<HttpStatusCode> StatusAsync(this ChatServer server, string path)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        return (await http.GetAsync(path)).StatusCode;
    }

    /// <summary>Waits until the server can commit messages, or until it knows that it cannot.</summary>
    public static Task IsReadyAsync(this ChatServer server, bool isReady = true) =>
        UntilAsync(async () => await server.StatusAsync("/readyz") == (isReady ? HttpStatusCode.OK : HttpStatusCode.ServiceUnavailable));

    /// <summary>Asks again and again, for as long as anything may take.</summary>
    public static async Task UntilAsync(Func<Task<bool>> isSo, TimeSpan? patience = null)
    {
        using CancellationTokenSource limit = Rig.Patience(patience ?? TimeSpan.FromMinutes(1));
        while (!await isSo())
            limit.Token.ThrowIfCancellationRequested();
    }

    /// <summary>Says it until it is acknowledged, as a page does; returns its seq.</summary>
    public static async Task<long> SayUntilReceivedAsync(this Peer peer, string key, string text)
    {
        using CancellationTokenSource limit = Rig.Patience(TimeSpan.FromMinutes(1));
        await peer.SayAsync(key, text);
        while (true)
        {
            limit.Token.ThrowIfCancellationRequested();
            JsonObject said = await peer.ReceiveAsync(TimeSpan.FromMinutes(1), "message", "logged", "refused");
            if ((string?)said["key"] != key)
                continue;
            if ((string)said["type"]! != "refused")
                return (long)said["seq"]!;
            NUnit.Framework.Assert.That((string)said["reason"]!, NUnit.Framework.Is.EqualTo("store_unavailable"));
            await peer.SayAsync(key, text);
        }
    }
}
