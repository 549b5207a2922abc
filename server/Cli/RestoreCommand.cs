using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;

namespace ChatMinimal;

/// <summary>
/// <c>chatminimal restore FILE</c>: a copy takes the place of the database, as another log: its rooms have new epochs, so that no client
/// takes it for the one that it has seen. What was there is put aside, WAL included.
/// </summary>
static class RestoreCommand
{
    public static async Task<int> RunAsync(string source, Settings settings)
    {
        if (settings.Chat.Database == "")
            throw new StartException("Chat:Database is empty: there is no file to restore");
        (source, string path) = (Path.GetFullPath(source), Path.GetFullPath(settings.Chat.Database));
        if (!File.Exists(source))
            throw new StartException($"there is no {source}");
        using var lockFile = new LockFile(path);
        lockFile.Take(); // or a server is using it
        string fresh = path + ".restored", aside = path + "-replaced";
        try
        {
            File.Delete(fresh);
            await Task.Run(() => BackupCommand.Copy(source, fresh));
            ChatFile.MakeAnother(fresh);
        }
        catch (SqliteException error)
        {
            File.Delete(fresh);
            throw new StartException($"{source} cannot be restored: {error.Message}");
        }
        bool wasThere = File.Exists(path);
        foreach (string part in (string[])["-wal", "-shm", ""]) // SQLite finds them again, beside the file of that name
        {
            File.Delete(aside + part);
            if (File.Exists(path + part))
                File.Move(path + part, aside + part);
        }
        File.Move(fresh, path);
        Console.Out.WriteLine($"{source} restored to {path}{(wasThere ? $"; what was there is {aside}" : "")}");
        return 0;
    }
}
