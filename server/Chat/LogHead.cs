namespace ChatMinimal;

/// <summary>A log's identity, the oldest seq retained, and the seq that the next message gets. An empty log has both equal.</summary>
readonly record struct LogHead(string Epoch, long First, long Next);
