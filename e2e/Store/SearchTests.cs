using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using ChatMinimal.Sqlite;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>
/// Searching a room: over HTTP, in a server on a file, for the index is read by another thread than the one that makes it.
/// </summary>
public sealed class SearchTests : IDisposable
{
    readonly ChatFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [TestCase("cafe", "Un café au lait|CAFÉ|cafétéria")] // the last word may be a beginning
    [TestCase("CAFÉT", "cafétéria")]
    [TestCase("lait caf", "Un café au lait")]
    [TestCase("CAFETE", "cafétéria")] // longer than what the index has lists of
    [TestCase("au cafét", "")]
    [TestCase("cafétériat", "")]
    [TestCase("caf lait", "")] // the others not
    [TestCase("l", "il l'a dit")] // a single letter not either
    [TestCase("\"l'a\" AND (dit OR", "")]
    [TestCase("l'a dit", "il l'a dit")]
    [TestCase("日本", "日本語 です")]
    public async Task Words_are_found_whatever_their_case_and_accents(string search, string found)
    {
        using var server = ChatServer.StartWith(_folder);
        using var http = new HttpClient { BaseAddress = server.Http };
        foreach (string text in (string[])["Un café au lait", "CAFÉ", "cafétéria", "il l'a dit", "日本語 です", "the last"])
            await SubmitAsync(http, text);
        await FindsAsync(http, "last", ["the last"]);

        await FindsAsync(http, search, found == "" ? [] : found.Split('|'));
        Assert.That(await TextsAsync(http, search, room: "other"), Is.Empty, "in this room only");
    }

    [Test]
    public async Task What_is_older_is_paged_to_and_the_newest_come_first()
    {
        using var server = ChatServer.StartWith(_folder);
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= 30; i++)
            await SubmitAsync(http, i % 2 == 0 ? $"even {i}" : $"odd {i}");
        await FindsAsync(http, "even", [.. Enumerable.Range(1, 15).Select(i => $"even {2 * i}")]);

