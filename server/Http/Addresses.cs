using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace ChatMinimal;

/// <summary>
/// What each address has used up of what one address may: places, rooms, messages, guesses. An address is an IPv4 address or
/// an IPv6 /64, which is what one household or one machine is given.
/// </summary>
/// <remarks>
/// Whoever has many addresses has many shares; the limits of the whole server are for that. This table is bounded itself:
/// it forgets the addresses that nobody is connected from and that have been silent for longest.
/// </remarks>
sealed class Addresses(ChatOptions options, TimeProvider clock)
{
    const int MostUsages = 1 << 14; // more than MaxConnections by default; 200 bytes each
    const int Hour = 3600, Minute = 60;
    const int FullFor = 10; // seconds until somebody may have left

    readonly Rate _rooms = new(options.PerAddressRooms / (double)Hour, options.PerAddressRooms);
    readonly Rate _posts = new(options.MessagesPerSecond, options.Burst);
    readonly Rate _guesses = new(options.PerAddressGuesses / (double)Minute, options.PerAddressGuesses);
    readonly Lock _lock = new();
    readonly Dictionary<ulong, Usage> _usages = [];

    /// <summary>How many addresses are remembered.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _usages.Count;
        }
    }

    /// <summary>Takes a place for a connection, to be given back with <see cref="Leave"/>. Null: this address is not limited.</summary>
    public Problem? TryEnter(IPAddress? address, out Usage? usage)
    {
        lock (_lock)
        {
            usage = options.PerAddress == 0 ? null : Of(address);
            if (usage is null)
                return null;
            if (usage.Connections >= options.PerAddress)
                return TooMany($"there are {options.PerAddress} connections from this address already", TimeSpan.FromSeconds(FullFor));
            usage.Connections++;
            return null;
        }
    }

    public void Leave(Usage? usage)
    {
        if (usage is null)
            return;
        lock (_lock)
            usage.Connections--;
    }

    /// <summary>Whether this address is not limited: then nobody needs to look whether a room is new.</summary>
    public bool IsExempt(IPAddress? address) => KeyOf(address) is null;

    /// <summary>Begins a room whose log is empty. The same one again, after a cut, is not another.</summary>
    public Problem? TryBegin(IPAddress? address, string room)
    {
        lock (_lock)
        {
            if (Of(address) is not { } usage || usage.LastBegun == room)
                return null;
            if (!usage.Rooms.TryTake(_rooms, clock, out TimeSpan wait))
                return TooMany($"{options.PerAddressRooms} rooms an hour may be begun from one address", wait);
            usage.LastBegun = room;
            return null;
        }
    }

    /// <summary>Posts a message over HTTP.</summary>
    public Problem? TryPost(IPAddress? address)
    {
        lock (_lock)
            return Of(address) is { } usage && !usage.Posts.TryTake(_posts, clock, out TimeSpan wait)
                ? TooMany($"{options.MessagesPerSecond} messages a second may be posted from one address", wait)
                : null;
    }

    /// <summary>
    /// Shows an invitation. While there were too many wrong ones, a right one is not looked at either: it would tell a guesser.
    /// </summary>
    public Problem? TryInvite(IPAddress? address, bool isRight)
    {
        lock (_lock)
        {
            if (Of(address) is not { } usage)
                return null;
            if (!usage.Guesses.Has(_guesses, clock, out TimeSpan wait))
                return TooMany("too many wrong invitations from this address", wait);
            if (!isRight)
                usage.Guesses.Take(_guesses, clock);
            return null;
        }
    }

    static Problem TooMany(string detail, TimeSpan wait) => new(StatusCodes.Status429TooManyRequests, detail, wait);

    // Under the lock, as is what it calls. Null: not limited.
    Usage? Of(IPAddress? address)
    {
        if (KeyOf(address) is not { } key)
            return null;
        if (!_usages.TryGetValue(key, out Usage? usage))
        {
            if (_usages.Count >= Math.Max(MostUsages, 2 * options.MaxConnections))
                ForgetTheSilent();
            _usages[key] = usage = new Usage();
        }
        usage.UsedAt = clock.GetTimestamp();
        return usage;
    }

    // A quarter at once, so that it costs each newcomer little.
    void ForgetTheSilent()
    {
        foreach (ulong key in _usages.Where(entry => entry.Value.Connections == 0).OrderBy(entry => entry.Value.UsedAt)
            .Take(_usages.Count / 4).Select(entry => entry.Key).ToArray())
            _usages.Remove(key);
    }

    // Null: a unix socket, or this machine, which is a proxy or whoever tries it out.
    ulong? KeyOf(IPAddress? address)
    {
        if (address is null || (IPAddress.IsLoopback(address) && !options.PerAddressLoopback))
            return null;
        Span<byte> bytes = stackalloc byte[16];
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        address.TryWriteBytes(bytes, out _);
        // An IPv4 address is below 2^32, where the /64 of no IPv6 address is but that of ::1.
        return address.AddressFamily == AddressFamily.InterNetwork
            ? BinaryPrimitives.ReadUInt32BigEndian(bytes)
            : BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }

    /// <summary>What one address has used up.</summary>
    public sealed class Usage
    {
        public int Connections;
        public TokenBucket Rooms, Posts, Guesses;
        public string? LastBegun;
        public long UsedAt;
    }
}
