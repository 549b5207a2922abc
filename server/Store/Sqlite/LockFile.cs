using System.Diagnostics;
using System.Text;
using System.Text.Unicode;
using Microsoft.Win32.SafeHandles;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The lock file lies beside the chat file. Who holds it is the only server of that file; it is let go when the process dies. It also
/// remembers which file was written last and up to where, so that another file in its place does not pass for the same log.
/// </summary>
sealed class LockFile(string path) : IDisposable
{
    const int Length = 256;    // bytes: written over in place, so that it costs one small write a transaction
    const int InUse = 11, InUseMac = 35; // EWOULDBLOCK
    const int InUseWindows = unchecked((int)0x80070020);

    // A server that stops just now may still have it, and so has a process that was forked from it and has not begun its program yet.
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2), s_retry = TimeSpan.FromMilliseconds(20);

    readonly string _path = path + "-lock";
    FileStream? _stream;
    SafeFileHandle? _file; // the stream's, which seeks each time it is asked for its handle

    /// <summary>What was last known of the chat file, by this server or the one before; null: nothing.</summary>
    public Known? Known { get; private set; }

    /// <summary>Takes the lock, anew if it was held: it may have been deleted.</summary>
    /// <exception cref="ChatFileException">Another server has it, or the place cannot be written to.</exception>
    public void Take()
    {
        _stream?.Dispose();
        (_stream, _file) = (null, null);
        long start = Stopwatch.GetTimestamp();
        while (!TryTake(mayWait: Stopwatch.GetElapsedTime(start) < s_patience))
            Thread.Sleep(s_retry);
    }

    // False: somebody has it, but perhaps not for long.
    bool TryTake(bool mayWait)
    {
        try
        {
            var options = new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                BufferSize = 0
            };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            _stream = new FileStream(_path, options);
            _file = _stream.SafeFileHandle;
            Known ??= Read(_file);
            return true;
        }
        catch (IOException error) when (error.HResult is InUse or InUseMac or InUseWindows)
        {
            return mayWait ? false : throw new ChatFileException($"{path} is in use by another server", mayPass: false, error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ChatFileException($"{path} cannot be used: {error.Message}", mayPass: File.Exists(path), error);
        }
    }

    /// <summary>Survives the death of the process, as a commit does.</summary>
    public void Remember(Known known)
    {
        Known = known;
        Span<byte> line = stackalloc byte[Length];
        line.Fill((byte)' ');
        line[^1] = (byte)'\n';
        // Only a mark that is none of ours makes it longer: the next start does not find it here, and takes the file for another one.
        _ = Utf8.TryWrite(line[..^1], $"{known.Old} {known.Mark} {known.Page} {known.At} {known.Boot}", out _);
        RandomAccess.Write(_file!, line, 0);
    }

    /// <summary>Whether there is one where the next server looks for it: this one, or already another server's.</summary>
    public bool IsThere => File.Exists(_path);

    public void Dispose() => _stream?.Dispose();

    static Known? Read(SafeFileHandle file)
    {
        var line = new byte[Length];
        int length = RandomAccess.Read(file, line, 0);
        return Encoding.ASCII.GetString(line, 0, length).TrimEnd().Split(' ') is [var old, var mark, var page, var at, var boot]
            && long.TryParse(page, out long id)
            ? new Known(old, mark, id, at, boot)
            : null;
    }
}

/// <summary>
/// What is known of a chat file. Its mark is random, and new at each start and each checkpoint: the file has the old one or this one, and
/// so has any of its WALs. The newest page has this id and time; 0: there is none to look for. It was written in this boot of the
/// machine; <see cref="AnyBoot"/>: a power loss takes nothing from it.
/// </summary>
readonly record struct Known(string Old, string Mark, long Page, string At, string Boot)
{
    public const string AnyBoot = "-";
    public const string NoTime = "-";

    public bool Has(string mark) => mark == Old || mark == Mark;

    /// <summary>This boot of the machine, where that can be known: after another one, what was not synced may be gone.</summary>
    public static string ThisBoot { get; } = OperatingSystem.IsLinux()
        ? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()
        : AnyBoot;
}
