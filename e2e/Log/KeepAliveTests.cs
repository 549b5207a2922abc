using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;
using Verdict = ChatMinimal.KeepAlive.Verdict;

namespace ChatMinimal.E2E.Log;

/// <summary>Times go in, a verdict comes out. The interval is 15 s.</summary>
public sealed class KeepAliveTests
{
    readonly FakeTimeProvider _clock = new();

    [Test]
    public void A_silent_peer_is_pinged_after_the_interval_and_dead_after_another()
    {
        KeepAlive alive = Start();
        Assert.That(Seconds(14).Select(_ => Look(ref alive, wrote: true)), Is.All.EqualTo(Verdict.Fine));
        Assert.That(Seconds(15).Select(_ => Look(ref alive, wrote: true)), Is.All.EqualTo(Verdict.Ping),
            "each second anew: one may have found the output busy");
        Assert.That(Look(ref alive, wrote: true), Is.EqualTo(Verdict.Dead));
    }

    [Test]
    public void Any_byte_is_a_sign_of_life()
    {
        KeepAlive alive = Start();
        for (int i = 0; i < 10; i++)
        {
            Assert.That(Seconds(28).Select(_ => Look(ref alive, wrote: true)), Has.None.EqualTo(Verdict.Dead));
            Assert.That(Look(ref alive, heard: true, wrote: true), Is.EqualTo(Verdict.Fine));
        }
    }

    [Test]
    public void No_pong_is_due_while_output_waits_in_front_of_the_ping_and_the_peer_takes_it()
    {
        KeepAlive alive = Start();
        Assert.That(Seconds(1000).Select(_ => Look(ref alive, wrote: true, inTheWay: true)), Has.None.EqualTo(Verdict.Dead));
        Assert.That(Seconds(14).Select(_ => Look(ref alive, wrote: true)), Has.None.EqualTo(Verdict.Dead));
        Assert.That(Look(ref alive, wrote: true), Is.EqualTo(Verdict.Dead));
    }

    [Test]
    public void A_browser_that_is_told_nothing_is_due_a_beat()
    {
        KeepAlive alive = Start();
        Assert.That(Seconds(14).Select(_ => Look(ref alive, heard: true)), Is.All.EqualTo(Verdict.Fine));
        Assert.That(Look(ref alive, heard: true), Is.EqualTo(Verdict.Beat));
        Assert.That(Look(ref alive, heard: true), Is.EqualTo(Verdict.Beat), "until one was written");
        Assert.That(Look(ref alive, heard: true, wrote: true), Is.EqualTo(Verdict.Fine));
    }

    [Test]
    public void A_standstill_counts_from_the_last_byte_that_was_taken()
    {
        var standstill = new Standstill();
        Assert.That(After(1, isWaiting: false, 0), Is.EqualTo(0));
        Assert.That(After(1, isWaiting: true, 100), Is.EqualTo(0), "since now");
        Assert.That(After(5, isWaiting: true, 100), Is.EqualTo(5));
        Assert.That(After(5, isWaiting: true, 101), Is.EqualTo(0), "a byte is progress");
        Assert.That(After(9, isWaiting: true, 101), Is.EqualTo(9));
        Assert.That(After(1, isWaiting: false, 101), Is.EqualTo(0), "nothing waits for it");
        Assert.That(After(1, isWaiting: true, 101), Is.EqualTo(0));

        double After(int seconds, bool isWaiting, long taken)
        {
            _clock.Advance(TimeSpan.FromSeconds(seconds));
            return standstill.Look(isWaiting, taken, _clock.GetTimestamp(), _clock).TotalSeconds;
        }
    }

    KeepAlive Start() => new(_clock.GetTimestamp());

    static IEnumerable<int> Seconds(int count) => Enumerable.Range(1, count);

    Verdict Look(ref KeepAlive alive, bool heard = false, bool wrote = false, bool inTheWay = false)
    {
        _clock.Advance(TimeSpan.FromSeconds(1));
        return alive.Look(heard, wrote, inTheWay, _clock.GetTimestamp(), TimeSpan.FromSeconds(15), _clock);
    }
}
