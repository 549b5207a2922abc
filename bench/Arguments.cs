using System.Globalization;

namespace ChatMinimal.Bench;

/// <summary>What was asked for on the command line.</summary>
sealed record Arguments
{
    public static string HelpText { get; } = $"""
        Measures the server, and its peers, on this machine.

          dotnet run -c Release --project bench -- [options]

          --quick                 some scenarios, some servers; under two minutes (the default)
          --full                  every scenario, every server, several rounds in alternating order, and medians
          --rounds N              how many rounds (quick: {Benchmark.QuickRounds}; full: {Benchmark.FullRounds})
          --cores N               how many cores the server is given (default: 1)
          --only SCENARIO,...     these scenarios; a name stands for all that begin with it
          --servers NAME,...      these servers
          --server-dir NAME=PATH  also the server published in PATH; may be given several times, to compare builds
          --server-arg ARG        one more argument for our server, such as --server-arg=--Chat:Durability=full; may be given several times
          --warm SECONDS          before measuring (quick: {Benchmark.QuickWarm}, JIT {Benchmark.QuickWarmTiered}; full: {Benchmark.FullWarm}, JIT {Benchmark.FullWarmTiered})
          --seconds SECONDS       measured (quick: {Benchmark.QuickSeconds}; full: {Benchmark.FullSeconds})
          --out FOLDER            where the results go (default: bench/results, if everything is measured)
          --help

        Scenarios:
        {string.Join('\n', Scenario.All.Select(scenario => $"  {scenario.Name,-12} {scenario.Meaning}"))}

        Servers:
        {string.Join('\n', Contestant.All.Select(contestant => $"  {contestant.Name,-12} {contestant.Title}"))}
        """;

    public bool Help { get; init; }
    public bool Full { get; init; }
    public int? Rounds { get; init; }
    public int Cores { get; init; } = 1;
    public string[] Only { get; init; } = [];
    public string[] Servers { get; init; } = [];
    public (string Name, string Path)[] ServerFolders { get; init; } = [];
    public string[] ServerArguments { get; init; } = [];
    public double? Warm { get; init; }
    public double? Seconds { get; init; }
    public string? Out { get; init; }

    public bool Filtered => Only.Length + Servers.Length + ServerFolders.Length + ServerArguments.Length > 0 || Cores > 1;

    public static Arguments? Parse(string[] args, out string problem)
    {
        var arguments = new Arguments();
        problem = "";
        args = [.. args.SelectMany(Split)];
        for (int i = 0; i < args.Length; i++)
        {
            string value = i + 1 < args.Length ? args[i + 1] : "";
            bool isNumber = double.TryParse(value, CultureInfo.InvariantCulture, out double number) && number > 0;
            switch (args[i])
            {
                case "--help" or "-h": arguments = arguments with { Help = true }; continue;
                case "--quick": arguments = arguments with { Full = false }; continue;
                case "--full": arguments = arguments with { Full = true }; continue;
                case "--rounds" when isNumber: arguments = arguments with { Rounds = (int)Math.Ceiling(number) }; break;
                case "--cores" when isNumber: arguments = arguments with { Cores = (int)Math.Ceiling(number) }; break;
                case "--warm" when isNumber: arguments = arguments with { Warm = number }; break;
                case "--seconds" when isNumber: arguments = arguments with { Seconds = number }; break;
                case "--only" when value != "": arguments = arguments with { Only = value.Split(',') }; break;
                case "--servers" when value != "": arguments = arguments with { Servers = value.Split(',') }; break;
                case "--server-arg" when value != "":
                    arguments =
                    arguments with { ServerArguments = [.. arguments.ServerArguments, value] }; break;
                case "--out" when value != "": arguments = arguments with { Out = value }; break;
                case "--server-dir" when value.Split('=', 2) is [{ Length: > 0 } name, { Length: > 0 } path]:
                    arguments = arguments with { ServerFolders = [.. arguments.ServerFolders, (name, Path.GetFullPath(path))] };
                    break;
                default:
                    problem = $"{args[i]} {value}: not understood; see --help";
                    return null;
            }
            i++;
        }
        problem = arguments.Unknown() is { } unknown ? $"{unknown}: no such name; see --help" : "";
        return problem == "" ? arguments : null;
    }

    /// <summary>--name=value is --name value.</summary>
    static string[] Split(string word) => word.StartsWith("--", StringComparison.Ordinal) ? word.Split('=', 2) : [word];

    string? Unknown() =>
        Only.FirstOrDefault(name => !Scenario.All.Any(scenario => scenario.Matches(name))) ??
        Servers.FirstOrDefault(name => !Contestant.All.Any(known => known.Name == name)
            && !ServerFolders.Any(folder => folder.Name == name));
}
