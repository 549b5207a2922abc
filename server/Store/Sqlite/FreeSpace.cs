namespace ChatMinimal.Sqlite;

/// <summary>
/// The free space of the disk that the file is on: below <c>MinFreeBytes</c> nothing more is committed. What is there can be read.
/// </summary>
sealed class FreeSpace(string path, long minFreeBytes, TimeProvider clock)
{
    static readonly TimeSpan s_every = TimeSpan.FromSeconds(1); // for it asks the disk

    long? _seenAt; // timestamp of the last time that there was enough

    /// <exception cref="StoreUnavailableException">There is too little.</exception>
    public void Check()
    {
        if (minFreeBytes == 0 || (_seenAt is { } at && clock.GetElapsedTime(at) < s_every))
            return;
        if (new DriveInfo(Path.GetDirectoryName(path)!).AvailableFreeSpace < minFreeBytes)
            throw new StoreUnavailableException($"less than {minFreeBytes} bytes are free on the disk of {path} (Chat:MinFreeBytes)");
        _seenAt = clock.GetTimestamp();
    }
}
