using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;

namespace ChatMinimal;

/// <summary><c>chatminimal backup FILE</c>: one snapshot of the database in a file of its own. Writers go on meanwhile.</summary>
static class BackupCommand
{
    public static async Task<int> RunAsync(string target, Settings settings)
    {
        (string source, target) = (settings.Database, Path.GetFullPath(target));
        if (Path.Exists(target))
            throw new StartException($"{target} is there already: a backup does not write over anything");
        string partial = target + ".partial"; // so that what has the name is whole
        File.Delete(partial);
        try
        {
            await Task.Run(() => Copy(source, partial));
            File.Move(partial, target);
        }
        catch (SqliteException error)
        {
            throw new StartException($"{source} cannot be copied to {target}: {error.Message}");
        }
        finally
        {
            File.Delete(partial);
        }
        Console.Out.WriteLine($"{source} copied to {target}, {new FileInfo(target).Length} bytes");
        return 0;
    }

    // VACUUM INTO reads one snapshot, and ends however much is written meanwhile; SQLite's online backup would start over.
    public static void Copy(string source, string target)
    {
        using (var file = ChatFile.OpenForReading(source))
        {
            Schema.Check(file, source);
            file.CopyTo(target);
        }
        using FileStream written = File.OpenRead(target);
        RandomAccess.FlushToDisk(written.SafeFileHandle);
    }
}
