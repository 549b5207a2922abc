using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

/// <summary>The house has floors, and knows only downwards: a reader can stop at any of them.</summary>
public sealed class HouseTests
{
    // From a floor to those that it may know. What lies at the top, beside Program.cs, wires them and is known by all: options, log lines
    // and metrics.
    static readonly Dictionary<string, string[]> s_below = new()
    {
        ["Http"] = ["Rooms", "Wire", "Chat", "Store"],
        ["Rooms"] = ["Wire", "Chat", "Store"],
        ["Wire"] = [],
        ["Store"] = ["Chat"],
        ["Chat"] = [],
    };

    static readonly string[] s_knownByAll = ["ChatOptions.cs", "OperatorLog.cs", "Metrics.cs", "Loop.cs"];

    [Test]
    public void Each_floor_knows_only_what_is_below()
    {
        CSharpCompilation house = Compile();
        var upwards = new SortedSet<string>(StringComparer.Ordinal);
        int arrows = 0;
        foreach (SyntaxTree file in house.SyntaxTrees.Where(file => s_below.ContainsKey(FloorOf(file.FilePath))))
        {
            SemanticModel model = house.GetSemanticModel(file);
            foreach (SimpleNameSyntax name in file.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>())
            {
                if (PlaceOf(model.GetSymbolInfo(name).Symbol) is not { } place || FloorOf(place) == FloorOf(file.FilePath))
                    continue;
                arrows++;
                if (!s_below[FloorOf(file.FilePath)].Contains(FloorOf(place)) && !s_knownByAll.Contains(Path.GetFileName(place)))
                    upwards.Add($"{Path.GetFileName(file.FilePath)} ({FloorOf(file.FilePath)}) knows {name} ({Path.GetRelativePath(Root, place)})");
            }
        }
        Assert.That(upwards, Is.Empty);
        Assert.That(arrows, Is.GreaterThan(300), "or nothing was looked at");
    }

    // The line length that .editorconfig claims. What is between quotes is data, and may run on.
    [Test]
    public void Lines_end_where_the_editor_shows_their_end()
    {
        string top = Path.GetFullPath(BuiltProcess.PathOf("Root"));
        string[] files = [.. new[] { "server", "client", "bench", "e2e" }.SelectMany(folder =>
            Directory.EnumerateFiles(Path.Combine(top, folder), "*.cs", SearchOption.AllDirectories))
            .Where(file =>
                !Path.GetRelativePath(top, file).Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin" or "out"))];
        Assert.That(files.SelectMany(file => TooLong(file).Select(line => $"{Path.GetRelativePath(top, file)}:{line}")), Is.Empty);
        Assert.That(files, Has.Length.GreaterThan(200), "or nothing was looked at");
    }

    static IEnumerable<int> TooLong(string path)
    {
        SyntaxTree file = CSharpSyntaxTree.ParseText(File.ReadAllText(path));
        return file.GetText().Lines
            .Where(line => line.Span.Length > 140 && Quoted(file, line.Span) < 60)
            .Select(line => line.LineNumber + 1);
    }

    // How many of its characters are between quotes.
    static int Quoted(SyntaxTree file, TextSpan line) => file.GetRoot()
        .DescendantNodes(line, node => node is not InterpolatedStringExpressionSyntax)
        .Where(node => node is InterpolatedStringExpressionSyntax or LiteralExpressionSyntax { Token.Value: string })
        .Sum(node => node.Span.Intersection(line)?.Length ?? 0);

    static string Root => Path.GetFullPath(Path.Combine(BuiltProcess.PathOf("Root"), "server"));

    static string FloorOf(string file) =>
        Path.GetRelativePath(Root, file).Split(Path.DirectorySeparatorChar) is [var floor, _, ..] ? floor : "";

    static IEnumerable<string> Files() => Directory.EnumerateFiles(Root, "*.cs", SearchOption.AllDirectories)
        .Where(file => FloorOf(file) is "" || s_below.ContainsKey(FloorOf(file)));

    // Where the type is declared that a name stands for, or that what it stands for is a member of; null: it is not ours.
    static string? PlaceOf(ISymbol? symbol)
    {
        INamedTypeSymbol? type = symbol as INamedTypeSymbol ?? symbol?.ContainingType;
        return type?.DeclaringSyntaxReferences.FirstOrDefault()?.SyntaxTree.FilePath;
    }

    static CSharpCompilation Compile()
    {
        string assemblies = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        return CSharpCompilation.Create(
            "house",
            [.. Files().Append(GlobalUsings()).Select(file => CSharpSyntaxTree.ParseText(File.ReadAllText(file), path: file))],
            [.. assemblies.Split(Path.PathSeparator)
                .Where(file => Path.GetFileName(file) != "chatminimal.dll")
                .Select(file => MetadataReference.CreateFromFile(file))]);
    }

    // Written by the build: what every file of the server is as good as beginning with.
    static string GlobalUsings() =>
        Directory.EnumerateFiles(Path.Combine(Root, "obj"), "*.GlobalUsings.g.cs", SearchOption.AllDirectories).First();
}
