using System.Diagnostics;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>What the READMEs say is so, and the same in both languages.</summary>
public sealed class ReadmeTests
{
    static readonly string s_root = BuiltProcess.PathOf("Root"), s_english = Read("README.md"), s_french = Read("README.fr.md");

    [Test]
    public void Every_command_and_program_of_the_French_README_is_in_the_English_one()
    {
        string[] french = [.. Blocks(s_french)];
        Assert.That(french, Has.Length.GreaterThan(10));
        Assert.That(Blocks(s_english), Is.SupersetOf(french));
        foreach (string inline in (string[])["dotnet run --project server -- --urls http://*:8765 --Chat:AllowedOrigins=null",
            "chatminimal --help", "chatminimal backup"])
            Assert.That(s_english.Contains($"`{inline}", StringComparison.Ordinal)
                && s_french.Contains($"`{inline}", StringComparison.Ordinal), Is.True, inline);
    }

    [Test]
    public void The_table_of_options_has_every_option_and_its_default_in_both_languages()
    {
        Dictionary<string, string> options = ChatOption.All.ToDictionary(option => option.Name, option => option.Default);
        foreach (string readme in (string[])[s_english, s_french])
            Assert.That(Options(readme), Is.EquivalentTo(options));
    }

    [TestCase("the server says", "le serveur dit"), TestCase("the client says", "le client dit"), TestCase("metric", "métrique")]
    public void A_table_of_the_reference_has_the_same_rows_in_both_languages(string english, string french)
    {
        string[] rows = [.. RowsOf(s_english, english)];
        Assert.That(rows, Has.Length.GreaterThan(2));
        Assert.That(RowsOf(s_french, french), Is.EqualTo(rows));
    }

    [Test]
    public void What_to_expect_of_it_is_held_by_the_same_tests_in_both_languages()
    {
        string[] tests = [.. LastCellsOf(s_english, "one expects | yes: | held by")];
        Assert.That(tests, Has.Length.GreaterThan(10));
        Assert.That(LastCellsOf(s_french, "on attend | oui : | vérifié par"), Is.EqualTo(tests));

        static IEnumerable<string> LastCellsOf(string readme, string title) =>
            readme.Split($"\n| {title} |\n|---|---|---|\n")[1].Split("\n\n")[0].Trim().Split('\n').Select(row => row.Split(" | ")[^1]);
    }

    [Test]
    public void Every_action_of_the_workflows_is_pinned_by_its_commit()
    {
        foreach (string workflow in Directory.EnumerateFiles(Path.Combine(s_root, ".github", "workflows")))
            foreach (Match action in Regex.Matches(File.ReadAllText(workflow), @"uses: (.*)"))
                Assert.That(action.Groups[1].Value, Does.Match(@"^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+\r?$"), workflow);
    }

    [Test]
    public void Every_link_to_a_file_leads_to_one()
    {
        foreach (string file in (string[])["README.md", "README.fr.md", "CONTRIBUTING.md", "CHANGELOG.md", "client/Library/README.md", "e2e/README.md", "SECURITY.md"])
            foreach (Match link in Regex.Matches(Read(file), @"\]\((?!https?:|#)([^)#\s]+)"))
                Assert.That(Path.Exists(Path.Combine(s_root, Path.GetDirectoryName(file)!, link.Groups[1].Value)), Is.True,
                    $"{file}: {link.Groups[1].Value}");
    }

