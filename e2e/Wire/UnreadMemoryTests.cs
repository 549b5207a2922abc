using System.Globalization;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>Readers who read nothing: what they cost is bounded in bytes, whatever the messages are.</summary>
public sealed class UnreadMemoryTests
{
    const int Readers = 50;
    // Bytes; 128 KiB is what we want, the rest is the collector's, and other tests' noise. It was 35 to 168 MB
    const int MostEach = 512 << 10;

    [TestCase("/messages?last=100"), TestCase("/events?last=100")]
    public async Task An_answer_that_nobody_reads_costs_little(string path)
    {
        using var server = BuiltProcess.Server("Production", "--urls", "http://127.0.0.1:0", "--Chat:Database=",
            "--Chat:SendTimeoutSeconds=60");
        var address = new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]);
        server.Ignore();
        using var http = new HttpClient { BaseAddress = address };
        string longest = new('\u0001', 65_536); // as JSON six times as long
        for (int i = 0; i < 100; i++)
            (await http.PostAsync("/messages", new StringContent(longest))).EnsureSuccessStatusCode();
        await ReadAllAsync(http); // once, so that what the server keeps for reading is there already
        long before = await MemoryAsync(http);

        RawPeer[] readers = await Task.WhenAll(Enumerable.Range(0, Readers)
            .Select(_ => RawPeer.RequestAsync(address.Port, $"GET {path} HTTP/1.1\nHost: localhost", receiveBuffer: 4096)));
        await ReadAllAsync(http); // by then they have been sent what they take
        long after = await MemoryAsync(http);
        Assert.That((after - before) / Readers, Is.LessThan(MostEach));
        foreach (RawPeer reader in readers)
            reader.Dispose();
    }

    static async Task ReadAllAsync(HttpClient http)
    {
        using HttpResponseMessage answer = await http.GetAsync("/messages?last=100", HttpCompletionOption.ResponseHeadersRead);
        await (await answer.Content.ReadAsStreamAsync()).CopyToAsync(Stream.Null);
    }

    static async Task<long> MemoryAsync(HttpClient http)
    {
        string line = (await http.GetStringAsync("/metrics")).Split('\n')
            .Single(line => line.StartsWith("chatminimal_memory_bytes ", StringComparison.Ordinal));
        return long.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }
}
