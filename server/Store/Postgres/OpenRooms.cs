namespace ChatMinimal.Postgres;

/// <summary>The open rooms are those that are followed here, or written to: the logs that this server knows.</summary>
sealed class OpenRooms(PostgresStore store)
{
    readonly Lock _lock = new(); // guards the table and each log's users
    readonly Dictionary<string, RoomLog> _logs = [];

    public RoomLog[] All
    {
        get
        {
            lock (_lock)
                return [.. _logs.Values];
        }
    }

    /// <summary>The log of this room, for one user more; to be given back with <see cref="Leave"/>.</summary>
    public RoomLog Enter(string room)
    {
        lock (_lock)
        {
            if (!_logs.TryGetValue(room, out RoomLog? log))
                _logs.Add(room, log = new RoomLog(room, store));
            log.Users++;
            return log;
        }
    }

    public void Leave(RoomLog log)
    {
        lock (_lock)
            if (--log.Users == 0)
                _logs.Remove(log.Room);
    }

    /// <summary>Null: nobody follows it here, or writes to it.</summary>
    public RoomLog? Find(string room)
    {
        lock (_lock)
            return _logs.GetValueOrDefault(room);
    }

    /// <summary>There may be something new in all of them.</summary>
    public void WakeAll()
    {
        foreach (RoomLog log in All)
            log.Wake();
    }
}
