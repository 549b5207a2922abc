using System.Diagnostics;
using System.Text.Json;

namespace ChatMinimal.Bench;

/// <summary>One figure-giving run of one server in one scenario; with a <see cref="Problem"/> there are no values.</summary>
sealed record Measurement(Scenario Scenario, Contestant Contestant, int Round, double[] Values, string? Problem = null,
    bool LoadWasBusy = false, double ForeignShare = 0,
    long Checked = 0);

/// <summary>The benchmark is a walk: for each round, each scenario, each server, one after another, each alone.</summary>
sealed class Benchmark
{
    public const int QuickRounds = 2, FullRounds = 3; // with one there would be no spread
    public const double QuickWarm = 1, QuickWarmTiered = 3, QuickSeconds = 1.5;
    public const double FullWarm = 3, FullWarmTiered = 8, FullSeconds = 5;

    const double Busy = 0.95; // of a core: from there on it is the load that is measured
    const int Starts = 10;
    const double IdleSettleSeconds = 3;
    static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(30);

    readonly Arguments _arguments;
    readonly Machine _machine;
    readonly Scenario[] _scenarios;
    readonly Contestant[] _contestants;
    readonly Dictionary<Contestant, Launch> _launches = [];
    readonly Dictionary<Contestant, string> _missing = [];
    readonly Report _report;

    public Benchmark(Arguments arguments)
    {
        _arguments = arguments;
        _machine = new Machine(arguments.Cores);
        _scenarios = [.. Scenario.All.Where(scenario => arguments.Only.Length > 0 ? arguments.Only.Any(scenario.Matches) : arguments.Full
            || scenario.Quick)];
        Contestant[] known = [.. arguments.ServerFolders.Select(folder => Contestant.Folder(folder.Name, folder.Path)), .. Contestant.All];
        _contestants = [.. known.Where(one => _scenarios.Any(one.IsFor)
            && (arguments.Servers.Length > 0 ? arguments.Servers.Contains(one.Name) : arguments.Full || one.Quick))];
        _report = new Report(_machine, _scenarios, _contestants);
    }

    public int Run()
    {
        foreach (Contestant contestant in _contestants)
            Prepare(contestant);
        _report.Versions = _launches.ToDictionary(pair => pair.Key, pair => pair.Value.Version);
        Console.WriteLine(_report.Head());

        int rounds = _arguments.Rounds ?? (_arguments.Full ? FullRounds : QuickRounds);
        // The references first, so that ratios can be told as it goes; and every second round the other way, so that nobody always comes
        // first.
        Contestant[] order =
            [.. _contestants.OrderBy(one => one.Name is Contestant.Floor or Contestant.Reference or Contestant.OnePump ? 0 : 1)];
        for (int round = 1; round <= rounds; round++)
        {
            foreach (Scenario scenario in _scenarios)
            {
                Console.WriteLine(Report.ScenarioHead(scenario, round, rounds));
                foreach (Contestant contestant in (round % 2 == 1 ? order : order.Reverse()).Where(one => one.IsFor(scenario)))
                {
                    Progress($"round {round} of {rounds}: {scenario.Name}, {contestant.Title} ...");
                    Measurement measured = Measure(scenario, contestant, round);
                    Progress("");
                    _report.Add(measured);
                    Console.WriteLine(_report.Row(measured));
                }
            }
        }
        string? folder = _arguments.Out ?? (_arguments.Filtered ? null : Path.Combine(Workshop.BenchFolder, "results"));
        if (rounds > 1 || folder is null)
            Console.WriteLine(_report.Markdown());
        if (folder is not null)
            _report.Write(folder, _arguments.Full ? "full" : "quick");
        return _report.AnyInvalid ? 1 : 0;
    }

    void Prepare(Contestant contestant)
    {
        Progress($"making ready: {contestant.Title} ...");
        try
        {
            _launches[contestant] = contestant.Prepare();
        }
        catch (MissingException missing)
        {
            _missing[contestant] = "missing: " + missing.Message;
        }
        Progress("");
    }

    Measurement Measure(Scenario scenario, Contestant contestant, int round)
    {
        if ((_missing.GetValueOrDefault(contestant) ?? contestant.NotFor(scenario)) is { } reason)
            return new Measurement(scenario, contestant, round, [], reason);
        try
        {
            return scenario.Question == Question.Start
                ? MeasureStart(scenario, contestant, round)
                : MeasureLoad(scenario, contestant, round);
        }
        catch (LoadException wrong)
        {
            return new Measurement(scenario, contestant, round, [], "INVALID: " + wrong.Message);
        }
    }

