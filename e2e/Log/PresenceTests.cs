using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

/// <summary>A presence is told as a state: however much changes, it costs a room so many bytes a second and no more.</summary>
public sealed class PresenceTests
{
    readonly FakeTimeProvider _clock = new();
    readonly Room _room;

    public PresenceTests()
    {
        var options = new ChatOptions();
        var store = new MemoryStore(options, _clock);
        _room = new Room("salon", store, new Window("salon", options, new WindowBudget(1 << 20)), _clock,
            new Broadcaster(options, _clock, NullLogger<Broadcaster>.Instance)); // not started
        _room.Append(new LogPage(new LogHead("epoch", 1, 1), 1, []));
    }

    Feed Join(string name)
    {
        var feed = new Feed(_room, Dialect.Chat, name, _clock);
        _room.Join(feed, Resume.FromTheEnd);
        return feed;
    }

    [Test]
    public void A_rename_a_second_among_400_is_told_in_so_many_bytes_a_second()
    {
        var everyone = new List<Feed>();
        for (int i = 0; i < 400; i++)
            everyone.Add(Join($"a name of thirty-two letters {i:000}"));
        long bytes = 0;
        byte[]? told = null;
        for (int second = 0; second < 60; second++)
        {
            _room.Rename(everyone[second], $"another of thirty-two letter {second:000}");
            _clock.Advance(TimeSpan.FromSeconds(1));
            _room.Sweep();
            if (_room.Presence.Frame != told)
                bytes += (told = _room.Presence.Frame)!.Length * (long)everyone.Count;
        }
        Assert.That(bytes, Is.InRange(1, 61L << 20), "at most a megabyte a second, to all of them together");
    }

    [Test]
    public void Whoever_came_last_is_named_though_a_hundred_others_stay()
    {
        for (int i = 0; i < 200; i++)
            Join($"n{i}");
        Join("latest");
        _clock.Advance(TimeSpan.FromSeconds(60));
        _room.Sweep();
        string presence = System.Text.Encoding.UTF8.GetString(_room.Presence.Frame!);
        Assert.That(presence, Does.Contain("\"online\":201").And.Contain("\"latest\"").And.Contain("\"n199\"").And.Not.Contain("\"n50\""));
    }
}
