using Microsoft.Extensions.DependencyInjection;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

public sealed class LostPageTests
{
    [Test]
    public async Task A_page_that_a_room_did_not_take_in_is_read_from_the_store_and_everyone_hears_each_message_once()
    {
        using var server = ChatServer.StartWith(services =>
            services.AddSingleton<IMessageStore>(new LossyStore(new MemoryStore(new ChatOptions(), TimeProvider.System))));
        using Peer plain = await Peer.PlainAsync(server), chat = await Peer.ChatAsync(server);
        using var http = new HttpClient { BaseAddress = server.Http };
        for (int i = 1; i <= 6; i++)
            await http.PostAsync("/messages", new StringContent($"{i}")); // a page each
        for (int i = 1; i <= 6; i++)
        {
            Assert.That(await plain.ReceiveAsync(), Is.EqualTo($"Message d'un client : {i}"));
            Assert.That((int)(await chat.ReceiveAsync("message", "gap"))["seq"]!, Is.EqualTo(i));
        }
    }

    /// <summary>The room fails to take in the second page, and only hears of the third.</summary>
    sealed class LossyStore(IMessageStore store) : IMessageStore
    {
        int _left = 3;

        public ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell) => store.FollowAsync(room, page =>
        {
            if (Interlocked.Decrement(ref _left) != 0)
                tell(page);
        });

        public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => store.OpenAsync(room, cancel);
        public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel) =>
            store.SubmitAsync(room, drafts, cancel);
        public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel) =>
            store.ReadAsync(room, from, to, cancel);
        public ValueTask CheckAsync(CancellationToken cancel) => store.CheckAsync(cancel);
    }
}