        var newest = JsonNode.Parse(await http.GetStringAsync("/messages?search=even&last=3"))!["messages"]!.AsArray();
        Assert.That(newest.Select(message => (int)message!["seq"]!), Is.EqualTo(new[] { 26, 28, 30 }));
        var older = JsonNode.Parse(await http.GetStringAsync("/messages?search=even&last=3&before=26"))!["messages"]!.AsArray();
        Assert.That(older.Select(message => (int)message!["seq"]!), Is.EqualTo(new[] { 20, 22, 24 }));
    }

    [Test]
    public async Task What_is_no_longer_retained_is_no_longer_found()
    {
        using var server = ChatServer.StartWith(_folder, ("KeepMessages", 10));
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= 25; i++)
            await SubmitAsync(http, $"word {i}");
        await FindsAsync(http, "word", [.. Enumerable.Range(16, 10).Select(i => $"word {i}")]);
    }

    [TestCase("damaged")]
    [TestCase("deleted")]
    [TestCase("another")]
    public async Task An_index_that_is_of_no_use_is_made_anew(string fault)
    {
        using (var server = ChatServer.StartWith(_folder))
        {
            using var http = new HttpClient { BaseAddress = server.Http };
            for (int i = 1; i <= 200; i++)
                await SubmitAsync(http, $"needle {i}");
            await FindsAsync(http, "needle 200", ["needle 200"]);
        }
        string index = _folder.File + "-search";
        Assert.That(File.Exists(index));
        if (!OperatingSystem.IsWindows())
            Assert.That(File.GetUnixFileMode(index), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        if (fault == "deleted")
            File.Delete(index);
        else if (fault == "another")
            File.WriteAllText(index, "no database at all");
        else
        {
            byte[] bytes = File.ReadAllBytes(index);
            for (int i = 4096; i < bytes.Length; i += 64)
                bytes[i] ^= 0x55;
            File.WriteAllBytes(index, bytes);
        }
        using (var server = ChatServer.StartWith(_folder))
        {
            using var http = new HttpClient { BaseAddress = server.Http };
            await FindsAsync(http, "needle 10", ["needle 10", .. Enumerable.Range(100, 10).Select(i => $"needle {i}")]);
        }
    }

    [Test]
    public async Task A_log_that_became_another_one_is_searched_anew()
    {
        using (var server = ChatServer.StartWith(_folder))
        {
            using var http = new HttpClient { BaseAddress = server.Http };
            await SubmitAsync(http, "before");
            await FindsAsync(http, "before", ["before"]);
        }
        foreach (string file in Directory.EnumerateFiles(Path.GetDirectoryName(_folder.File)!, "chat.db*")
            .Where(file => !file.Contains("-search", StringComparison.Ordinal)))
            File.Delete(file);
        using (var server = ChatServer.StartWith(_folder))
        {
            using var http = new HttpClient { BaseAddress = server.Http };
            await SubmitAsync(http, "after");
            await FindsAsync(http, "after", ["after"]);
            Assert.That(await TextsAsync(http, "before"), Is.Empty);
        }
    }

    [Test]
    public void A_long_beginning_finds_the_newest_of_all_words_that_begin_like_that_however_many_there_are()
    {
        using var file = SearchFile.Open(_folder.File + "-search");
        LogHead log = new("one", 1, 301);
        file.Add(1, log, [new(Rows.IdOf(1, 300), default, [.. Enumerable.Range(1, 300).Select(i =>
            new PageText.Entry(Encoding.UTF8.GetBytes(i <= 50 ? $"Préfixé{i}" : i <= 100 ? "prefixe" : $"autrement{i}"), null, null))])]);

        Assert.That(Find("PREFIX"), Is.EqualTo(Enumerable.Range(1, 100).Reverse()), "51 words");
        Assert.That(Find("préfixé4"), Is.EqualTo(Enumerable.Range(40, 10).Reverse().Append(4)));
        Assert.That(Find("autrement"), Is.EqualTo(Enumerable.Range(101, 200).Reverse()), "200 words");

        List<long> Find(string words) => SearchWords.TryParse(words, out SearchWords? search, out _)
            ? file.Find(1, log, file.MatchOfBeginning(search), log.Next, most: 1000)
            : [];
    }

    [Test]
    public void What_is_not_in_the_log_is_forgotten_a_little_at_a_time_and_another_log_is_not_found_meanwhile()
    {
        const int Count = 5 * SearchFile.ForgetAtOnce / 2;
        using var file = SearchFile.Open(_folder.File + "-search");
        LogHead log = new("one", 1, Count + 1), trimmed = log with { First = Count - 9 }, other = new("other", 3, 5);
        file.Add(1, log, [PageOf(log)]);
        file.Add(2, log, [PageOf(log)]);
        Assert.That(file.Find(1, log, "word", before: Count - 1, most: 3), Is.EqualTo(new[] { Count - 2, Count - 3, Count - 4 }));

        Assert.That(ForgetAll(trimmed), Is.EqualTo(3), "transactions");
        Assert.That(file.Find(1, log, "word", log.Next, most: 1000), Is.EqualTo(Enumerable.Range(Count - 9, 10).Reverse()));
        file.Add(1, trimmed, []);

        Assert.That(file.NextOf(1, other), Is.Null);
        Assert.That(file.Find(1, other, "word", other.Next, most: 1000), Is.Empty);
        Assert.That(ForgetAll(other), Is.EqualTo(1), "there were ten");
        Assert.That(file.NextOf(1, other), Is.EqualTo(3));
        file.Add(1, other, [PageOf(other)]);
        Assert.That(file.Find(1, other, "word", other.Next, most: 1000), Is.EqualTo(new[] { 4, 3 }));
        Assert.That(file.Find(2, log, "word", log.Next, most: 10_000), Has.Count.EqualTo(Count), "the other room has all of its own");

        int ForgetAll(LogHead head)
        {
            int times = 0;
            for (; file.NextOf(1, head) is null; times++)
                file.ForgetSome(1, head);
            return times;
        }

        static ChatMinimal.Page PageOf(LogHead log) => new(log.Next - 1, default,
            [.. Enumerable.Range(0, (int)(log.Next - log.First)).Select(_ => new PageText.Entry("a word"u8.ToArray(), null, null))]);
    }

    [TestCase("search=", "search: 1 to 8 words")]
    [TestCase("search=%2B%2A", "search: 1 to 8 words")]
    [TestCase("search=a+b+c+d+e+f+g+h+i", "search: 1 to 8 words")]
    [TestCase("search=a&after=1", "after: not together with search")]
    [TestCase("search=a&last=101", "last: at most 100 messages at a time")]
    [TestCase("search=a&search=b", "search")]
    [TestCase("search=a&before=x", "before: the number of the oldest message known")]
    public async Task What_cannot_be_searched_for_is_refused(string query, string why)
    {
        using var server = ChatServer.StartWith(_folder);
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync("/messages?" + query);
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
        Assert.That((string)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["detail"]!, Does.StartWith(why));
    }

    [Test]
    public async Task A_store_that_cannot_search_says_so()
    {
        using var server = ChatServer.Start(); // in memory
        using var http = new HttpClient { BaseAddress = server.Http };
        using HttpResponseMessage answer = await http.GetAsync("/messages?search=a");
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.NotImplemented));
    }

    // The index comes after the commit.
    static async Task FindsAsync(HttpClient http, string search, string[] texts)
    {
        using CancellationTokenSource limit = Rig.Patience();
        string[] found = [];
        while (!limit.IsCancellationRequested && !(found = await TextsAsync(http, search)).SequenceEqual(texts))
            await Task.Yield();
        Assert.That(found, Is.EqualTo(texts));
    }

    static async Task<string[]> TextsAsync(HttpClient http, string search, string room = "salon")
    {
        using HttpResponseMessage answer = await http.GetAsync($"/messages?room={room}&last=100&search={Uri.EscapeDataString(search)}");
        if (answer.StatusCode == HttpStatusCode.ServiceUnavailable)
            return []; // it is being made anew
        JsonNode json = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.OK), json.ToJsonString());
        return [.. json["messages"]!.AsArray().Select(message => (string)message!["text"]!)];
    }

    static async Task SubmitAsync(HttpClient http, string text)
    {
        using HttpResponseMessage answer = await http.PostAsync("/messages", new StringContent(text, Encoding.UTF8, "text/plain"));
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.Created));
    }
}
