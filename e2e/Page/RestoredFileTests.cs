using ChatMinimal.E2E.Store;
using Microsoft.Data.Sqlite;
using NUnit.Framework;
using static Microsoft.Playwright.Assertions;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// Another file is put in the place of the room's: a clean one, or a copy made earlier. Whoever has the page open is told, and so is
/// whoever comes back an hour later, when others have said more than there was before.
/// </summary>
[TestFixture(Profile.Desk), TestFixture(Profile.Phone)]
public sealed class RestoredFileTests(Profile profile) : PageTest(profile), IDisposable
{
    readonly ChatFolder _folder = new();

    string Copy => _folder.File + "-copy";

    public void Dispose() => _folder.Dispose();

    [SetUp]
    public void SocketsAreCut() => Expected = NoConnection;

    [TestCase(true), TestCase(false)]
    public async Task Under_an_open_page_it_is_told_and_what_is_said_goes_into_it(bool isClean)
    {
        if (OperatingSystem.IsWindows())
            Assert.Ignore("open files stay where they are");
        ChatServer server = Serve(ChatServer.StartWith(_folder));
        Person person = await OpenAsync(server), other = await OpenAsync(server);
        await SayAsync(person, "un", "deux");
        MakeCopy(isClean);
        await SayAsync(person, "trois");
        await other.SeesAsync("un", "deux", "trois");

        File.Move(Copy, _folder.File, overwrite: true);
        await person.SayAsync("quatre");
        string[] after = ["un", "deux", "trois", .. Kept(isClean), "quatre"];
        foreach (Person one in (Person[])[person, other])
        {
            await one.SeesAsync(after);
            await IsToldAsync(one);
            await Expect(one.Pending).ToHaveCountAsync(0);
        }
        Person late = await OpenAsync(server);
        await late.SeesAsync(after[3..]);
    }

    [TestCase(true), TestCase(false)]
    public async Task To_a_page_that_comes_back_an_hour_later_it_is_told(bool isClean)
    {
        ChatServer server = Serve(ChatServer.StartWith(_folder));
        var cut = new WebSocketCut();
        Person person = await OpenAsync(server, prepare: async page =>
        {
            await page.RouteWebSocketAsync("**/ws?*", cut.Handle);
            await page.Clock.InstallAsync();
        });
        await person.IsConnectedAsync();
        await SayAsync(person, "un", "deux");
        MakeCopy(isClean);
        await SayAsync(person, "trois");
        await cut.CutAsync();
        await person.SayAsync("en chemin");
        await Expect(person.Pending).ToHaveCountAsync(1);

        await server.DisposeAsync();
        File.Delete(_folder.File + "-wal");
        File.Move(Copy, _folder.File, overwrite: true);
        server = Serve(server.StartAgain());
        using Peer ana = await Peer.ChatAsync(server, "name=Ana");
        string[] said = ["d'Ana 1", "d'Ana 2", "d'Ana 3", "d'Ana 4"]; // past what the page has seen
        foreach (string text in said)
            await ana.SayAsync($"k{text[^1]}", text);
        while ((string)(await ana.ReceiveMessageAsync())["text"]! != said[^1]) { }

        await person.Page.Clock.FastForwardAsync("01:00:00");
        cut.Mend();
        await person.SeesAsync(["un", "deux", "trois", .. Kept(isClean), .. said, "en chemin"]);
        await IsToldAsync(person);
        await Expect(person.Pending).ToHaveCountAsync(0);
    }

    static async Task SayAsync(Person person, params string[] texts)
    {
        foreach (string text in texts)
        {
            await person.SayAsync(text);
            await Expect(person.Messages.Last).ToHaveTextAsync(text);
            await Expect(person.Pending).ToHaveCountAsync(0);
        }
    }

    static Task IsToldAsync(Person person) =>
        Expect(person.Dividers.Filter(new() { HasText = "Le salon a recommencé à zéro" })).ToHaveCountAsync(1);

    static string[] Kept(bool isClean) => isClean ? [] : ["un", "deux"];

    void MakeCopy(bool isClean)
    {
        if (isClean)
        {
            Started.Sqlite(new ChatOptions { Database = Copy }).Dispose();
            return;
        }
        using var connection = new SqliteConnection($"Data Source={_folder.File};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = $"VACUUM INTO '{Copy}'";
        command.ExecuteNonQuery();
    }
}
