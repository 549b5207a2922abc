using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace ChatMinimal;

/// <summary>
/// Every limit and choice of the server: <c>Chat:X</c> in appsettings.json, <c>Chat__X</c> in the environment or
/// <c>--Chat:X</c> on the command line. Checked at start-up.
/// </summary>
sealed class ChatOptions : IValidatableObject
{
    public const string Section = "Chat";

    /// <summary>The SQLite file that the messages are committed to, from the folder the server is started in. Empty: memory only.</summary>
    public string Database { get; set; } = "chat.db";

    /// <summary><c>normal</c>: what is committed survives the death of the process; <c>full</c>: and power loss, at the price of a disk's answer each time.</summary>
    [AllowedValues("normal", "full")]
    public string Durability { get; set; } = "normal";

    /// <summary>Messages a room retains; older ones are told as a gap. 0: all.</summary>
    [Range(0, int.MaxValue)]
    public int KeepMessages { get; set; }

    /// <summary>Days a message is retained, within the hour. 0: for ever.</summary>
    [Range(0, 36_500)]
    public int KeepDays { get; set; }

    /// <summary>Bytes that stay free on the database's disk: below it messages are refused. A full disk is everybody's trouble on that machine.</summary>
    [Range(0, long.MaxValue)]
    public long MinFreeBytes { get; set; } = 100 << 20;

    /// <summary>Bytes of encoded frames a room holds in memory for each dialect in use. Who is further behind reads from the store.</summary>
    [Range(1024, 1 << 30)]
    public int WindowBytes { get; set; } = 1 << 20;

    /// <summary>Bytes that the windows of all rooms hold together, more or less. Beyond it they hold only what is newest.</summary>
    [Range(1 << 20, long.MaxValue)]
    public long WindowBytesTotal { get; set; } = 256 << 20;

    /// <summary>Bytes of UTF-8 in a message: a long letter, not a file.</summary>
    [Range(1, 16 << 20)]
    public int MaxMessageBytes { get; set; } = 64 << 10;

    /// <summary>Sockets at once. One more is answered 503.</summary>
    [Range(1, int.MaxValue)]
    public int MaxConnections { get; set; } = 10_000;

    /// <summary>
    /// TCP connections at once, whatever they are for; one more is closed. 0: twice <see cref="MaxConnections"/>, and in any case fewer
    /// than the process may open files.
    /// </summary>
    [Range(0, int.MaxValue)]
    public int MaxTcpConnections { get; set; }

    /// <summary>Rooms at once. One more is answered 503.</summary>
    [Range(1, int.MaxValue)]
    public int MaxRooms { get; set; } = 10_000;

    /// <summary>The rate limit of one connection: messages a second in the long run. Above it the connection is read more slowly. 0: no limit.</summary>
    [Range(0, int.MaxValue)]
    public int MessagesPerSecond { get; set; } = 50;

    /// <summary>Messages that one connection may send at once, after a pause: what was typed while the link was down.</summary>
    [Range(1, int.MaxValue)]
    public int Burst { get; set; } = 200;

    /// <summary>Sockets and event streams at once from one address (IPv6: from one /64): a large class behind one NAT, and no more. One more is answered 429. 0: no limit.</summary>
    [Range(0, int.MaxValue)]
    public int PerAddress { get; set; } = 200;

    /// <summary>Rooms an hour that one address may begin: each is a log for good. One more is answered 429. 0: no limit.</summary>
    [Range(0, int.MaxValue)]
    public int PerAddressRooms { get; set; } = 100;

    /// <summary>Wrong invitations a minute from one address: who guesses, guesses for ever. Then 429. 0: no limit.</summary>
    [Range(0, int.MaxValue)]
    public int PerAddressGuesses { get; set; } = 10;

    /// <summary>Whether these hold for loopback addresses, too, which are a proxy that does not tell for whom, or whoever tries it out.</summary>
    public bool PerAddressLoopback { get; set; }

    /// <summary>Addresses and networks (10.0.0.0/8) of the proxies whose X-Forwarded-For is believed, beside those on this machine; separated by commas or blanks.</summary>
    public string Proxies { get; set; } = "";

    /// <summary>Seconds that one write to a client may take before the server gives up on that client.</summary>
    [Range(1, 3600)]
    public int SendTimeoutSeconds { get; set; } = 10;

    /// <summary>Seconds of silence before a ping (and, in chat.v1, a beat), and again as many before a silent peer counts as dead.</summary>
    [Range(1, 3600)]
    public int KeepAliveSeconds { get; set; } = 15;

    /// <summary>Origins (scheme://host:port) of other sites whose pages may connect, separated by commas or blanks. <c>null</c>: pages opened from disk; <c>any</c>: every page of every site.</summary>
    public string AllowedOrigins { get; set; } = "";

    /// <summary>When set, nobody gets in without it: <c>?invite=</c> or <c>Authorization: Bearer</c>.</summary>
    public string InviteKey { get; set; } = "";

    public bool IsDurable => Durability == "full";
    public TimeSpan SendTimeout => TimeSpan.FromSeconds(SendTimeoutSeconds);
    public TimeSpan KeepAlive => TimeSpan.FromSeconds(KeepAliveSeconds);

    /// <summary>The most bytes that a text takes as a client may write it: escaped, a byte is up to six bytes of JSON, and there is a key.</summary>
    public int MaxBodyBytes => Connection.JsonAllowance * MaxMessageBytes;

    /// <summary>Lists may also be given entry by entry: <c>Chat:AllowedOrigins:0</c>, or an array in JSON.</summary>
    public void AddEntries(IConfiguration chat)
    {
        AllowedOrigins = Join(AllowedOrigins, nameof(AllowedOrigins));
        Proxies = Join(Proxies, nameof(Proxies));

        string Join(string list, string option) => string.Join(',', [list, .. chat.GetSection(option).GetChildren().Select(entry => entry.Value)]);
    }

    /// <summary>The entries of a list.</summary>
    public static string[] Split(string list) => list.Split([',', ' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries);

    IEnumerable<ValidationResult> IValidatableObject.Validate(ValidationContext context) =>
    [
        .. Split(AllowedOrigins).Where(entry => !OriginRule.IsEntry(entry)).Select(entry => new ValidationResult(
            $"{Section}:{nameof(AllowedOrigins)}: '{entry}' is not an origin, such as https://chat.example; null is a page opened from disk, any is every site")),
        .. Split(Proxies).Where(entry => !ForwardedFor.IsEntry(entry)).Select(entry => new ValidationResult(
            $"{Section}:{nameof(Proxies)}: '{entry}' is not an address or a network, such as 10.0.0.7 or 10.0.0.0/8")),
    ];
}

/// <summary>The ranges above, checked by generated code.</summary>
[OptionsValidator]
sealed partial class ChatOptionsValidator : IValidateOptions<ChatOptions>;
