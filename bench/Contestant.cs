namespace ChatMinimal.Bench;

/// <summary>How a server is started; {port} and {folder} stand for a free port and an empty folder.</summary>
sealed record Launch(string Version, params string[] Command);

/// <summary>A contestant is a server that can be measured: ours, or a peer.</summary>
sealed record Contestant(string Name, string Title, Func<Launch> Prepare)
{
    public const string Reference = "bun"; // every figure is also told as a ratio to it
    public const string Floor = "floor";
    public const string OnePump = "pumps-1"; // the same, where it is about the number of pumps

    /// <summary>In the order of the tables.</summary>
    public static Contestant[] All { get; } =
    [
        new("jit", "ChatMinimal (JIT)", () => Workshop.Published(aot: false)) { Tiered = true, Quick = true, Ours = true },
        new("aot", "ChatMinimal (AOT, batch)", () => Workshop.Batch(Workshop.Published(aot: true))) { Quick = true, Ours = true },
        new("aot-other", "ChatMinimal (AOT, not batch)", () => Workshop.Published(aot: true)) { Ours = true },
        new("jit-memory", "ChatMinimal (JIT), nothing kept on disk",
            () => Workshop.Published(aot: false, "--Chat:Database=")) { Tiered = true, Ours = true },
        new("aot-memory", "ChatMinimal (AOT, batch), nothing kept on disk",
            () => Workshop.Batch(Workshop.Published(aot: true, "--Chat:Database="))) { Ours = true },
        Pumps(1), Pumps(2), Pumps(4), Pumps(8),
        new(Reference, "Bun, publish/subscribe", () => Workshop.Bun("chat.bun.js")) { Quick = true },
        new("naive", "step 1 of the essay: foreach await SendAsync", () => Workshop.Step("1-naive")) { Tiered = true,
            Rooms = false },
        new("signalr", "SignalR, Clients.All", () => Workshop.InThisAssembly("signalr")) { Tiered = true, SignalR = true },
        new("ws", "Node ws, client.send", () => Workshop.Node("chat.ws.js")),
        new("py-loop", "Python websockets, await each send", () => Workshop.Python("chat.websockets.py", "loop")),
        new("py-broadcast", "Python websockets, broadcast()", () => Workshop.Python("chat.websockets.py", "broadcast")),
        new(Floor, "floor: bare epoll in C, no real server", () => Workshop.C("floor.c")) { Rooms = false },
    ];

    public bool Tiered { get; init; } // compiled while it runs by the .NET runtime: needs a long warm-up
    public bool Quick { get; init; }
    public bool Ours { get; init; } // keeps messages, and answers /healthz
    public bool SignalR { get; init; }
    public bool Rooms { get; init; } = true;
    public bool IsByPumps { get; init; } // ours, with so many of them: for the scenarios that are about that
    public bool IsFolder { get; init; }

    static Contestant Pumps(int count) => new($"pumps-{count}", $"ChatMinimal (AOT, batch), {count} {(count == 1 ? "pump" : "pumps")}",
        () => Workshop.Batch(Workshop.Published(aot: true, $"--Chat:Pumps={count}")))
    { Quick = true, Ours = true, IsByPumps = true };

    /// <summary>Whether it has a row in this scenario's table.</summary>
    public bool IsFor(Scenario scenario) => IsByPumps == scenario.IsByPumps || (IsFolder && Ours);

    public static Contestant Folder(string name, string path) =>
        new(name, name, () => Workshop.InFolder(path)) { Tiered = !Workshop.IsNative(path), Quick = true, Ours = true, IsFolder = true };

    /// <summary>Null, when the scenario can be asked of it.</summary>
    public string? NotFor(Scenario scenario) => scenario switch
    {
        { Question: Question.Ingest } when !Ours => "n/a: keeps nothing",
        { Question: Question.Typing } when !Ours => "n/a: tells nobody who types",
        { Plan.Rooms: > 1 } when !Rooms => "n/a: has no rooms",
        _ => null,
    };
}
