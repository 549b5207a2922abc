namespace ChatMinimal.Sqlite;

/// <summary>
/// A checkpoint moves the WAL into the file. It takes a while, so that another thread does most of it, on a connection of its own, while
/// batches are committed; what came meanwhile is little, and the writer's own, short checkpoint moves that. Then the WAL begins anew from
/// the front.
/// </summary>
sealed class Checkpoints(string path, LockFile lockFile, ILogger log)
{
    const int LongWal = 4 << 20;    // bytes written, more or less, between two checkpoints
    const long LargeWal = 64 << 20; // bytes on the disk that the operator is told of, and then of each doubling

    readonly Dictionary<long, long> _ends = []; // next by room id, of rooms that have grown since their rows were told
    long _written; // bytes, more or less, since the last checkpoint began
    long _told = LargeWal / 2;
    Task? _running;

    public bool IsRunning => _running is not null;

    /// <summary>Its thread is done: what is left is the writer's.</summary>
    public bool IsEnding => _running is { IsCompleted: true };

    /// <summary>A room has grown in this transaction.</summary>
    public void Note(long room, long next, long bytes)
    {
        _ends[room] = next;
        _written += bytes;
    }

    /// <summary>
    /// Within the last transaction before a checkpoint: gives the file a new mark, which this checkpoint moves. The lock file knows both
    /// marks from before the commit until the new one is in the file itself, so that whichever of them a kill leaves there is the right
    /// one.
    /// </summary>
    public Known Mark(ChatFile file, Known known)
    {
        if (_running is not null || _written <= LongWal)
            return known;
        if (known.Old == known.Mark)
        {
            string mark = Identity.NewMark();
            lockFile.Remember(lockFile.Known!.Value with { Old = known.Mark, Mark = mark }); // of what is committed already
            known = known with { Old = known.Mark, Mark = mark };
        }
        else if (file.Mark == known.Mark) // it has not arrived yet: somebody reads
        {
            return known;
        } // else the transaction that had it was rolled back
        file.SetMark.Bind(1, known.Mark).Run();
        WriteEnds(file);
        return known;
    }

    /// <summary>Between two batches: ends the one that runs if its thread is done, begins one if it is due.</summary>
    public void Continue(ChatFile file, long walLength)
    {
        if (IsEnding)
        {
            _running = null;
            if (walLength >= 2 * _told)
                log.LargeWal(ChatFile.WalOf(path), (_told = walLength) >> 20);
            file.Checkpoint();
            Identity.ForgetOldMark(path, lockFile);
        }
        else if (_running is null && _written > LongWal)
        {
            _written = 0;
            _ends.Clear();
            _running = Task.Run(() => ChatFile.Checkpoint(path));
        }
    }

    /// <summary>For one who is going to close the file.</summary>
    public void Wait()
    {
        _running?.Wait();
        _running = null;
    }

    /// <summary>Now and then, so that rows which somebody deletes at the end of a log later on are known to be missing.</summary>
    public void WriteEnds(ChatFile file)
    {
        foreach ((long id, long next) in _ends)
            file.SetNext.Bind(1, id).Bind(2, next).Run();
    }

    /// <summary>The file is another one: its rooms have other ids.</summary>
    public void ForgetEnds() => _ends.Clear();
}
