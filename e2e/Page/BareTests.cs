using NUnit.Framework;

namespace ChatMinimal.E2E.Page;

/// <summary>
/// The archive on a machine with nothing else on it: a root of its own, which it cannot write to, and a user of its own. The same holds for
/// the image, whose contents these are. For root, on Linux, with a published server (E2E_SERVER).
/// </summary>
public sealed class BareTests : PageTest
{
    [Test, Explicit("wants E2E_SERVER, Native AOT, and root")]
    public async Task With_the_C_library_and_OpenSSL_alone_it_is_a_chat_in_a_browser()
    {
        Expected = NoConnection; // it is killed before the pages are closed
        using BuiltProcess server = Start("libssl.so.3 libcrypto.so.3", "--urls", "http://127.0.0.1:0");
        string address = (await server.ReadUntilAsync("Page: ")).Split("Page: ")[1];
        server.Ignore();
        Person ana = await OpenAsync(address), zoe = await OpenAsync(address);
        await ana.SayAsync("Bonjour");
        await zoe.SeesAsync("Bonjour");
        await zoe.SayAsync("Salut");
        await ana.SeesAsync("Bonjour", "Salut");
    }

    [Test, Explicit("wants E2E_SERVER, Native AOT, and root")]
    public async Task Without_OpenSSL_the_start_says_so_in_one_line()
    {
        using BuiltProcess server = Start("", "--urls", "http://127.0.0.1:0");
        (int code, string output, string error) = await server.EndAsync();
        Assert.That((code, output), Is.EqualTo((1, "")));
        Assert.That(error, Is.EqualTo("chatminimal: there is no OpenSSL on this machine, and WebSockets need it: apt-get install libssl3\n"));
    }

    [Test, Explicit("wants E2E_SERVER, Native AOT")]
    public void What_is_published_has_the_page_the_unit_and_no_debugging_symbols()
    {
        string server = Environment.GetEnvironmentVariable("E2E_SERVER") ?? throw new IgnoreException("wants E2E_SERVER, Native AOT");
        DirectoryInfo folder = new FileInfo(server).Directory!;
        string[] files = [.. folder.EnumerateFileSystemInfos("*", SearchOption.AllDirectories).Select(file => file.Name)];
        Assert.That(files, Is.SupersetOf(new[] { "index.html", "chatminimal.service", "LICENSE" }));
        Assert.That(files.Where(file => Path.GetExtension(file) is ".dbg" or ".pdb" or ".dSYM" or ".xml"), Is.Empty);
    }

    static BuiltProcess Start(string libraries, params string[] arguments)
    {
        if (!BuiltProcess.HasPublishedServer || !OperatingSystem.IsLinux() || Environment.UserName != "root")
            Assert.Ignore("wants E2E_SERVER, Native AOT, and root");
        return BuiltProcess.ServerWith(start =>
        {
            string[] bare = ["--mount", "--pid", "--fork", "--kill-child", "/bin/bash",
                Path.Combine(BuiltProcess.PathOf("Root"), "e2e", "Install", "bare.sh"),
                Path.GetDirectoryName(Path.GetFullPath(start.FileName))!, libraries];
            for (int i = 0; i < bare.Length; i++)
                start.ArgumentList.Insert(i, bare[i]);
            start.FileName = "unshare";
        }, arguments);
    }
}
