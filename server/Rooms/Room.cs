using System.Diagnostics;

namespace ChatMinimal;

/// <summary>
/// A room is a log and those who read it: the window, and a feed for each connection, in slices. Its one lock guards who is here; what is
/// to be sent for it is the pumps' work, each for its slices, who are called when there is some.
/// </summary>
/// <param name="name">As its log is called in the store.</param>
/// <param name="store">Where its log is.</param>
/// <param name="window">The log as memory sees it.</param>
/// <param name="clock">For what is told once a second.</param>
/// <param name="broadcaster">The pumps that its slices are served by.</param>
sealed class Room(string name, IMessageStore store, Window window, TimeProvider clock, Broadcaster broadcaster)
{
    static readonly TimeSpan s_lagTimeout = TimeSpan.FromSeconds(3); // behind the store

    readonly Lock _lock = new();
    readonly List<Feed> _feeds = []; // in the order in which they came
    readonly Typing _typing = new(clock);
    Attendance _elsewhere; // at the other servers

    public string Name => name;

    public IMessageStore Store => store;

    public Window Window => window;

    public Presence Presence { get; } = new(clock);

    /// <summary>
    /// Called with each step of this room's messages, on the thread that does it: by whoever watches, and it must be quick.
    /// </summary>
    public event Action<ThreadStep>? Traced;

    public bool IsTraced => Traced is not null;

    public void Trace(in ThreadStep step) => Traced?.Invoke(step);

    /// <summary>The same feeds, by who serves them.</summary>
    public Slices Slices { get; } = new(name, broadcaster);

    /// <summary>Who typed, as it was last told to all; null: nobody yet.</summary>
    public Typing.Telling? LatestTyping => _typing.Latest;

    /// <summary>Adds a feed and sets its cursor: what is appended from now on, it will be sent.</summary>
    public void Join(Feed feed, Resume resume)
    {
        lock (_lock)
        {
            Slice slice = Slices.Place(this);
            feed.Join(resume, slice);
            _feeds.Add(feed);
            slice.Add(feed);
            MembersChanged();
        }
    }

    public void Leave(Feed feed)
    {
        lock (_lock)
        {
            if (!_feeds.Remove(feed))
                return;
            Slices.Leave(feed);
            window.Leave(feed.Dialect);
            MembersChanged();
        }
    }

    public void Rename(Feed feed, string? newName)
    {
        lock (_lock)
        {
            if (feed.Name == newName)
                return;
            feed.Name = newName;
            MembersChanged();
        }
    }

    /// <summary>Someone types. The others are told when their pump comes by, but for those who are busy then.</summary>
    public void Typing(Feed author)
    {
        Typing(author.Name ?? "", author);
        (store as IElsewhere)?.Type(name, author.Name ?? "");
    }

    /// <summary>The same, of someone who may be at another server: without a feed.</summary>
    public void Typing(string author, Feed? feed)
    {
        bool isNews;
        lock (_lock)
            isNews = _typing.Add(author, feed);
        if (isNews)
            Slices.Wake();
    }

    /// <summary>Who is here, without the other servers.</summary>
    public Attendance Here
    {
        get
        {
            lock (_lock)
                return new(_feeds.Count, Presence.NamesOf(_feeds));
        }
    }

    /// <summary>It has changed who is in this room at the other servers.</summary>
    public void SetElsewhere(Attendance elsewhere)
    {
        lock (_lock)
        {
            _elsewhere = elsewhere;
            window.Elsewhere = elsewhere.Online;
            MembersChanged();
        }
    }

    /// <summary>
    /// Completes when this room has what a client may have seen elsewhere: at another server, whatever its dialect; or by GET, which
    /// can be ahead of the window for a moment.
    /// </summary>
    /// <exception cref="StoreUnavailableException">It does not come.</exception>
    public async ValueTask ReachAsync(Resume resume)
    {
        long since = clock.GetTimestamp();
        try
        {
            if (store is IElsewhere others)
                await others.CatchUpAsync(name).WaitAsync(s_lagTimeout, clock);
            else if (resume.After is { } after && !resume.Holds(window.Head) && resume.Holds(await store.OpenAsync(name, default)))
                for (LogHead head = window.Head; !resume.Holds(head); head = window.Head)
                    await window.GrownToAsync(head.Epoch, head.Epoch == resume.Epoch ? after : long.MaxValue)
                        .WaitAsync(TimeSpan.FromTicks(Math.Max(0, (s_lagTimeout - clock.GetElapsedTime(since)).Ticks)), clock);
        }
        catch (TimeoutException)
        {
            throw new StoreUnavailableException("this server lags behind the store");
        }
    }

    /// <summary>Appends what the store has put in order.</summary>
    public void Append(LogPage page)
    {
        if (IsTraced)
            AppendTraced(page);
        else
            window.Append(page);
        Slices.Grown();
    }

    void AppendTraced(LogPage page)
    {
        long bytes = page.Messages.Sum(message => (long)message.Text.Length), start = Stopwatch.GetTimestamp();
        Trace(new ThreadStep("committed", page.Next - 1, page.Messages.Count, bytes));
        window.Append(page);
        Trace(new ThreadStep("appended", page.Next - 1, page.Messages.Count, bytes, Took: Stopwatch.GetElapsedTime(start)));
    }

    /// <summary>Once a second, on the home pump's thread: what waited for its time is told now.</summary>
    public void Sweep()
    {
        window.Sweep();
        bool isNews;
        lock (_lock)
            isNews = Presence.Refresh(_feeds, _elsewhere) | _typing.Refresh();
        if (isNews)
            Slices.Wake();
    }

    // Under the lock.
    void MembersChanged()
    {
        if (Presence.Change(_feeds, _elsewhere))
            Slices.Wake();
    }
}
