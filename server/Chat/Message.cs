namespace ChatMinimal;

/// <summary>A draft is a message before it has a place in the room's log. The text is UTF-8.</summary>
readonly record struct Draft(string? Name, string? Key, byte[] Text);

/// <summary>A message is one entry of a room's log. The text is UTF-8, <c>At</c> is UTC.</summary>
sealed record Message(long Seq, DateTime At, string? Name, byte[] Text, string? Key);
