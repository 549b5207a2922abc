using System.Collections.Concurrent;

namespace ChatMinimal;

/// <summary>
/// The loop is the thread that messages come through. Each turn it waits for sockets that can be read, has what is there received and
/// parsed, and then does what is due by now: above all one commit, of all that has gathered. So a message goes from its socket into the
/// log, and in a small room on to everyone, without a thread waking another.
/// </summary>
/// <remarks>
/// Two threads take turns at it, one at a time: one leads, the other is parked. Before the one that leads does what may take long (it waits
/// for a disk), it hands the lead over, and is parked when that is done. So whatever the disk does, sockets are read. Without an epoll the
/// loop only waits for what is posted, and leaves small rooms to the pumps, too.
/// </remarks>
sealed class Loop(ILogger<Loop> log) : IHostedService, IDisposable
{
    const int Threads = 2;

    // Clients a turn. The rest is for the pumps, which send meanwhile, unless there is only one core to do either on.
    static readonly int s_mostServed = Environment.ProcessorCount > 1 ? 256 : int.MaxValue;
    static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(250);

    [ThreadStatic] static bool t_isHere;
    [ThreadStatic] static List<Slice>? t_grown; // in this turn, and not served yet; null: this thread serves none
    [ThreadStatic] static int t_mayServe;       // so many clients more in this turn

    readonly ConcurrentQueue<Action> _due = new();
    readonly AutoResetEvent _lead = new(initialState: true); // set: nobody leads
    readonly AutoResetEvent _wake = new(initialState: false);
    Timer? _watch;
    Thread? _working; // the one that leads, but for while it waits; whoever takes it from here takes the lead
    int _asleep; // 1 while the leader waits, so that a busy loop costs its callers no system call
    long _turns, _turnsSeen;
    volatile bool _isStopped;

    /// <summary>Whether this is a thread of a loop: what is long, or waits, is not for it.</summary>
    public static bool IsHere => t_isHere;

    /// <summary>
    /// Takes it on to serve a slice that has grown, once, and at the latest at the end of this turn. False: this is no thread of the loop,
    /// or it would send for too long without receiving. That is the pumps' work.
    /// </summary>
    public static bool TryServe(Slice slice)
    {
        if (t_grown is not { } grown)
            return false;
        if (grown.Contains(slice))
            return true;
        if (slice.Count > t_mayServe)
            return false;
        t_mayServe -= slice.Count;
        grown.Add(slice);
        return true;
    }

    /// <summary>Serves what this thread has taken on, now.</summary>
    public static void ServeGrown()
    {
        while (t_grown is [.., var slice] grown)
        {
            grown.RemoveAt(grown.Count - 1);
            slice.Serve();
        }
    }

    public bool IsRunning => _watch is not null;

    /// <summary>The sockets that it receives from; null: others do.</summary>
    public Epoll? Sockets { get; private set; }

    /// <summary>Before it starts: it is to wait for sockets, too.</summary>
    public void UseSockets() => Sockets = new Epoll();

    public void Start()
    {
        if (IsRunning)
            return;
        for (int i = 0; i < Threads; i++)
            new Thread(Run) { IsBackground = true, Name = "loop" }.UnsafeStart(); // without the starter's context
        _watch = new Timer(static loop => ((Loop)loop!).Look(), this, s_lookEvery, s_lookEvery);
    }

    Task IHostedService.StartAsync(CancellationToken cancel)
    {
        Start();
        return Task.CompletedTask;
    }

    Task IHostedService.StopAsync(CancellationToken cancel)
    {
        Dispose();
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        _isStopped = true;
        _watch?.Dispose();
        _lead.Set();
        Wake();
    }

    /// <summary>Has something done at the end of this turn, or of the next.</summary>
    public void Post(Action action)
    {
        _due.Enqueue(action);
        if (Interlocked.Exchange(ref _asleep, 0) == 1)
            Wake();
    }

    /// <summary>What this thread does next may take long: if it leads, the other one does from now on.</summary>
    public void HandOver() => TakeFrom(Thread.CurrentThread);

    void TakeFrom(Thread leader)
    {
        if (Take(leader))
            _lead.Set();
    }

    void Wake()
    {
        if (Sockets is { } sockets)
            sockets.Wake();
        else
            _wake.Set();
    }

    void Run()
    {
        t_isHere = true;
        t_grown = Sockets is null ? null : []; // to send on this thread pays only where it also receives
        Thread here = Thread.CurrentThread;
        Span<byte> events = stackalloc byte[Epoll.EventsLength];
        while (_lead.WaitOne() && !_isStopped)
        {
            do
            {
                int ready = Wait(events);
                _turns++;
                Volatile.Write(ref _working, here);
                Work(events, ready);
            } while (Take(here) && !_isStopped);
        }
        _lead.Set(); // for the other one
    }

    bool Take(Thread leader) => Interlocked.CompareExchange(ref _working, null, leader) == leader;

    void Work(ReadOnlySpan<byte> events, int ready)
    {
        t_mayServe = s_mostServed;
        int told = 0;
        for (bool isDone = false; !isDone;)
            try
            {
                while (told < ready)
                    Sockets!.Tell(events, told++);
                for (int due = _due.Count; due > 0 && _due.TryDequeue(out Action? action); due--)
                    action();
                ServeGrown();
                isDone = true;
            }
            catch (Exception error) // what one does wrong costs that one; this is the net below
            {
                log.LoopFailed(error);
            }
    }

    // Nobody takes the lead from one who waits: there is nothing to wait for behind its back.
    int Wait(Span<byte> events)
    {
        bool mayWait = _due.IsEmpty;
        if (mayWait)
        {
            // Looked at once more after the flag is up, for what came in between did not wake anyone.
            Interlocked.Exchange(ref _asleep, 1);
            mayWait = _due.IsEmpty && !_isStopped;
        }
        int ready = Sockets?.Wait(events, mayWait) ?? 0;
        if (Sockets is null && mayWait)
            _wake.WaitOne();
        Volatile.Write(ref _asleep, 0);
        return ready;
    }

    // Now and then: one that has been at the same turn since is stuck in something that nobody thought could take long.
    void Look()
    {
        long turns = Volatile.Read(ref _turns);
        if (turns == _turnsSeen && Volatile.Read(ref _working) is { } leader)
            TakeFrom(leader);
        _turnsSeen = turns;
    }
}
