namespace ChatMinimal;

/// <summary>
/// Every limit and choice of the server: <c>Chat:X</c> in appsettings.json, <c>Chat__X</c> in the environment or
/// <c>--Chat:X</c> on the command line. What each may be is in <see cref="ChatOption"/>, and checked at start-up.
/// </summary>
sealed class ChatOptions
{
    public const string Section = "Chat";

    /// <summary>The SQLite file that the messages are committed to, from the folder the server is started in. Empty: memory only.</summary>
    public string Database { get; set; } = "chat.db";

    /// <summary>
    /// <c>normal</c>: what is committed survives the death of the process; <c>full</c>: and power loss, at the price of a disk's answer
    /// each time.
    /// </summary>
    public string Durability { get; set; } = "normal";

    /// <summary>Messages a room retains; older ones are told as a gap. 0: all.</summary>
    public int KeepMessages { get; set; }

    /// <summary>Days a message is retained, within the hour. 0: for ever.</summary>
    public int KeepDays { get; set; }

    /// <summary>
    /// Bytes that stay free on the database's disk: below it messages are refused. A full disk is everybody's trouble on that machine.
    /// 0: only when there is none.
    /// </summary>
    public long MinFreeBytes { get; set; } = 100 << 20;

    /// <summary>
    /// Bytes of encoded frames a room holds in memory for each dialect in use. Who is further behind reads from the store.
    /// </summary>
    public int WindowBytes { get; set; } = 1 << 20;

    /// <summary>Bytes that the windows of all rooms hold together, more or less. Beyond it they hold only what is newest.</summary>
    public long WindowBytesTotal { get; set; } = 256 << 20;

    /// <summary>
    /// Who receives from the clients' sockets. <c>auto</c>: the server's own loop where there is an epoll (Linux), and Kestrel elsewhere;
    /// <c>kestrel</c>: Kestrel.
    /// </summary>
    public string Sockets { get; set; } = "auto";

    /// <summary>Threads that send to clients. 0: one for each core but one, eight at most.</summary>
    public int Pumps { get; set; }

    /// <summary>Bytes of UTF-8 in a message: a long letter, not a file.</summary>
    public int MaxMessageBytes { get; set; } = 64 << 10;

    /// <summary>Sockets at once. One more is answered 503.</summary>
    public int MaxConnections { get; set; } = 10_000;

    /// <summary>
    /// TCP connections at once, whatever they are for; one more is closed. 0: twice <see cref="MaxConnections"/>, and in any case fewer
    /// than the process may open files.
    /// </summary>
    public int MaxTcpConnections { get; set; }

    /// <summary>Rooms at once. One more is answered 503.</summary>
    public int MaxRooms { get; set; } = 10_000;

    /// <summary>
    /// The rate limit of one connection: messages a second in the long run. Above it the connection is read more slowly. 0: no limit.
    /// </summary>
    public int MessagesPerSecond { get; set; } = 50;

    /// <summary>Messages that one connection may send at once, after a pause: what was typed while the link was down.</summary>
    public int Burst { get; set; } = 200;

    /// <summary>
    /// Sockets and event streams at once from one address (IPv6: from one /64): a large class behind one NAT, and no more. One more is
    /// answered 429. 0: no limit.
    /// </summary>
    public int PerAddress { get; set; } = 200;

    /// <summary>Rooms an hour that one address may begin: each is a log for good. One more is answered 429. 0: no limit.</summary>
    public int PerAddressRooms { get; set; } = 100;

    /// <summary>Wrong invitations a minute from one address: who guesses, guesses for ever. Then 429. 0: no limit.</summary>
    public int PerAddressGuesses { get; set; } = 10;

    /// <summary>
    /// Whether these hold for loopback addresses, too, which are a proxy that does not tell for whom, or whoever tries it out.
    /// </summary>
    public bool PerAddressLoopback { get; set; }

    /// <summary>
    /// Addresses and networks (10.0.0.0/8) of the proxies whose X-Forwarded-For is believed, beside those on this machine; separated by
    /// commas or blanks.
    /// </summary>
    public string Proxies { get; set; } = "";

