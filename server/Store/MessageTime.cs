namespace ChatMinimal;

/// <summary>
/// The time of a message is in whole milliseconds, as every store has it: a message reads the same from wherever it comes.
/// </summary>
static class MessageTime
{
    public static DateTime Now(TimeProvider clock) => Of(clock.GetUtcNow().UtcDateTime);

    public static DateTime Of(DateTime time) => time.AddTicks(-(time.Ticks % TimeSpan.TicksPerMillisecond));
}
