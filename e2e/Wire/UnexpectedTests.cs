using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>When the unexpected happens, it costs one connection: 1011 and a reason, never silence, and never anybody else.</summary>
public sealed class UnexpectedTests
{
    [TestCase("chat.v1"), TestCase("plain")]
    public async Task A_bug_while_submitting_closes_that_connection_with_1011(string dialect)
    {
        using var server = ChatServer.StartWith(services => services.AddSingleton<IMessageStore>(new FaultyStore()),
            ("SendTimeoutSeconds", 2));
        using Peer unlucky = await ConnectAsync(server, dialect), witness = await Peer.PlainAsync(server);
        await SayAsync(unlucky, dialect, "fine");
        Assert.That(await witness.ReceiveAsync(), Is.EqualTo("Message d'un client : fine"));
        await SayAsync(unlucky, dialect, "bug");
        await SayAsync(unlucky, dialect, "swallowed?");
        await EndsWithAsync(unlucky, 1011, "the server made a mistake");
        await witness.SayAsync("still here");
        Assert.That(await witness.ReceiveAsync(), Is.EqualTo("Message d'un client : still here"));
    }

    [Test]
    public async Task A_bug_while_catching_up_closes_that_connection_with_1011_and_does_not_loop()
    {
        var store = new FaultyStore();
        using var server = ChatServer.StartWith(services => services.AddSingleton<IMessageStore>(store), ("SendTimeoutSeconds", 2),
            ("WindowBytes", 1024));
        using Peer witness = await Peer.PlainAsync(server);
        for (int i = 0; i < 10; i++)
        {
            await witness.SayAsync($"{i}");
            await witness.ReceiveAsync();
        }
        store.IsReadingFaulty = true;
        using Peer late = await Peer.ChatAsync(server);
        await EndsWithAsync(late, 1011, "the server made a mistake");
        Assert.That(store.Reads, Is.EqualTo(1));
        await witness.SayAsync("still here");
        Assert.That(await witness.ReceiveAsync(), Is.EqualTo("Message d'un client : still here"));
    }

    static Task<Peer> ConnectAsync(ChatServer server, string dialect) =>
        dialect == "plain" ? Peer.PlainAsync(server) : Peer.ChatAsync(server);

    static Task SayAsync(Peer peer, string dialect, string text) => dialect == "plain" ? peer.SayAsync(text) : peer.SayAsync(text, text);

    static async Task EndsWithAsync(Peer peer, int code, string reason)
    {
        long start = Stopwatch.GetTimestamp();
        while (await peer.ReceiveAsync() is not null)
            Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(TimeSpan.FromSeconds(20)));
        Assert.That(((int)peer.CloseStatus!, peer.CloseReason), Is.EqualTo((code, reason)));
    }

    sealed class FaultyStore : IMessageStore
    {
        readonly MemoryStore _store = new(new ChatOptions(), TimeProvider.System);

        public bool IsReadingFaulty { get; set; }

        public int Reads { get; private set; }

        public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel) =>
            drafts.Any(draft => draft.Text.AsSpan().SequenceEqual("bug"u8))
                ? throw new InvalidOperationException("a bug")
                : _store.SubmitAsync(room, drafts, cancel);

        public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel)
        {
            Reads += IsReadingFaulty ? 1 : 0;
            return IsReadingFaulty ? throw new InvalidOperationException("a bug") : _store.ReadAsync(room, from, to, cancel);
        }

        public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => _store.OpenAsync(room, cancel);
        public ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell) => _store.FollowAsync(room, tell);
        public ValueTask CheckAsync(CancellationToken cancel) => _store.CheckAsync(cancel);
    }
}
