using System.Text.Json.Serialization;

namespace ChatMinimal.Bench;

/// <summary>How the talkers talk.</summary>
enum Pace
{
    /// <summary>Everyone sends a burst, and the next round begins when all have received everything.</summary>
    Rounds,

    /// <summary>A talker sends its next message when it hears one of its own.</summary>
    Closed,

    /// <summary>Messages at fixed times, whether answered or not.</summary>
    Open,

    /// <summary>Everyone who talks types, in chat.v1, once a second, and says nothing.</summary>
    Typing,

    /// <summary>Nobody talks; what counts is what it costs to be there.</summary>
    Idle,
}

/// <summary>A load plan is all that the load's process is told: whom to connect to, how many, and what to say.</summary>
sealed record LoadPlan
{
    public int Port { get; init; }
    public int ServerId { get; init; }
    public bool SignalR { get; init; }
    public Pace Pace { get; init; }
    public int Clients { get; init; }
    public int Talkers { get; init; }
    public int Rooms { get; init; } = 1;
    public int Bytes { get; init; } = 64; // of text, without the server's prefix
    public int Outstanding { get; init; } = 1; // messages of a talker on their way; in rounds, the burst
    public int Rate { get; init; } // messages a second, of all together; open pace only
    public double WarmSeconds { get; init; }
    public double MeasureSeconds { get; init; }
    public double LimitSeconds { get; init; } = 120; // for all of it
    public int CheckEvery { get; init; } = 16; // one client in so many is checked word by word
    public int[] ServerCores { get; init; } = [];
    public int? LoadCore { get; init; }
    [JsonIgnore]
    public int[] LoadCores => LoadCore is { } core ? [core] : [];
    [JsonIgnore]
    public bool Spin => LoadCore is not null; // with a core of its own it may wait without sleeping
}

/// <summary>What the load saw. With an <see cref="Error"/> nothing else counts.</summary>
sealed record LoadResult
{
    public string? Error { get; init; }
    public long Deliveries { get; init; } // whole messages parsed, by all clients
    public long Sent { get; init; }
    public long Checked { get; init; } // of the deliveries of the whole run, warm-up included
    public double WallSeconds { get; init; }
    public double ServerSeconds { get; init; } // CPU of the server's whole process, from the operating system
    public double LoadSeconds { get; init; } // when the load had something to do
    public double ForeignShare { get; init; } // of a core, the server's or the load's, the worse: what other programs had of it
    public double P50 { get; init; } // milliseconds, from when a message was due to when it was read
    public double P99 { get; init; }
    public double P999 { get; init; }
    public long ResidentBefore { get; init; } // bytes, with the first hundred clients
    public long ResidentAfter { get; init; } // bytes, with all
    public long ProportionalBefore { get; init; } // the same, shared pages counted by share
    public long ProportionalAfter { get; init; }
}

/// <summary>The server did something that a chat server must not do, or the load could not do its own part.</summary>
sealed class LoadException(string message) : Exception(message);
