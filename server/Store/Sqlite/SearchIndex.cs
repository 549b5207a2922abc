using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The search index finds messages by their words. It is a file of its own beside the chat file, so that nothing that is written to it
/// holds up a commit, and a copy of what is committed and nothing else: one that is missing, damaged or of another file is made anew.
/// One thread reads what was committed, and adds it.
/// </summary>
sealed class SearchIndex : IDisposable
{
    const int AtOnce = 32;        // pages read in one go: others want to read, too
    const int BusyShare = 50;     // while messages come, the index takes one part in so many of the time, that is of one core

    static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(5);
    static readonly TimeSpan s_quiet = TimeSpan.FromMilliseconds(200);
    static readonly TimeSpan s_stopTimeout = TimeSpan.FromSeconds(1);
    static readonly TimeSpan s_retry = TimeSpan.FromSeconds(5);

    readonly string _path;
    readonly Readers _readers;
    readonly ILogger _log;
    readonly AutoResetEvent _work = new(false);
    readonly ManualResetEventSlim _stop = new();

    readonly Lock _lock = new();          // guards what follows
    readonly HashSet<string> _grown = [];
    bool _hasSeenAll;                     // false: every room is to be looked at
    long _grewAt;

    readonly Lock _asking = new();        // held while a search runs, and while the file is replaced
    SearchFile? _asked;                   // the connection that searches

    Thread? _thread;
    string? _told;                        // the thread's
    volatile bool _isStopped, _isBroken;

    public SearchIndex(string chatFile, Readers readers, ILogger log)
    {
        (_path, _readers, _log) = (chatFile + "-search", readers, log);
    }

    public void Start()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "search index" };
        _thread.Start();
    }

    /// <summary>Something was committed to this room.</summary>
    public void Grown(string room)
    {
        lock (_lock)
        {
            _grewAt = Stopwatch.GetTimestamp();
            if (!_grown.Add(room))
                return;
        }
        _work.Set();
    }

    /// <summary>The seqs of the newest messages of a log, newest first, that have all the words; of those before this one.</summary>
    /// <exception cref="StoreUnavailableException">The index cannot be read, and is about to be made anew.</exception>
    public List<long> Find(long room, LogHead head, SearchWords words, long before, int most)
    {
        lock (_asking)
        {
            try
            {
                _asked ??= SearchFile.Open(_path);
                List<long> seqs = _asked.Find(room, head, SearchFile.MatchOf(words), before, most);
                return seqs.Count == most || !words.MayBeBeginning
                    ? seqs
                    : _asked.Find(room, head, _asked.MatchOfBeginning(words), before, most);
            }
            catch (SqliteException error)
            {
                _asked?.Dispose();
                _asked = null;
                _isBroken = error.SqliteErrorCode is SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB;
                _work.Set();
                throw new StoreUnavailableException("the search index cannot be read now", error);
            }
        }
    }

    public void Dispose()
    {
        _isStopped = true;
        _stop.Set();
        _work.Set();
        _thread?.Join(s_stopTimeout);
        lock (_asking)
            _asked?.Dispose();
    }

    void Run()
    {
        while (!_isStopped)
        {
            try
            {
                using var file = SearchFile.Open(_path);
                _isBroken = false;
                while (!_isStopped && !_isBroken)
                    Round(file);
            }
            catch (SqliteException error)
            {
                Tell(error.Message);
                _isBroken |= error.SqliteErrorCode is SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB
                    or SQLitePCL.raw.SQLITE_ERROR;
                _work.WaitOne(s_retry); // the disk may be full
            }
            if (_isBroken)
                Forget();
        }
    }

    // Once, however often it is tried.
    void Tell(string reason)
    {
        if (reason != _told)
            _log.SearchIndexFailed(_path, reason);
        _told = reason;
    }

    void Forget()
    {
        lock (_asking)
        {
            _asked?.Dispose();
            _asked = null;
            try
            {
                foreach (string file in (string[])[_path, _path + "-wal", _path + "-shm"])
                    File.Delete(file);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                Tell(error.Message);
            }
        }
        lock (_lock)
            _hasSeenAll = false;
    }

    void Round(SearchFile file)
    {
        string[] rooms;
        bool seeAll;
        lock (_lock)
        {
            (rooms, seeAll) = ([.. _grown], !_hasSeenAll);
            _grown.Clear();
            _hasSeenAll = true;
        }
        if (seeAll)
            AddAll(file);
        foreach (string room in rooms)
            Add(file, room);
        if (!seeAll && rooms.Length == 0)
            _work.WaitOne();
    }

    void AddAll(SearchFile file)
    {
        for (long last = 0; !_isStopped && RoomsAfter(last) is { Names: { Count: > 0 } names, Last: var next }; last = next)
            foreach (string room in names)
                Add(file, room);
    }

    (List<string> Names, long Last) RoomsAfter(long last)
    {
        try
        {
            return _readers.Read(chat => Rows.RoomsAfter(chat, last));
        }
        catch (Exception error) when (error is SqliteException or StoreUnavailableException) // the chat file's own trouble, told as such
        {
            lock (_lock)
                _hasSeenAll = false;
            _work.WaitOne(s_retry);
            return ([], last);
        }
    }

    // What was committed to a room since it was last looked at, a little at a time.
    void Add(SearchFile file, string room)
    {
        for (bool isMore = true; isMore && !_isStopped && !_isBroken;)
        {
            long start = Stopwatch.GetTimestamp();
            isMore = AddSome(file, room);
            Pause(Stopwatch.GetElapsedTime(start));
        }
    }

    // False: that was all there is to do.
    bool AddSome(SearchFile file, string room)
    {
        (long id, LogHead head, List<Page>? pages) read;
        try
        {
            read = _readers.Read(chat =>
            {
                (long id, LogHead head) = Rows.ReadHead(chat, room, newEpoch: "");
                List<Page>? pages = id == 0 ? [] : file.NextOf(id, head) is { } from ? ReadSome(chat, id, from, head.Next) : null;
                return (id, head, pages);
            });
        }
        catch (Exception error) when (error is SqliteException or StoreUnavailableException)
        {
            return false; // as above; the room is looked at again when it grows
        }
        (long id, LogHead head, List<Page>? pages) = read;
        if (id == 0)
            return false;
        if (pages is null)
            file.ForgetSome(id, head);
        else
            file.Add(id, head, pages);
        return pages is null or { Count: AtOnce };
    }

    static List<Page> ReadSome(ChatFile chat, long room, long from, long next) =>
        from >= next ? [] : [.. Rows.PagesFrom(chat, room, from).Take(AtOnce)];

    // While people talk they have the core.
    void Pause(TimeSpan worked)
    {
        long grewAt;
        lock (_lock)
            grewAt = _grewAt;
        bool isBusy = grewAt != 0 && Stopwatch.GetElapsedTime(grewAt) < s_quiet;
        if (isBusy)
            _stop.Wait(TimeSpan.FromTicks(Math.Min(worked.Ticks * (BusyShare - 1), s_longestPause.Ticks)));
    }
}
