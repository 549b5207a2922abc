using System.Diagnostics;
using NUnit.Framework;

namespace ChatMinimal.E2E.Soak;

/// <summary>A long run, for whoever asks for one: E2E_SOAK=60 for an hour. Otherwise there is no case, and nothing is skipped.</summary>
public sealed class SoakTests
{
    const int People = 50, Rooms = 10;

    static IEnumerable<TimeSpan> Lengths() => Rig.Long("E2E_SOAK") is { } length ? [length] : [];

    [TestCaseSource(nameof(Lengths))]
    public async Task People_come_talk_and_go_and_memory_stays_within_a_tenth(TimeSpan length)
    {
        using var folder = new ChatFolder();
        using var server = BuiltProcess.Server("Production", "--urls", "http://127.0.0.1:0", "--Chat:Database", folder.File,
            "--Chat:KeepMessages", "1000", "--Chat:MessagesPerSecond", "0");
        string started = await server.ReadUntilAsync("démarré sur ws");
        var address = new Uri(started[started.IndexOf("ws://", StringComparison.Ordinal)..]);
        server.Ignore();

        using CancellationTokenSource over = Rig.Patience(length);
        Task[] people = [.. Enumerable.Range(0, People).Select(who => LiveAsync(address, who, new Random(Rig.Seed + who), over.Token))];
        List<long> samples = await SampleAsync(server.Id, over.Token);
        await Task.WhenAll(people);

        // The first half is for code to be compiled and buffers to grow.
        int quarter = samples.Count / 4;
        double before = samples.GetRange(2 * quarter, quarter).Average(), after = samples.GetRange(3 * quarter, quarter).Average();
        TestContext.Out.WriteLine($"{before / 1e6:f1} MB in the third quarter, {after / 1e6:f1} MB in the last, E2E_SEED={Rig.Seed}");
        Assert.That(after, Is.LessThan(1.1 * before));
    }

    // Comes, says a few things, hears each of them come back, and goes: in order, or as a cut cable does.
    static async Task LiveAsync(Uri address, int who, Random random, CancellationToken over)
    {
        for (int visit = 0; !over.IsCancellationRequested; visit++)
        {
            bool isChat = random.Next(2) == 0;
            using Peer peer = await Peer.ConnectAsync(address, isChat ? "chat.v1" : null,
                $"room=room-{random.Next(Rooms)}&name=person-{who}");
            for (int said = random.Next(1, 20); said > 0; said--)
            {
                string text = $"{who}-{visit}-{said} {new string('x', random.Next(2000))}";
                await (isChat ? peer.SayAsync($"{who}-{visit}-{said}", text) : peer.SayAsync(text));
                while (isChat
                    ? (string)(await peer.ReceiveMessageAsync())["text"]! != text
                    : await peer.ReceiveAsync() != $"Message d'un client (person-{who}) : {text}") { }
            }
            if (random.Next(4) > 0)
                await peer.CloseAsync();
            else
                peer.Cut();
        }
    }

    static async Task<List<long>> SampleAsync(int id, CancellationToken over)
    {
        using var process = Process.GetProcessById(id);
        using var second = new PeriodicTimer(TimeSpan.FromSeconds(1));
        var samples = new List<long>();
        while (!over.IsCancellationRequested)
        {
            await second.WaitForNextTickAsync(CancellationToken.None);
            process.Refresh();
            samples.Add(process.WorkingSet64);
        }
        return samples;
    }
}
