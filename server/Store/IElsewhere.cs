namespace ChatMinimal;

/// <summary>Who is in a room: how many, and names of some.</summary>
readonly record struct Attendance(int Online, IReadOnlyList<string> Names);

/// <summary>
/// Elsewhere is the other servers of a chat, where a store is shared by several: what they have committed, who is in a room there,
/// and who types. The latter two are a courtesy and not part of the log: they may come late, and typing may be lost.
/// </summary>
interface IElsewhere
{
    /// <summary>Begins to tell the others who is here, and to ask who is there.</summary>
    /// <param name="here">Asked about once a second: the rooms here, and who is in them.</param>
    /// <param name="there">Told when it has changed who is in one of those rooms at all other servers together.</param>
    /// <param name="types">Told the room and the name of who types there.</param>
    void Begin(Func<IReadOnlyDictionary<string, Attendance>> here, Action<string, Attendance> there, Action<string, string> types);

    /// <summary>
    /// Completes when those who follow this room here have been told everything that any server committed before the call.
    /// </summary>
    /// <exception cref="StoreUnavailableException">It could not be read.</exception>
    Task CatchUpAsync(string room);

    /// <summary>Somebody types here.</summary>
    void Type(string room, string name);
}