    [Test]
    public void Every_event_of_the_log_is_in_its_table()
    {
        string[] rows = [.. s_english.Split("| event | level | |")[1].Split("\n\n")[0].Split('\n').Select(row => row.Split('|'))
            .Where(row => row.Length > 2).Select(row => row[1])];
        int[] documented = [.. rows.SelectMany(row => Regex.Matches(row, @"(\d+)(?: to (\d+))?"))
            .SelectMany(match => Enumerable.Range(int.Parse(match.Groups[1].ValueSpan, null),
                match.Groups[2].Success
                    ? int.Parse(match.Groups[2].ValueSpan, null) - int.Parse(match.Groups[1].ValueSpan, null) + 1
                    : 1))];
        int[] written = [.. Directory.EnumerateFiles(Path.Combine(s_root, "server"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .SelectMany(file => Regex.Matches(File.ReadAllText(file), @"\[LoggerMessage\((\d+),"))
            .Select(match => int.Parse(match.Groups[1].ValueSpan, null))];
        Assert.That(written, Is.Unique);
        Assert.That(written, Is.SubsetOf(documented));
    }

    [Test]
    public void Every_package_that_is_shipped_is_named_with_its_licence()
    {
        string notices = Read("THIRD-PARTY-NOTICES.md");
        foreach (string project in (string[])["server", "client"])
            foreach ((string name, _) in JsonNode.Parse(Read($"{project}/packages.lock.json"))!["dependencies"]!["net10.0"]!.AsObject()
                .Where(package => (string?)package.Value!["type"] != "Project"))
                // The others are ASP.NET Core's own, or the build's
                if (!name.StartsWith("Microsoft.Extensions.", StringComparison.Ordinal) && name != "Microsoft.NET.ILLink.Tasks"
                    || name == "Microsoft.Extensions.Hosting.Systemd")
                    Assert.That(Regex.IsMatch(notices, $@"\b{Regex.Escape(name)}\b"), Is.True, name);
    }

    [Test]
    public async Task The_unit_is_hardened_as_the_README_says()
    {
        (int code, string output) =
            await RunAsync("systemd-analyze", "security", "--offline=yes", "--no-pager",
                Path.Combine(s_root, "server", "deploy", "chatminimal.service"));
        if (code < 0)
            Assert.Ignore("there is no systemd-analyze here");
        double exposure = double.Parse(
            Regex.Match(output, @"exposure level for \S+: ([\d.]+)").Groups[1].ValueSpan,
            System.Globalization.CultureInfo.InvariantCulture);
        Assert.That(exposure, Is.LessThan(2.5));
    }

    // Lines that are indented, and blocks within fences.
    static IEnumerable<string> Blocks(string readme) =>
        Regex.Matches(readme, @"(?:(?<=\n\n)(?:    .+\n)+)|```\w*\n[\s\S]*?```")
        .SelectMany(block => block.Value[0] == '`' ? [block.Value] : block.Value.TrimEnd().Split('\n')); // of commands, each line

    // The first cell of each.
    static IEnumerable<string> RowsOf(string readme, string title) =>
        readme.Split($"\n| {title} | |\n|---|---|\n")[1].Split("\n\n")[0].Trim().Split('\n').Select(row => row.Split(" |")[0]);

    static Dictionary<string, string> Options(string readme)
    {
        var options = new Dictionary<string, string>();
        foreach (Match row in Regex.Matches(readme.Split("| option | ")[1].Split("\n\n")[0], @"(?m)^\| (?<names>`\w+`(?:, `\w+`)*) \| (?<defaults>[^|]*)\|"))
        {
            string[] names = [.. Regex.Matches(row.Groups["names"].Value, @"\w+").Select(name => name.Value)];
            string[] defaults = row.Groups["defaults"].Value.Trim().Split(", ");
            for (int i = 0; i < names.Length; i++)
                options.Add(names[i], defaults[Math.Min(i, defaults.Length - 1)]);
        }
        return options;
    }

    static async Task<(int Code, string Output)> RunAsync(string program, params string[] arguments)
    {
        try
        {
            using Process process =
                Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            string output = await process.StandardOutput.ReadToEndAsync(TestContext.CurrentContext.CancellationToken);
            await process.WaitForExitAsync(TestContext.CurrentContext.CancellationToken);
            return (process.ExitCode, output);
        }
        catch (System.ComponentModel.Win32Exception) // it is not there
        {
            return (-1, "");
        }
    }

    static string Read(string file) => File.ReadAllText(Path.Combine(s_root, file)).ReplaceLineEndings("\n");
}
