namespace ChatMinimal;

/// <summary>Why something was not done, told to the client that asked for it.</summary>
sealed record Refusal(string Reason, string Detail, string? Key = null)
{
    public static Refusal Malformed(string detail, string? key = null) => new("malformed", detail, key);
    public static Refusal Empty(string key) => new("empty", "the text is empty", key);
    public static Refusal TooLong(string key, int limit) => new("too_long", $"the text is longer than {limit} bytes of UTF-8", key);
    public static Refusal BadName(string detail, string? key) => new("bad_name", detail, key);
    public static Refusal KeyTaken(string key) => new("key_taken", "another text was sent with this key", key);
    public static Refusal StoreUnavailable(string key) =>
        new("store_unavailable", "the server cannot commit messages now, send it again later", key);
}
