namespace ChatMinimal.Bench;

/// <summary>What is asked of the server, and so which figures come of it.</summary>
enum Question
{
    Throughput,
    Latency,
    IdleMemory,
    Ingest,
    Typing,
    Start,
    Cost,
}

/// <summary>One column of a result.</summary>
sealed record Figure(string Name, string Unit, bool AgainstFloor = false);

/// <summary>A scenario is one situation in which servers are compared.</summary>
sealed record Scenario(string Name, Question Question, string Meaning, LoadPlan Plan, bool Quick = false)
{
    public static Scenario[] All { get; } =
    [
        new("32-all", Question.Throughput,
            "32 clients, all talking, in rounds: each sends 64 messages of 64 bytes at once; the next round begins when all have all",
            new LoadPlan { Pace = Pace.Rounds, Clients = 32, Talkers = 32, Outstanding = 64 }, Quick: true),
        new("32-each", Question.Throughput, "32 clients, all talking: each says the next message when it hears its own",
            new LoadPlan { Pace = Pace.Closed, Clients = 32, Talkers = 32 }),
        new("1000-100", Question.Throughput, "1000 clients, 100 talking: each says the next message when it hears its own",
            new LoadPlan { Pace = Pace.Closed, Clients = 1000, Talkers = 100 }, Quick: true),
        new("1000-100-8", Question.Throughput, "1000 clients, 100 talking, each with 8 messages on their way",
            new LoadPlan { Pace = Pace.Closed, Clients = 1000, Talkers = 100, Outstanding = 8 }),
        new("1000-4", Question.Throughput, "1000 clients, 4 talking, the same way",
            new LoadPlan { Pace = Pace.Closed, Clients = 1000, Talkers = 4 }),
        new("100-at-500", Question.Latency, "100 clients, 500 messages a second in all, evenly spaced",
            new LoadPlan { Pace = Pace.Open, Clients = 100, Talkers = 100, Rate = 500, CheckEvery = 1 }, Quick: true),
        new("rooms", Question.Throughput, "100 rooms of 10 clients, all talking: each says the next message when it hears its own",
            new LoadPlan { Pace = Pace.Closed, Clients = 1000, Talkers = 1000, Rooms = 100 }),
        new("4k", Question.Throughput, "100 clients, 10 talking, messages of 4 KiB",
            new LoadPlan { Pace = Pace.Closed, Clients = 100, Talkers = 10, Bytes = 4096 }),
        new("typing", Question.Typing, "500 clients in a room, all typing: each tells so once a second",
            new LoadPlan { Pace = Pace.Typing, Clients = 500, Talkers = 500, Rate = 500 }, Quick: true),
        new("cores-room", Question.Throughput, "one room of 1000, 100 talking, by the number of pumps",
            new LoadPlan { Pace = Pace.Closed, Clients = 1000, Talkers = 100 }) { IsByPumps = true },
        new("cores-rooms", Question.Throughput, "100 rooms of 10, all talking, by the number of pumps",
            new LoadPlan { Pace = Pace.Closed, Clients = 1000, Talkers = 1000, Rooms = 100 }) { IsByPumps = true },
        new("ingest", Question.Ingest, "8 clients, each with 512 messages on their way: how many can be kept",
            new LoadPlan { Pace = Pace.Closed, Clients = 8, Talkers = 8, Outstanding = 512 }),
        new("idle", Question.IdleMemory, "10,000 clients who say nothing",
            new LoadPlan { Pace = Pace.Idle, Clients = 10_100 }),
        new("start", Question.Start, "from starting the process to its first accepted WebSocket; median of ten", new LoadPlan()),
        Cost(10), Cost(100), Cost(1000), Cost(10_000),
    ];

    static readonly Figure s_perCpu = new("deliveries per second of server CPU", "/s"), s_perSecond = new("deliveries per second", "/s"),
        s_cores = new("server cores", "");

    public Figure[] Figures => Question switch
    {
        Question.Throughput => [s_perCpu with { AgainstFloor = !IsByPumps }, s_perSecond, s_cores],
        Question.Latency => [new("p50", "ms"), new("p99", "ms"), new("p99.9", "ms"), new("server cores", "")],
        Question.IdleMemory => [new("bytes per client (RSS)", "B"), new("bytes per client (PSS)", "B"), new("RSS with 100 clients", "B")],
        Question.Ingest => [new("messages kept per second", "/s"), new("messages kept per second of server CPU", "/s"),
            new("server cores", "")],
        Question.Typing => [new("server CPU per typist and second", "µs"), new("frames a client and second", ""), new("server cores", "")],
        Question.Start => [new("first WebSocket", "ms"), new("first answer on /healthz", "ms")],
        _ => [new("server CPU per delivery", "ns"), new("deliveries per second", "/s"), new("server cores", "")],
    };

    public bool IsByPumps { get; init; } // ours against ours, with other numbers of pumps

    /// <summary>To whom figures are told as a ratio, and how a table says that.</summary>
    public (string Name, string Title) Reference => IsByPumps ? (Contestant.OnePump, "1 pump") : (Contestant.Reference, "Bun");

    public bool Matches(string name) => Name == name || Name.StartsWith(name + "-", StringComparison.Ordinal);

    /// <summary>One value for each figure.</summary>
    public double[] Values(LoadResult seen)
    {
        double cores = seen.ServerSeconds / seen.WallSeconds;
        double clients = Plan.Clients - 100; // the first hundred were there before
        return Question switch
        {
            Question.Throughput => [seen.Deliveries / seen.ServerSeconds, seen.Deliveries / seen.WallSeconds, cores],
            Question.Latency => [seen.P50, seen.P99, seen.P999, cores],
            Question.IdleMemory =>
                [(seen.ResidentAfter - seen.ResidentBefore) / clients, (seen.ProportionalAfter - seen.ProportionalBefore) / clients,
                seen.ResidentBefore],
            Question.Ingest => [Messages(seen) / seen.WallSeconds, Messages(seen) / seen.ServerSeconds, cores],
            Question.Typing => [seen.ServerSeconds * 1e6 / seen.Sent, seen.Deliveries / seen.WallSeconds / Plan.Clients, cores],
            _ => [seen.ServerSeconds * 1e9 / seen.Deliveries, seen.Deliveries / seen.WallSeconds, cores],
        };
    }

    double Messages(LoadResult seen) => (double)seen.Deliveries / Plan.Clients; // each is delivered to all

    static Scenario Cost(int clients) => new($"cost-{clients}", Question.Cost, $"{clients} clients, 10 talking: what one delivery costs",
        new LoadPlan { Pace = Pace.Closed, Clients = clients, Talkers = 10 });
}
