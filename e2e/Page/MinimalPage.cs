namespace ChatMinimal.E2E.Page;

/// <summary>web/minimal.html as a student has it on disk, with another server's address in its one line.</summary>
sealed class MinimalPage : IDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("chatminimal-");

    public MinimalPage(string server)
    {
        string web = Path.Combine(BuiltProcess.PathOf("Root"), "web");
        File.Copy(Path.Combine(web, "minimal.html"), Path.Combine(_folder.FullName, "minimal.html"));
        File.Copy(Path.Combine(web, "favicon.svg"), Path.Combine(_folder.FullName, "favicon.svg"));
        string script = File.ReadAllText(Path.Combine(web, "minimal.js")),
            edited = script.Replace("ws://localhost:8765", server, StringComparison.Ordinal);
        if (edited == script)
            throw new InvalidOperationException("the address is not where the course has it");
        File.WriteAllText(Path.Combine(_folder.FullName, "minimal.js"), edited);
    }

    public string Address => new Uri(Path.Combine(_folder.FullName, "minimal.html")).AbsoluteUri;

    public void Dispose() => _folder.Delete(recursive: true);
}
