namespace ChatMinimal.Client;

/// <summary>A message of a room.</summary>
/// <param name="Seq">Its number in the room's log: from 1, without holes.</param>
/// <param name="At">When it was committed, in UTC.</param>
/// <param name="Name">Who said it; null: anonymous.</param>
/// <param name="Text">What was said, unchanged.</param>
/// <param name="Key">The idempotency key its author gave it, if any.</param>
public sealed record Message(long Seq, DateTime At, string? Name, string Text, string? Key);
