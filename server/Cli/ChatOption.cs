using System.Globalization;

namespace ChatMinimal;

/// <summary>
/// One option of <see cref="ChatOptions"/>, as <c>--help</c> shows it and the start checks it: its unit, what it may be, what it is for.
/// </summary>
/// <param name="Least">Of a number; null: it is no number.</param>
sealed record ChatOption(string Name, Func<ChatOptions, object> Of, string Unit, string Text, long? Least = null, long Most = int.MaxValue)
{
    const string Prefix = ChatOptions.Section + ":";

    static readonly ChatOptions s_defaults = new();

    /// <summary>All of them, in the order in which one reads about them.</summary>
    public static readonly ChatOption[] All =
    [
        new(nameof(ChatOptions.Database), chat => chat.Database, "path",
            "SQLite file, from the folder the server is started in; empty: memory only"),
        new(nameof(ChatOptions.Durability), chat => chat.Durability, "normal|full",
            "normal: committed messages survive the process; full: and power loss")
            { Words = ["normal", "full"] },
        new(nameof(ChatOptions.KeepMessages), chat => chat.KeepMessages, "messages", "retained in a room; 0: all", 0),
        new(nameof(ChatOptions.KeepDays), chat => chat.KeepDays, "days", "a message is retained; 0: for ever", 0, 36_500),
        new(nameof(ChatOptions.MinFreeBytes), chat => chat.MinFreeBytes, "bytes",
            "free on the database's disk, below which messages are refused; 0: only when there is none", 0, long.MaxValue),
        new(nameof(ChatOptions.WindowBytes), chat => chat.WindowBytes, "bytes", "of encoded messages a room holds in memory, a dialect",
            1024, 1 << 30),
        new(nameof(ChatOptions.WindowBytesTotal), chat => chat.WindowBytesTotal, "bytes", "the same, all rooms together", 1 << 20,
            long.MaxValue),
        new(nameof(ChatOptions.Sockets), chat => chat.Sockets, "auto|kestrel",
            "who receives from clients; auto: the server's own loop on Linux, Kestrel elsewhere")
            { Words = ["auto", "kestrel"] },
        new(nameof(ChatOptions.Pumps), chat => chat.Pumps, "threads", "that send to clients; 0: one a core but one, eight at most", 0, 64),
        new(nameof(ChatOptions.MaxMessageBytes), chat => chat.MaxMessageBytes, "bytes", "of UTF-8 in a message", 1, 16 << 20),
        new(nameof(ChatOptions.MaxConnections), chat => chat.MaxConnections, "clients", "connected at once", 1),
        new(nameof(ChatOptions.MaxTcpConnections), chat => chat.MaxTcpConnections, "connections",
            "of TCP at once; 0: twice MaxConnections; always fewer than the process may open files", 0),
        new(nameof(ChatOptions.MaxRooms), chat => chat.MaxRooms, "rooms", "open at once", 1),
        new(nameof(ChatOptions.MessagesPerSecond), chat => chat.MessagesPerSecond, "messages/s",
            "of one connection; above it the server reads more slowly; 0: no limit", 0),
        new(nameof(ChatOptions.Burst), chat => chat.Burst, "messages", "that one connection may send at once, after a pause", 1),
        new(nameof(ChatOptions.PerAddress), chat => chat.PerAddress, "connections", "from one address (IPv6: one /64); 0: no limit", 0),
        new(nameof(ChatOptions.PerAddressRooms), chat => chat.PerAddressRooms, "rooms/h", "begun from one address; 0: no limit", 0),
        new(nameof(ChatOptions.PerAddressGuesses), chat => chat.PerAddressGuesses, "guesses/min",
            "wrong invitations from one address; 0: no limit", 0),
        new(nameof(ChatOptions.PerAddressLoopback), chat => chat.PerAddressLoopback, "true|false",
            "whether these limits hold for this machine as well")
            { Words = ["true", "false"] },
        new(nameof(ChatOptions.Proxies), chat => chat.Proxies, "addresses", "and networks of proxies whose X-Forwarded-For is believed"),
        new(nameof(ChatOptions.SendTimeoutSeconds), chat => chat.SendTimeoutSeconds, "seconds",
            "without progress, after which a client that reads nothing is given up", 1, 3600),
        new(nameof(ChatOptions.KeepAliveSeconds), chat => chat.KeepAliveSeconds, "seconds",
            "of silence before a ping, and again before a client counts as gone", 1, 3600),
        new(nameof(ChatOptions.AllowedOrigins), chat => chat.AllowedOrigins, "origins",
            "of other sites whose pages may connect; null: from disk; any: every site"),
        new(nameof(ChatOptions.InviteKey), chat => chat.InviteKey, "secret",
            "when set, every request needs ?invite=KEY or Authorization: Bearer KEY, except for the page's files and health")
            { IsSecret = true },
    ];

    /// <summary>What it may be, where that is one of a few words.</summary>
    public string[] Words { get; private init; } = [];

    public bool IsSecret { get; private init; }

    public bool IsList => Name is nameof(ChatOptions.Proxies) or nameof(ChatOptions.AllowedOrigins); // which may be given entry by entry

    public string FullName => Prefix + Name;

    public string Default => Show(s_defaults);

    /// <summary>Its value, unless it is the default.</summary>
    public string? Changed(ChatOptions chat) => Of(chat).Equals(Of(s_defaults)) ? null : $"{FullName}={(IsSecret ? "(set)" : Show(chat))}";

    /// <exception cref="StartException">This is nothing that it may be.</exception>
    public void Check(string value)
    {
        if (Words.Length > 0 && !Words.Contains(value, StringComparer.OrdinalIgnoreCase))
            throw new StartException($"{FullName}: '{value}' is neither {string.Join(" nor ", Words)}");
        if (Least is { } least
            && (!long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) || number < least
                || number > Most))
            throw new StartException($"{FullName}: '{value}' is not a number from {least} to {Most} ({Unit})");
    }

    string Show(ChatOptions chat) =>
        Of(chat) is bool yes ? (yes ? "true" : "false") : string.Create(CultureInfo.InvariantCulture, $"{Of(chat)}");
}
