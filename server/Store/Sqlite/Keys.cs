using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ChatMinimal.Sqlite;

/// <summary>
/// The idempotency keys of the messages, by a hash: a tree of whole numbers is small, so that finding one stays fast. Two keys may share a
/// hash; so a hash says perhaps, and the message that has it says for sure.
/// </summary>
static class Keys
{
    /// <summary>What is known of this draft's key; null when no message had it, and the next one of the log does now.</summary>
    public static Submission? FindOrAdd(ChatFile file, RoomLog log, Draft draft)
    {
        long hash = HashOf(log.Room, draft.Key!);
        if (file.AddKey.Bind(1, hash).Bind(2, log.Next).Run() == 1)
            return null;
        long seq = file.FindKey.Bind(1, hash).Scalar() ?? 0;
        if (seq > 0 && seq < log.Next)
        {
            PageText.Entry? first = EntryOf(file, log, seq);
            if (first is null || first.Value.Key == draft.Key) // where the message is not to be had, the hash is believed
                return new Submission(seq, WasKnown: true, IsTaken: first?.Text is { } text && !draft.Text.AsSpan().SequenceEqual(text));
        }
        file.MoveKey.Bind(1, hash).Bind(2, log.Next).Run();
        return null;
    }

    /// <summary>A message of this seq has this key, whoever had it before.</summary>
    public static void Set(ChatFile file, string room, string key, long seq)
    {
        long hash = HashOf(room, key);
        if (file.AddKey.Bind(1, hash).Bind(2, seq).Run() == 0)
            file.MoveKey.Bind(1, hash).Bind(2, seq).Run();
    }

    /// <summary>The message of this seq is no longer retained, nor is its key.</summary>
    public static void Forget(ChatFile file, string room, string key, long seq) =>
        file.ForgetKey.Bind(1, HashOf(room, key)).Bind(2, seq).Run();

    public static long HashOf(string room, string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.ASCII.GetBytes($"{room}/{key}"), hash);
        return BinaryPrimitives.ReadInt64BigEndian(hash);
    }

    static PageText.Entry? EntryOf(ChatFile file, RoomLog log, long seq)
    {
        if (seq < log.From)
            return Rows.PagesFrom(file, log.Id, seq).Select(page => page.Find(seq)).FirstOrDefault();
        Message message = log.Written[(int)(seq - log.From)];
        return new PageText.Entry(message.Text, message.Name, message.Key);
    }
}