    /// <summary>
    /// Seconds without progress after which the server gives up on a client that reads nothing; a slow one that reads on stays. Half a
    /// message has as many, and after that must come at a minimum rate.
    /// </summary>
    public int SendTimeoutSeconds { get; set; } = 10;

    /// <summary>
    /// Seconds of silence before a ping (and, in chat.v1, a beat), and again as many before a silent peer counts as dead.
    /// </summary>
    public int KeepAliveSeconds { get; set; } = 15;

    /// <summary>
    /// Origins (scheme://host:port) of other sites whose pages may connect, separated by commas or blanks. <c>null</c>: pages opened from
    /// disk; <c>any</c>: every page of every site.
    /// </summary>
    public string AllowedOrigins { get; set; } = "";

    /// <summary>
    /// When set, every request needs it, except for the page's files, health and <c>/lan</c>: <c>?invite=</c> or
    /// <c>Authorization: Bearer</c>.
    /// </summary>
    public string InviteKey { get; set; } = "";

    public bool IsDurable => Durability.Equals("full", StringComparison.OrdinalIgnoreCase);
    public bool UsesLoopForSockets => OperatingSystem.IsLinux() && !Sockets.Equals("kestrel", StringComparison.OrdinalIgnoreCase);
    public TimeSpan SendTimeout => TimeSpan.FromSeconds(SendTimeoutSeconds);
    public TimeSpan KeepAlive => TimeSpan.FromSeconds(KeepAliveSeconds);

    /// <summary>
    /// The most bytes that a text takes as a client may write it: escaped, a byte is up to six bytes of JSON, and there is a key.
    /// </summary>
    public int MaxBodyBytes => Connection.JsonAllowance * MaxMessageBytes;

    /// <summary>The entries of a list.</summary>
    public static string[] Split(string list) => list.Split([',', ' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The options as they are configured.</summary>
    /// <exception cref="StartException">One is unknown, or is nothing that it may be.</exception>
    public static ChatOptions Read(IConfiguration configuration)
    {
        IConfigurationSection section = configuration.GetSection(Section);
        foreach (IConfigurationSection given in section.GetChildren())
        {
            ChatOption option = ChatOption.All.FirstOrDefault(known => known.Name.Equals(given.Key, StringComparison.OrdinalIgnoreCase))
                ?? throw new StartException($"{Section}:{given.Key} is not an option{CommandLine.DidYouMean(given.Key, ChatOption.All.Select(known => known.Name), Section + ":")}");
            if (given.Value is { } value)
                option.Check(value);
            else if (!option.IsList)
                throw new StartException($"{option.FullName} is one value, not an object or a list");
        }
        var chat = new ChatOptions();
        section.Bind(chat);
        chat.AddEntries(section);
        chat.CheckLists();
        return chat;
    }

    // Lists may also be given entry by entry: Chat:AllowedOrigins:0, or an array in JSON.
    void AddEntries(IConfigurationSection section)
    {
        AllowedOrigins = Join(AllowedOrigins, nameof(AllowedOrigins));
        Proxies = Join(Proxies, nameof(Proxies));

        string Join(string list, string option) =>
            string.Join(',', [.. Split(list), .. section.GetSection(option).GetChildren().Select(entry => entry.Value)]);
    }

    void CheckLists()
    {
        if (Split(AllowedOrigins).FirstOrDefault(entry => !OriginRule.IsEntry(entry)) is { } origin)
            throw new StartException($"{Section}:{nameof(AllowedOrigins)}: '{origin}' is not an origin, such as https://chat.example; null is a page opened from disk, any is every site");
        if (Split(Proxies).FirstOrDefault(entry => !ForwardedFor.IsEntry(entry)) is { } proxy)
            throw new StartException($"{Section}:{nameof(Proxies)}: '{proxy}' is not an address or a network, such as 10.0.0.7 or 10.0.0.0/8");
    }
}
