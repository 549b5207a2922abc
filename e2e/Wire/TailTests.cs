using System.Runtime.CompilerServices;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class TailTests
{
    [Test]
    public async Task A_tail_that_fails_goes_on_where_it_was_and_everyone_hears_each_message_once()
    {
        using var server = ChatServer.StartWith(new TornTailStore(new MemoryStore(new ChatOptions(), TimeProvider.System)));
        using Peer plain = await Peer.PlainAsync(server), chat = await Peer.ChatAsync(server);
        for (int i = 1; i <= 6; i++)
        {
            await plain.SayAsync($"{i}");
            Assert.That(await plain.HearAsync(), Is.EqualTo($"Message d'un client : {i}"));
            Assert.That((int)(await chat.HearAsync("message", "gap"))["seq"]!, Is.EqualTo(i));
        }
        using var http = new HttpClient { BaseAddress = server.Http };
        Assert.That(async () => await http.GetStringAsync("/metrics"), Does.Contain("\nchatminimal_messages_total 6\n").After(5000, 20), "nor was one appended twice");
    }

    /// <summary>Its tails fail once, with the third batch in hand.</summary>
    sealed class TornTailStore(IMessageStore store) : IMessageStore
    {
        int _left = 3;

        public async IAsyncEnumerable<LogPage> TailAsync(string room, long from, [EnumeratorCancellation] CancellationToken cancel)
        {
            await foreach (LogPage page in store.TailAsync(room, from, cancel))
            {
                if (Interlocked.Decrement(ref _left) == 0)
                    throw new StoreUnavailableException("the tail is torn");
                yield return page;
            }
        }

        public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => store.OpenAsync(room, cancel);
        public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel) => store.SubmitAsync(room, drafts, cancel);
        public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel) => store.ReadAsync(room, from, to, cancel);
        public ValueTask CheckAsync(CancellationToken cancel) => store.CheckAsync(cancel);
    }
}
