namespace ChatMinimal.Client;

/// <summary>
/// A position in a room's log: which log, the last seq seen, and that message's time as it was told. It is void in any other log.
/// </summary>
public sealed record Position(string Epoch, long Seq, string? At)
{
    internal string Query => $"epoch={Uri.EscapeDataString(Epoch)}&after={Seq}" + (At is null ? "" : $"&at={Uri.EscapeDataString(At)}");
}
