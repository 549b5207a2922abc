using System.Diagnostics;
using System.IO.Compression;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>
/// What is packed is what one installs: the tool by dnx, the library by a program of one file. Only when asked for by name, as CI
/// does: it keeps both cores busy.
/// </summary>
public sealed class PackTests
{
#if DEBUG
    const string Configuration = "Debug";
#else
    const string Configuration = "Release";
#endif
    static readonly string s_root = BuiltProcess.PathOf("Root");

    [Test, Explicit("packs, installs and compiles"), CancelAfter(180_000)]
    public async Task From_a_folder_of_packages_dnx_runs_the_server_and_a_program_uses_the_library(CancellationToken cancel)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("chatminimal-packages-");
        try
        {
            string packages = Path.Combine(folder.FullName, "packages");
            foreach (string project in (string[])["server", "client/Library"])
                await RunAsync(s_root, ["pack", project, "--no-build", "-c", Configuration, "-o", packages], cancel);
            string tool = Directory.GetFiles(packages, "chatminimal.*.nupkg").Single();
            using (ZipArchive package = ZipFile.OpenRead(tool))
                foreach (string file in (string[])["README.md", "CHANGELOG.md", "THIRD-PARTY-NOTICES.md", "LICENSE", "/chatminimal.dll",
                    "/wwwroot/index.html", "/appsettings.json"])
                    Assert.That(package.Entries.Any(entry => entry.FullName == file || file[0] == '/'
                        && entry.FullName.EndsWith(file, StringComparison.Ordinal)), Is.True, file);

            string[] dnx = ["dnx", "chatminimal", "--source", packages, "--yes", "--"];
            Assert.That(await RunAsync(folder.FullName, [.. dnx, "--version"], cancel), Does.Contain($"chatminimal {ProgramVersion.Text}"));
            using Process server = Start(folder.FullName, [.. dnx, "--urls=http://127.0.0.1:0", "--Chat:Database="]);
            try
            {
                string? line;
                do
                    line = await server.StandardOutput.ReadLineAsync(cancel);
                while (line?.Contains("Page: ", StringComparison.Ordinal) == false);
                var address = new Uri(line!.Split("Page: ")[1]);
                _ = server.StandardOutput.BaseStream.CopyToAsync(Stream.Null, cancel);
                using var http = new HttpClient { BaseAddress = address };
                Assert.That(await http.GetStringAsync("/", cancel), Does.Contain("src=\"chat.js\""), "the page is in the package");

                string program = Path.Combine(folder.FullName, "talk.cs");
                await File.WriteAllTextAsync(program,
                    $$"""
                    #:package ChatMinimal.Client@{{ProgramVersion.Text}}
                    #:property PublishAot=false
                    using ChatMinimal.Client;
                    var chat = new ChatClient(new Uri("{{address}}"), name: "Ana");
                    _ = chat.SayAsync("Bonjour");
                    chat.Complete();
                    await foreach (Message message in chat.ReadAsync())
                        Console.WriteLine($"{message.Seq} {message.Name} : {message.Text}");
                    """, cancel);
                await File.WriteAllTextAsync(Path.Combine(folder.FullName, "nuget.config"),
                    $"""<configuration><packageSources><clear /><add key="folder" value="{packages}" /></packageSources></configuration>""", cancel);
                Assert.That(await RunAsync(folder.FullName, ["run", program], cancel), Does.EndWith("1 Ana : Bonjour\n"));
            }
            finally
            {
                server.Kill(entireProcessTree: true);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static async Task<string> RunAsync(string folder, string[] arguments, CancellationToken cancel)
    {
        using Process process = Start(folder, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(cancel), error = process.StandardError.ReadToEndAsync(cancel);
        using (cancel.Register(() => process.Kill(entireProcessTree: true)))
            await process.WaitForExitAsync(CancellationToken.None);
        cancel.ThrowIfCancellationRequested();
        Assert.That(process.ExitCode, Is.Zero, $"dotnet {string.Join(' ', arguments)}\n{await output}{await error}");
        return (await output).ReplaceLineEndings("\n");
    }

    static Process Start(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true, // a terminal would stop whoever is not in its foreground
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["NuGetAudit"] = "false"; // needs no network where the packages were restored before
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1"; // neither a build server nor its hold on our pipes is left behind
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["UseSharedCompilation"] = "false";
        if (folder != s_root) // nothing that was installed before counts, nor is anything left behind
            start.Environment["NUGET_PACKAGES"] = Path.Combine(folder, "installed");
        return Process.Start(start)!;
    }
}
