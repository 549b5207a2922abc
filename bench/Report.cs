using System.Globalization;
using System.Text;

namespace ChatMinimal.Bench;

/// <summary>The report is the table: row by row as it goes, and in the end as Markdown and CSV.</summary>
sealed class Report(Machine machine, Scenario[] scenarios, Contestant[] contestants)
{
    const double Disturbing = 0.1; // of a core, had by somebody else while a server was measured
    const int NameWidth = 43, ColumnWidth = 17;

    readonly List<Measurement> _measured = [];

    public Dictionary<Contestant, string> Versions { get; set; } = [];
    public bool AnyInvalid => _measured.Any(one => one.Problem?.StartsWith("INVALID", StringComparison.Ordinal) ?? false);

    public void Add(Measurement measured) => _measured.Add(measured);

    // As it goes

    public string Head() => string.Join('\n', machine.Facts.Select(fact => $"{fact.Name}: {fact.Value}"));

    public static string ScenarioHead(Scenario scenario, int round, int rounds) =>
        $"\n{scenario.Name}: {scenario.Meaning}{(rounds > 1 ? $" (round {round} of {rounds})" : "")}\n{"",-NameWidth}" +
        string.Concat(scenario.Figures.Select(figure => $"  {Short(figure.Name),ColumnWidth}  {"x " + scenario.Reference.Title,8}"
            + (figure.AgainstFloor ? $"  {"x floor",7}" : "")));

    public string Row(Measurement one)
    {
        string name = $"{one.Contestant.Title}{(one.LoadWasBusy ? " *" : "")}{(one.ForeignShare > Disturbing ? " !" : "")}".PadRight(NameWidth);
        if (one.Problem is { } problem)
            return $"{name}  {problem}";
        var row = new StringBuilder(name);
        for (int i = 0; i < one.Values.Length; i++)
        {
            Figure figure = one.Scenario.Figures[i];
            _ = row.Append(CultureInfo.InvariantCulture,
                $"  {Show(one.Values[i], figure.Unit),ColumnWidth}  {ShowRatio(Ratio(one, i, one.Scenario.Reference.Name)),8}");
            if (figure.AgainstFloor)
                _ = row.Append(CultureInfo.InvariantCulture, $"  {ShowRatio(Ratio(one, i, Contestant.Floor)),7}");
        }
        return row.ToString();
    }

    // In the end

    public string Markdown()
    {
        var text = new StringBuilder();
        foreach (Scenario scenario in scenarios)
        {
            _ = text.Append(CultureInfo.InvariantCulture, $"\n### {scenario.Name}\n\n{scenario.Meaning}.\n\n| server |");
            string rule = "|---|";
            foreach (Figure figure in scenario.Figures)
            {
                _ = text.Append(CultureInfo.InvariantCulture, $" {figure.Name} | × {scenario.Reference.Title} |{(figure.AgainstFloor ? " × floor |" : "")}");
                rule += figure.AgainstFloor ? "---:|---:|---:|" : "---:|---:|";
            }
            _ = text.Append('\n').Append(rule).Append('\n');
            foreach (Contestant contestant in contestants.Where(one => one.IsFor(scenario)))
                _ = text.Append(MarkdownRow(scenario, contestant));
        }
        if (_measured.Any(one => one.LoadWasBusy))
            _ = text.Append("\n\\* the load was at the end of its own core: the server could have done more per second; per second of its CPU still holds.\n");
        if (_measured.Any(one => one.ForeignShare > Disturbing))
            _ = text.Append(CultureInfo.InvariantCulture,
                $"\n! other programs had over {Disturbing:0%} of one core of the server's or the load's: measure again on a quiet machine " +
                $"(at worst {_measured.Max(one => one.ForeignShare):0%}).\n");
        _ = text.Append("\n| measured on | |\n|---|---|\n");
        foreach ((string name, string value) in machine.Facts)
            _ = text.Append(CultureInfo.InvariantCulture, $"| {name} | {value} |\n");
        foreach ((Contestant contestant, string version) in Versions)
            _ = text.Append(CultureInfo.InvariantCulture, $"| {contestant.Title} | {version} |\n");
        return text.ToString();
    }

    string MarkdownRow(Scenario scenario, Contestant contestant)
    {
        Measurement[] rounds = Rounds(scenario, contestant);
        string title = contestant.Title + (rounds.Any(one => one.LoadWasBusy) ? " \\*" : "")
            + (rounds.Any(one => one.ForeignShare > Disturbing) ? " !" : "");
        if (rounds.FirstOrDefault(one => one.Problem is not null)?.Problem is { } problem)
            return $"| {title} | {problem.Replace('|', '/')} |\n";
        var row = new StringBuilder($"| {title} |");
        for (int i = 0; i < scenario.Figures.Length; i++)
        {
            Figure figure = scenario.Figures[i];
            _ = row.Append(CultureInfo.InvariantCulture,
                $" {ShowAll(Values(rounds, i), value => Show(value, figure.Unit))} | {ShowAll(Ratios(rounds, i, scenario.Reference.Name), ShowRatio)} |");
            if (figure.AgainstFloor)
                _ = row.Append(CultureInfo.InvariantCulture, $" {ShowAll(Ratios(rounds, i, Contestant.Floor), ShowRatio)} |");
        }
        return row.Append('\n').ToString();
    }

