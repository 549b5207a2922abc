using ChatMinimal.E2E.Store;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

/// <summary>The loop without a server: what is posted is done, whoever is stuck.</summary>
public sealed class LoopTests
{
    [TestCase(true), TestCase(false)]
    public async Task Whatever_many_threads_post_is_done_once(bool withSockets)
    {
        const int Posters = 4, Posts = 20_000;
        using Loop loop = Start(withSockets);
        using CancellationTokenSource limit = Rig.Patience();
        using var all = new CountdownEvent(Posters * Posts);
        int[] done = new int[Posters * Posts];
        await Task.WhenAll(Enumerable.Range(0, Posters).Select(poster => Task.Run(() =>
        {
            for (int i = poster; i < done.Length; i += Posters)
            {
                int number = i;
                loop.Post(() =>
                {
                    Interlocked.Increment(ref done[number]);
                    all.Signal();
                });
                if (number % 100 == 0)
                    Thread.Yield(); // so that it goes to sleep now and then
            }
        })));
        all.Wait(limit.Token); // or a post was slept over
        Assert.That(done, Is.All.EqualTo(1));
    }

    [Test, Platform("Linux", Reason = "where there is an epoll")]
    public void To_be_woken_is_not_to_read_whatever_its_descriptor_is()
    {
        SafeFileHandle[] others = [.. Enumerable.Range(0, 200).Select(_ => File.OpenHandle("/dev/null"))]; // so that it is a high one
        var lines = new Lines();
        using Loop loop = Start(withSockets: true, lines);
        using CancellationTokenSource limit = Rig.Patience();
        for (int i = 0; i < 100; i++)
        {
            using var isDone = new ManualResetEventSlim();
            loop.Post(isDone.Set);
            isDone.Wait(limit.Token);
        }
        Assert.That(lines.All, Is.Empty);
        foreach (SafeFileHandle other in others)
            other.Dispose();
    }

    [TestCase(true), TestCase(false)]
    public void While_one_waits_after_handing_over_the_others_are_done_by_the_other_thread(bool withSockets)
    {
        using Loop loop = Start(withSockets);
        using CancellationTokenSource limit = Rig.Patience();
        for (int turn = 0; turn < 1000; turn++)
        {
            using var disk = new ManualResetEventSlim();
            using var isDone = new CountdownEvent(2);
            Thread? stuck = null, other = null;
            loop.Post(() =>
            {
                stuck = Thread.CurrentThread;
                loop.HandOver();
                disk.Wait(limit.Token);
                isDone.Signal();
            });
            loop.Post(() =>
            {
                other = Thread.CurrentThread;
                disk.Set(); // or nothing ever would
                isDone.Signal();
            });
            isDone.Wait(limit.Token); // or the loop stands still
            Assert.That(stuck, Is.Not.SameAs(other));
        }
    }

    [TestCase(true), TestCase(false)]
    public void One_that_is_stuck_without_a_word_holds_the_others_up_for_a_moment_only(bool withSockets)
    {
        using Loop loop = Start(withSockets);
        using CancellationTokenSource limit = Rig.Patience();
        using var disk = new ManualResetEventSlim();
        using var isDone = new CountdownEvent(2);
        loop.Post(() =>
        {
            disk.Wait(limit.Token);
            isDone.Signal();
        });
        loop.Post(() =>
        {
            disk.Set();
            isDone.Signal();
        });
        isDone.Wait(limit.Token);
    }

    [Test]
    public void One_that_fails_costs_itself()
    {
        using Loop loop = Start(withSockets: false);
        using CancellationTokenSource limit = Rig.Patience();
        using var isDone = new ManualResetEventSlim();
        loop.Post(() => throw new InvalidOperationException("on purpose"));
        loop.Post(isDone.Set);
        isDone.Wait(limit.Token);
    }

    static Loop Start(bool withSockets, ILogger<Loop>? log = null)
    {
        var loop = new Loop(log ?? NullLogger<Loop>.Instance);
        if (withSockets && OperatingSystem.IsLinux())
            loop.UseSockets();
        loop.Start();
        return loop;
    }
}
