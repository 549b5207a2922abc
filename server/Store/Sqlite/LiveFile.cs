using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The live file is the chat file that the writer has open, with its lock, whatever somebody does to it meanwhile. After each commit it
/// looks whether the file is still where the next start will look for it: what is gone is put back from what is still open here; what was
/// replaced is another log, and what was committed into the old file is not acknowledged.
/// </summary>
/// <remarks>All of it by the writer; the first opening before anything is submitted, and the last closing after everything.</remarks>
sealed class LiveFile : IDisposable
{
    readonly string _path;
    readonly bool _isDurable;
    readonly Readers _readers;
    readonly Action<ChatFile> _becameAnother;
    readonly ILogger _log;
    readonly LockFile _lockFile;
    FilePlace _place;
    ChatFile? _file; // null until it can be had

    /// <param name="path">Of the file.</param>
    /// <param name="isDurable">Whether a commit survives a power loss.</param>
    /// <param name="readers">Of the same file: closed while it is replaced.</param>
    /// <param name="becameAnother">Called when it was opened anew and holds other logs.</param>
    /// <param name="log">The operator's.</param>
    public LiveFile(string path, bool isDurable, Readers readers, Action<ChatFile> becameAnother, ILogger log)
    {
        (_path, _isDurable, _readers, _becameAnother, _log) = (path, isDurable, readers, becameAnother, log);
        (_lockFile, _place) = (new LockFile(path), new FilePlace(path));
        Checkpoints = new Checkpoints(path, _lockFile, log);
    }

    public Checkpoints Checkpoints { get; }

    /// <summary>What is known of the file; for a transaction to go on from.</summary>
    public Known Known => _lockFile.Known!.Value;

    /// <summary>The one that was used last; null: none could be had.</summary>
    public ChatFile? Current => _file is { IsWhole: true } ? _file : null;

    /// <summary>For the first time: first the lock, then the file.</summary>
    /// <exception cref="ChatFileException">It cannot be used, and why.</exception>
    public void Open()
    {
        _lockFile.Take();
        _file = OpenFile();
    }

    /// <summary>The file, opened anew where that is needed.</summary>
    public ChatFile ForBatch()
    {
        if (_file is not { IsWhole: true } || _file.HasMoved)
            Reopen();
        return _file!;
    }

    /// <summary>Before a commit: what holds whether it succeeds or not.</summary>
    public void Remember(Known known) => _lockFile.Remember(known);

    /// <summary>
    /// After a commit: is it also where the next start will look for it? Where our handles have everything it is put there.
    /// </summary>
    /// <exception cref="StoreUnavailableException">It went into a file that is another one's by now.</exception>
    /// <exception cref="ChatFileException">Somebody has deleted the lock, and it cannot be had again.</exception>
    public void Settle(Known known)
    {
        _lockFile.Remember(known);
        if (!_lockFile.IsThere)
        {
            _lockFile.Take();
            _lockFile.Remember(known);
            _log.LockDeleted(_path);
        }
        Place place = _place.Look(_file!, known, Checkpoints.IsRunning);
        if (place == Place.Same)
            return;
        _log.FileMoved(_path, place);
        if (place is Place.Gone or Place.NoWal)
            Reopen();
        else
            _file!.IsWhole = false; // the next batch opens what is there now
        if (_file is not { IsWhole: true, IsAnother: false })
            throw new StoreUnavailableException($"{_path} was replaced");
    }

    public long WalLength => _place.WalLength;

    /// <summary>Nobody waits for this.</summary>
    public void Checkpoint() => Checkpoints.Continue(_file!, _place.WalLength);

    /// <summary>Takes back what the transaction of the moment has written.</summary>
    /// <param name="mayBeBroken">Whether another connection may do better.</param>
    public void Rollback(bool mayBeBroken)
    {
        if (_file is null)
            return;
        _file.TakeBack();
        if (mayBeBroken)
            _file.IsWhole = false;
    }

    public void Dispose()
    {
        Checkpoints.Wait();
        Close();
        _lockFile.Dispose();
    }

    // After a failure that may lie in the connection, or when the file is not where it was.
    void Reopen()
    {
        _lockFile.Take(); // it may have been deleted with the file, and another server have come
        _readers.Without(() =>
        {
            Checkpoints.Wait();
            if (_file is { HasMoved: true } && !File.Exists(_path))
                PutBack(_file);
            Close();
            _file = OpenFile();
            if (!_file.IsAnother)
                return;
            Checkpoints.ForgetEnds();
            _becameAnother(_file);
        });
    }

    // Somebody has deleted or renamed the file: our connection still has it, and all that was committed.
    void PutBack(ChatFile file)
    {
        string copy = _path + "-new";
        File.Delete(copy);
        file.CopyTo(copy);
        File.Delete(ChatFile.WalOf(_path)); // ours, without its file
        File.Delete(_path + "-shm");
        File.Move(copy, _path);
    }

    ChatFile OpenFile()
    {
        var file = ChatFile.OpenForWriting(_path, _isDurable, _lockFile);
        _place = new FilePlace(_path);
        if (file.HadStaleWal)
            _log.StaleWal(ChatFile.WalOf(_path));
        if (file.IsAnother)
            _log.AnotherLog(_path);
        return file;
    }

    void Close()
    {
        if (_file is null)
            return;
        ChatFile file = _file;
        _file = null;
        if (!file.HasMoved && _place.Look(file, _lockFile.Known ?? default, isCheckpointing: false) == Place.Overwritten)
        {
            file.CloseAsItIs(); // a checkpoint would write our WAL into a file that is not ours
            return;
        }
        try
        {
            Checkpoints.WriteEnds(file);
        }
        catch (SqliteException) { } // they are as they were
        file.CloseCleanly();
    }
}