    public string Csv()
    {
        var text = new StringBuilder("scenario,server,round,figure,unit,value,ratio_to_reference,ratio_to_floor,load_was_busy,foreign_share,checked_messages,problem\n");
        foreach (Measurement one in _measured)
        {
            string problem = (one.Problem ?? "").Replace('"', '\'');
            if (one.Values.Length == 0)
                _ = text.Append(CultureInfo.InvariantCulture,
                    $"{one.Scenario.Name},{one.Contestant.Name},{one.Round},,,,,,,,,\"{problem}\"\n");
            for (int i = 0; i < one.Values.Length; i++)
            {
                Figure figure = one.Scenario.Figures[i];
                _ = text.Append(CultureInfo.InvariantCulture,
                    $"{one.Scenario.Name},{one.Contestant.Name},{one.Round},{figure.Name},{figure.Unit},{Number(one.Values[i])}," +
                    $"{Number(Ratio(one, i, one.Scenario.Reference.Name))},{Number(Ratio(one, i, Contestant.Floor))},{(one.LoadWasBusy ? 1 : 0)},{one.ForeignShare:0.###},{one.Checked},\n");
            }
        }
        foreach ((string name, string value) in machine.Facts)
            _ = text.Append(CultureInfo.InvariantCulture, $"# {name}: {value}\n");
        foreach ((Contestant contestant, string version) in Versions)
            _ = text.Append(CultureInfo.InvariantCulture, $"# {contestant.Title}: {version}\n");
        return text.ToString();
    }

    public void Write(string folder, string name)
    {
        _ = Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, name + ".md"), Markdown().TrimStart('\n'));
        File.WriteAllText(Path.Combine(folder, name + ".csv"), Csv());
        if (CostPlot() is { } plot)
            File.WriteAllText(Path.Combine(folder, name + "-cost.svg"), plot);
    }

    /// <summary>Null, when it was not measured.</summary>
    string? CostPlot()
    {
        Scenario[] costs = [.. scenarios.Where(scenario => scenario.Question == Question.Cost)];
        Plot.Line[] lines =
        [
            .. from contestant in contestants
               let points = from scenario in costs
                            let rounds = Rounds(scenario, contestant)
                            where rounds.Length > 0 && rounds.All(one => one.Problem is null)
                            select ((double)scenario.Plan.Clients, Median(Values(rounds, 0)))
               where points.Any()
               select new Plot.Line(contestant.Title, [.. points]),
        ];
        return costs.Length < 2 || lines.Length == 0
            ? null
            : Plot.Svg("Server CPU per delivery, by clients in the room (10 talking)", "ns", lines);
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Where(value => !double.IsNaN(value)).Order()];
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    Measurement[] Rounds(Scenario scenario, Contestant contestant) =>
        [.. _measured.Where(one => one.Scenario == scenario && one.Contestant == contestant)];

    static double[] Values(Measurement[] rounds, int figure) => [.. rounds.Select(one => one.Values[figure])];

    // The median of the ratios, not of the values: both of a pair come from the same round, when the machine was as fast for the one as for
    // the other.
    double[] Ratios(Measurement[] rounds, int figure, string to) => [.. rounds.Select(one => Ratio(one, figure, to))];

    // The median of the rounds, and how far apart they were.
    static string ShowAll(double[] rounds, Func<double, string> show)
    {
        double[] known = [.. rounds.Where(double.IsFinite)];
        string least = known.Length > 1 ? show(known.Min()) : "", most = known.Length > 1 ? show(known.Max()) : "";
        return show(Median(rounds)) + (least == most ? "" : $" ({least} to {most})");
    }

    double Ratio(Measurement one, int figure, string to) =>
        _measured.Find(other => other.Scenario == one.Scenario && other.Round == one.Round
            && other.Contestant.Name == to) is { Values.Length: > 0 } reference
            ? one.Values[figure] / reference.Values[figure]
            : double.NaN;

    static string Number(double value) => double.IsFinite(value) ? value.ToString("0.####", CultureInfo.InvariantCulture) : "";

    static string ShowRatio(double ratio) =>
        double.IsFinite(ratio) ? ratio.ToString(ratio < 0.1 ? "0.000" : ratio < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture) : "-";

    static string Show(double value, string unit)
    {
        if (!double.IsFinite(value))
            return "-";
        (double scaled, string prefix) = Math.Abs(value) switch
        {
            >= 1e6 when unit is not ("ns" or "µs") => (value / 1e6, "M"),
            >= 1e4 when unit is not ("ns" or "µs") => (value / 1e3, "k"),
            _ => (value, ""),
        };
        string digits = scaled.ToString(Math.Abs(scaled) < 10 ? "0.00" : Math.Abs(scaled) < 100 ? "0.0" : "0",
            CultureInfo.InvariantCulture);
        return $"{digits} {prefix}{unit}".TrimEnd();
    }

    static string Short(string name) => name
        .Replace("deliveries per second of server CPU", "per CPU second", StringComparison.Ordinal)
        .Replace("deliveries per second", "per second", StringComparison.Ordinal)
        .Replace("messages kept per second of server CPU", "per CPU second", StringComparison.Ordinal)
        .Replace("messages kept per second", "kept per second", StringComparison.Ordinal)
        .Replace("bytes per client (", "a client (", StringComparison.Ordinal)
        .Replace("RSS with 100 clients", "before", StringComparison.Ordinal)
        .Replace("first answer on /healthz", "/healthz", StringComparison.Ordinal)
        .Replace("server CPU per typist and second", "CPU per typist", StringComparison.Ordinal)
        .Replace("frames a client and second", "frames/client/s", StringComparison.Ordinal)
        .Replace("server CPU per delivery", "a delivery", StringComparison.Ordinal);
}