    Measurement MeasureLoad(Scenario scenario, Contestant contestant, int round)
    {
        string folder = Workshop.NewFolder();
        int port = Child.FreePort();
        using Child server = Start(contestant, port, folder);
        if (!server.Answers(port, PathOf(contestant), upgrade: true, s_startLimit))
            throw new LoadException("it does not answer: " + LastWords(folder));

        bool idle = scenario.Question == Question.IdleMemory;
        LoadPlan plan = scenario.Plan with
        {
            Port = port,
            ServerId = server.Id,
            SignalR = contestant.SignalR,
            WarmSeconds = idle ? 1 : _arguments.Warm ?? (_arguments.Full, contestant.Tiered) switch
            {
                (false, false) => QuickWarm,
                (false, true) => QuickWarmTiered,
                (true, false) => FullWarm,
                (true, true) => FullWarmTiered,
            },
            MeasureSeconds = idle ? IdleSettleSeconds : _arguments.Seconds ?? (_arguments.Full ? FullSeconds : QuickSeconds),
            ServerCores = _machine.ServerCores,
            LoadCore = _machine.LoadCore,
        };
        LoadResult seen = RunLoad(plan, folder);
        if (seen.Error is { } error)
            throw new LoadException(error + (server.Ended ? "; the server has ended: " + LastWords(folder) : ""));
        return new Measurement(scenario, contestant, round, scenario.Values(seen), LoadWasBusy: seen.LoadSeconds > Busy * seen.WallSeconds,
            ForeignShare: seen.ForeignShare, Checked: seen.Checked);
    }

    static LoadResult RunLoad(LoadPlan plan, string folder)
    {
        // The load compiles everything at once, and collects garbage like a small program; it makes next to none.
        using var load = new Child(Workshop.LoadCommand(JsonSerializer.Serialize(plan)), folder, log: null, plan.LoadCores,
            ("DOTNET_TieredCompilation", "0"), ("DOTNET_gcServer", "0"), ("DOTNET_gcConcurrent", "0"));
        string? output = load.Output(TimeSpan.FromSeconds(plan.LimitSeconds + 30));
        return output is { Length: > 0 }
            ? JsonSerializer.Deserialize<LoadResult>(output)!
            : throw new LoadException("the load did not end well");
    }

    Measurement MeasureStart(Scenario scenario, Contestant contestant, int round)
    {
        double[] values = [];
        // On a thread of its own, which can be pinned: asking must not take the server's core.
        var asking = new Thread(() =>
        {
            if (_machine.LoadCore is { } core)
                Libc.PinThisThread(core);
            values = [MedianStart(contestant, PathOf(contestant), upgrade: true),
                contestant.Ours ? MedianStart(contestant, "/healthz", upgrade: false) : double.NaN];
        });
        asking.Start();
        asking.Join();
        return values.Any(value => value < 0)
            ? new Measurement(scenario, contestant, round, [], "INVALID: it did not start")
            : new Measurement(scenario, contestant, round, values);
    }

    /// <summary>Milliseconds; negative when it did not start.</summary>
    double MedianStart(Contestant contestant, string path, bool upgrade)
    {
        double[] times = new double[Starts];
        for (int i = 0; i < Starts; i++)
        {
            string folder = Workshop.NewFolder();
            int port = Child.FreePort();
            long from = Stopwatch.GetTimestamp();
            using Child server = Start(contestant, port, folder);
            bool answered = server.Answers(port, path, upgrade, s_startLimit);
            times[i] = answered ? Stopwatch.GetElapsedTime(from).TotalMilliseconds : -1;
        }
        return times.Min() < 0 ? -1 : Report.Median(times);
    }

    Child Start(Contestant contestant, int port, string folder)
    {
        string[] more = contestant.Ours ? _arguments.ServerArguments : [];
        string[] command = [.. _launches[contestant].Command.Concat(more).Select(word => word
            .Replace("{port}", $"{port}", StringComparison.Ordinal)
            .Replace("{folder}", folder, StringComparison.Ordinal))];
        return new Child(command, folder, Path.Combine(folder, "log"), _machine.ServerCores, ("ASPNETCORE_ENVIRONMENT", "Production"));
    }

    static string PathOf(Contestant contestant) => contestant.SignalR ? "/hub" : "/ws";

    static string LastWords(string folder) =>
        File.ReadLines(Path.Combine(folder, "log")).LastOrDefault(line => line.Trim() != "")?.Trim() ?? "without a word";

    static void Progress(string text)
    {
        if (Console.IsErrorRedirected)
            Console.Error.Write(text == "" ? "" : text + "\n");
        else
            Console.Error.Write($"\r\e[K{text}");
    }
}
