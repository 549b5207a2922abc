using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

/// <summary>A submitter with a store whose answers are the test's, and no socket.</summary>
public sealed class SubmitterTests
{
    readonly FakeTimeProvider _clock = new();
    readonly AnsweringStore _store = new();
    readonly List<string> _answers = [];
    readonly List<Exception> _failures = [];

    Submitter Chat() => new(_store, "room", frame =>
    {
        _answers.Add((string)JsonNode.Parse(frame.AsMemory(Frame.HeaderLength(frame.Length - 2)).Span)!["type"]!);
        return default;
    }, _failures.Add, _clock);

    Submitter Plain() => new(_store, "room", answer: null, _failures.Add, _clock);

    static Draft Say(string key) => new(null, key, Encoding.UTF8.GetBytes(key));

    [Test]
    public async Task What_comes_while_a_batch_is_on_its_way_goes_next_together_and_then_the_reader_waits()
    {
        Submitter submitter = Chat();
        await submitter.AddAsync(Say("first"));
        submitter.Flush();
        for (int i = 0; i < 255; i++)
            Assert.That(submitter.AddAsync(Say($"{i}")).AsTask().IsCompleted);
        Task full = submitter.AddAsync(Say("255")).AsTask();
        Assert.That(full.IsCompleted, Is.False, "backpressure");
        Assert.That(_store.Batches.Select(batch => batch.Count), Is.EqualTo(new[] { 1 }));

        _store.Commit(1);
        await full;
        Assert.That(_store.Batches.Select(batch => batch.Count), Is.EqualTo(new[] { 1, 256 }), "in order, together");
        Task idle = submitter.IdleAsync();
        Assert.That(idle.IsCompleted, Is.False);
        _store.Commit(2);
        await idle;
        Assert.That((submitter.Next, _answers.Count, _failures.Count), Is.EqualTo((258L, 0, 0)), "their broadcast is the acknowledgement");
    }

    [Test]
    public async Task A_batch_is_bounded_in_bytes_too()
    {
        Submitter submitter = Chat();
        await submitter.AddAsync(Say("first"));
        submitter.Flush();
        for (int i = 0; i < 3; i++)
            Assert.That(submitter.AddAsync(new Draft(null, $"{i}", new byte[65_536])).AsTask().IsCompleted);
        Assert.That(submitter.AddAsync(new Draft(null, "3", new byte[65_536])).AsTask().IsCompleted, Is.False);
    }

    [Test]
    public async Task A_store_that_is_down_is_told_a_chat_client_for_each_message_and_the_next_is_tried()
    {
        Submitter submitter = Chat();
        await submitter.AddAsync(Say("a"));
        await submitter.AddAsync(Say("b"));
        submitter.Flush();
        await submitter.AddAsync(Say("c"));
        _store.Fail(new StoreUnavailableException("full"));
        _store.Commit(1);
        await submitter.IdleAsync();
        Assert.That(_answers, Is.EqualTo(new[] { "refused", "refused" }));
        Assert.That(_store.Batches[1].Single().Key, Is.EqualTo("c"));
    }

    [Test]
    public async Task A_plain_clients_message_waits_for_the_store_ten_seconds_and_no_longer()
    {
        Submitter submitter = Plain();
        await submitter.AddAsync(Say("a"));
        submitter.Flush();
        long start = _clock.GetTimestamp();
        while (_failures.Count == 0 && _clock.GetElapsedTime(start).TotalSeconds < 60)
        {
            if (_store.IsAsked)
                _store.Fail(new StoreUnavailableException("down"));
            _clock.Advance(TimeSpan.FromMilliseconds(250));
        }
        Assert.That(_failures.Single(), Is.InstanceOf<StoreUnavailableException>());
        Assert.That(_clock.GetElapsedTime(start).TotalSeconds, Is.InRange(10, 11));
        Assert.That(_store.Batches.Count, Is.GreaterThan(10), "tried again and again");
    }

    [Test]
    public async Task Who_hurries_gives_up_at_the_next_failure()
    {
        Submitter submitter = Plain();
        await submitter.AddAsync(Say("a"));
        submitter.Flush();
        submitter.Hurry();
        _store.Fail(new StoreUnavailableException("down"));
        await submitter.IdleAsync();
        Assert.That(_failures, Has.Count.EqualTo(1));
    }

    [TestCase(true), TestCase(false)]
    public async Task An_unexpected_failure_is_told_once_and_nothing_is_submitted_after_it(bool isChat)
    {
        Submitter submitter = isChat ? Chat() : Plain();
        await submitter.AddAsync(Say("a"));
        submitter.Flush();
        Task full = Task.CompletedTask;
        for (int i = 0; i < 256; i++)
            full = submitter.AddAsync(Say($"{i}")).AsTask();
        Assert.That(full.IsCompleted, Is.False);
        _store.Fail(new InvalidOperationException("a bug"));
        await full;
        await submitter.IdleAsync();
        await submitter.AddAsync(Say("b"));
        submitter.Flush();
        Assert.That(_failures.Single().Message, Is.EqualTo("a bug"));
        Assert.That(_store.Batches, Has.Count.EqualTo(1));
    }

    // Continuations run where the answer is given, so that a test knows when they have.
    sealed class AnsweringStore : IMessageStore
    {
        TaskCompletionSource<Submission[]>? _asked;

        public List<IReadOnlyList<Draft>> Batches { get; } = [];

        public bool IsAsked => _asked is not null;

        public ValueTask<Submission[]> SubmitAsync(string room, IReadOnlyList<Draft> drafts, CancellationToken cancel)
        {
            Batches.Add(drafts);
            return new((_asked = new()).Task);
        }

        public void Commit(long seq) =>
            Take().SetResult([.. Enumerable.Range(0, Batches[^1].Count).Select(i => new Submission(seq + i, WasKnown: false))]);

        public void Fail(Exception error) => Take().SetException(error);

        TaskCompletionSource<Submission[]> Take()
        {
            TaskCompletionSource<Submission[]> asked = _asked!;
            _asked = null;
            return asked;
        }

        public ValueTask<LogHead> OpenAsync(string room, CancellationToken cancel) => throw new NotSupportedException();
        public ValueTask<IDisposable> FollowAsync(string room, Action<LogPage> tell) => throw new NotSupportedException();
        public ValueTask<LogPage> ReadAsync(string room, long from, long to, CancellationToken cancel) => throw new NotSupportedException();
        public ValueTask CheckAsync(CancellationToken cancel) => throw new NotSupportedException();
    }
}
