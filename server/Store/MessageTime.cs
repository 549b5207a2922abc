namespace ChatMinimal;

/// <summary>
/// The time of a message is in whole milliseconds, as every store has it: a message reads the same from wherever it comes.
/// </summary>
static class MessageTime
{
    public static DateTime Now(TimeProvider clock)
    {
        DateTime now = clock.GetUtcNow().UtcDateTime;
        return now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMillisecond));
    }
}
