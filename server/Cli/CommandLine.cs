namespace ChatMinimal;

/// <summary>
/// The command line says what the program is to do: serve, which is what it does without a word, or one of a few commands. What it says
/// beyond that is configuration, and goes on to ASP.NET as it is.
/// </summary>
/// <remarks>No library: the names below Kestrel: and Logging: are an open set, which those that we know cannot declare.</remarks>
static class CommandLine
{
    const int MostEdits = 3; // between what was typed and what may have been meant

    // What ASP.NET and WebApplicationFactory understand beside ours.
    static readonly string[] s_hostOptions =
    [
        "urls", "http_ports", "https_ports", "environment", "contentRoot", "applicationName", "webRoot", "AllowedHosts",
            "ConnectionStrings:Chat",
        "hostingStartupAssemblies", "hostingStartupExcludeAssemblies", "preventHostingStartup", "preferHostingUrls", "detailedErrors",
        "captureStartupErrors", "suppressStatusMessages", "startupAssembly", "shutdownTimeoutSeconds", "staticWebAssets",
            "forwardedHeaders_enabled",
    ];
    static readonly string[] s_openSections = ["Kestrel:", "Logging:"];
    static readonly string[] s_helpOptions = ["--help", "-h", "-?", "/?", "help"];

    /// <summary>
    /// Does it; whatever cannot be done is told in one line. Returns the exit code; null: serve, and nothing speaks against it.
    /// </summary>
    public static async Task<int?> RunAsync(string[] args)
    {
        try
        {
            if (args.Any(argument => s_helpOptions.Contains(argument)))
                return Print(Help.Text);
            if (args.Contains("--version"))
                return Print($"chatminimal {ProgramVersion.Text}");
            if (args is not [{ } first, ..] || IsOption(first))
            {
                Check(args, operands: 0);
                _ = new Settings(args);
                return null;
            }
            Command command = Command.All.FirstOrDefault(command => command.Name == first)
                ?? throw new StartException($"'{first}' is not a command{DidYouMean(first, Command.All.Select(known => known.Name))}");
            string[] rest = args[1..];
            string[] operands = Check(rest, command.Operands.Length, command.Options);
            if (operands.Length < command.Operands.Length)
                throw new StartException($"{command.Name} needs {command.Operands[operands.Length]}: chatminimal {command.Usage}");
            return await command.RunAsync(operands, new Settings(rest[operands.Length..]));
        }
        catch (Exception error) when (StartFailure.Explain(error) is { } line)
        {
            await Console.Error.WriteLineAsync($"chatminimal: {line}");
            return 1;
        }
    }

    /// <summary>The name among these that is nearest to what was typed, as the end of a sentence; nothing when none is near.</summary>
    public static string DidYouMean(string typed, IEnumerable<string> known, string prefix = "")
    {
        string? nearest = known.MinBy(Distance);
        return nearest is not null && Distance(nearest) <= MostEdits
            ? $"; did you mean {prefix}{nearest}? (--help lists them all)"
            : " (--help lists them all)";

        // The name may lack its section.
        int Distance(string name) => Math.Min(Edits(typed, name), name.Split(':') is [.., var last] ? Edits(typed, last) : int.MaxValue);
    }

    // Operands come first, then options. Returns the operands.
    static string[] Check(string[] args, int operands, params string[] more)
    {
        string[] first = [.. args.TakeWhile(argument => !IsOption(argument)).Take(operands)];
        var given = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (int i = first.Length; i < args.Length; i++)
        {
            string argument = args[i];
            if (!IsOption(argument))
                throw new StartException($"'{argument}' is not understood: options begin with --, such as --urls http://localhost:8765");
            string[] parts = argument.Split('=', 2);
            string name = parts[0].TrimStart('-', '/');
            if (parts[0] is not ['-', '-', ..] and not ['/', ..]
                || !(IsKnown(name) || more.Contains(name) || parts is [_, ""] && IsSection(name)))
                throw new StartException($"{parts[0]} is not an option{DidYouMean(name, ["help", "version", .. Names, .. more, .. InSections(name)], "--")}");
            if (!given.Add(name))
                throw new StartException($"--{name} is given twice");
            if (parts.Length == 1 && (++i == args.Length || args[i].StartsWith("--", StringComparison.Ordinal)))
                throw new StartException($"{parts[0]} needs a value: {parts[0]}=VALUE");
        }
        return first;
    }

    static IEnumerable<string> InSections(string name) =>
        name.Split(':', 2) is [_, var rest] ? s_openSections.Select(section => section + rest) : [];

    static IEnumerable<string> Names => [.. s_hostOptions, .. ChatOption.All.Select(option => option.FullName)];

    static bool IsOption(string argument) => argument is ['-', _, ..] || argument is ['/', ..] && argument.Contains('=');

    static bool IsKnown(string name) => Names.Contains(name, StringComparer.OrdinalIgnoreCase)
        || s_openSections.Any(section => name.Length > section.Length && name.StartsWith(section, StringComparison.OrdinalIgnoreCase))
        || ChatOption.All.Any(option => option.IsList && name.StartsWith(option.FullName + ":", StringComparison.OrdinalIgnoreCase));

    // WebApplicationFactory passes those, too, as options without a value.
    static bool IsSection(string name) =>
        Names.Concat(s_openSections).Any(known => known.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
            || ChatOption.All.Any(option => option.IsList && option.FullName == name);

    static int Print(string text)
    {
        Console.Out.WriteLine(text);
        return 0;
    }

    // How many characters one must add, remove or replace (Levenshtein); a longer text is cut, for it is nothing near.
    static int Edits(string typed, string name)
    {
        ReadOnlySpan<char> text = typed.AsSpan(0, Math.Min(typed.Length, name.Length + MostEdits + 1));
        int[] row = [.. Enumerable.Range(0, name.Length + 1)];
        for (int i = 0; i < text.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < name.Length; j++)
            {
                int edit = char.ToLowerInvariant(text[i]) == char.ToLowerInvariant(name[j]) ? 0 : 1;
                (row[j + 1], diagonal) = (Math.Min(Math.Min(row[j], row[j + 1]) + 1, diagonal + edit), row[j + 1]);
            }
        }
        return row[name.Length];
    }
}
