using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ChatMinimal.E2E.Crash;

/// <summary>One message as someone heard it, or as the file has it. In the plain dialect there is no seq: 0.</summary>
readonly record struct Entry(long Seq, string Text);

/// <summary>What one client went through: what it said in which order, what it knows to be kept, and what it heard.</summary>
sealed class Transcript(string client, bool isChat)
{
    public string Client { get; } = client;
    public bool IsChat { get; } = isChat;
    public List<string> Said { get; } = [];
    public List<string> Acknowledged { get; } = [];
    public List<Entry> Received { get; } = [];

    /// <summary>The logs it was told of, one after another, and where in <see cref="Received"/> each begins; only chat.v1 tells.</summary>
    public List<(string Epoch, int Begin)> Logs { get; } = [];

    /// <summary>What it knew to be kept in a log that then became another one: it may be lost.</summary>
    public HashSet<string> AcknowledgedBefore { get; } = [];

    /// <summary>The gaps it was told of: from, to.</summary>
    public Dictionary<long, long> Gaps { get; } = [];

    public void BeginLog(string epoch)
    {
        if (Logs.Count > 0 && ReceivedIn(Logs.Count - 1).Count == 0)
            Logs.RemoveAt(Logs.Count - 1); // it has seen nothing of it
        AcknowledgedBefore.UnionWith(Acknowledged);
        Acknowledged.Clear();
        Gaps.Clear();
        Logs.Add((epoch, Received.Count));
    }

    /// <summary>What it heard of one log.</summary>
    public List<Entry> ReceivedIn(int log) => Received[Logs[log].Begin..(log + 1 < Logs.Count ? Logs[log + 1].Begin : Received.Count)];

    /// <summary>The connection of each thing heard; only the plain dialect, where each connection begins anew, needs it.</summary>
    public List<int> Connections { get; } = [];

    /// <summary>The first thing said on each connection, as an index of <see cref="Said"/>; only the plain dialect needs it.</summary>
    public List<int> Begins { get; } = [];
}

/// <summary>Messages that carry who said them, their number, and a checksum, so that a damaged or invented one is found out.</summary>
static class Numbered
{
    public static string Text(string client, int number, string filler) => $"{client} {number} {Checksum(client, number, filler)} {filler}";

    /// <summary>Who said it, and their how-manieth it is; null when it is damaged.</summary>
    public static (string Client, int Number)? Parse(string text) =>
        text.Split(' ', 4) is [var client, var digits, var checksum, var filler] && int.TryParse(digits, out int number)
            && checksum == Checksum(client, number, filler) ? (client, number) : null;

    static string Checksum(string client, int number, string filler) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
            $"{client} {number} {filler}"))).AsSpan(0, 4));
}

/// <summary>
/// The checker holds what everyone went through against what the file has. It knows the promises, and nothing of the server.
/// </summary>
static class Checker
{
    /// <summary>Every broken promise, in words. Empty: all were kept.</summary>
    /// <param name="kept">The room's log, as the file has it at the end.</param>
    /// <param name="isOver">Whether everyone had time to say and hear everything.</param>
    /// <param name="epoch">The file's, when it may have become another log, which is to be told; null: it may not.</param>
    /// <param name="removed">What a moderator has deleted.</param>
    public static IEnumerable<string> Check(IReadOnlyList<Entry> kept, IReadOnlyList<Transcript> transcripts, bool isOver = true,
        string? epoch = null, IReadOnlySet<string>? removed = null)
    {
        for (int i = 0; i < kept.Count; i++)
            if (kept[i].Seq != kept[0].Seq + i && removed is null)
                yield return $"hole in the file: {kept[i].Seq} follows {kept[Math.Max(0, i - 1)].Seq}";

        var said = transcripts.SelectMany(transcript => transcript.Said).ToHashSet();
        var inFile = new Dictionary<string, long>();
        foreach (Entry entry in kept)
        {
            if (Numbered.Parse(entry.Text) is null)
                yield return $"damaged: {entry.Seq} {Short(entry.Text)}";
            else if (!said.Contains(entry.Text))
                yield return $"never said: {entry.Seq} {Short(entry.Text)}";
            if (!inFile.TryAdd(entry.Text, entry.Seq))
                yield return $"twice: {inFile[entry.Text]} and {entry.Seq} {Short(entry.Text)}";
        }

        var bySeq = kept.GroupBy(entry => entry.Seq).ToDictionary(group => group.Key, group => group.First().Text);
        foreach (Transcript transcript in transcripts)
        {
            if (epoch is null && transcript.Logs.Count > 1)
                yield return $"{transcript.Client}: the log became another one";
            if (epoch is not null && isOver && transcript.IsChat && transcript.Logs.LastOrDefault().Epoch != epoch)
                yield return $"{transcript.Client}: untold: it is in another log than the file";
            foreach (string text in transcript.Acknowledged)
                if (!inFile.ContainsKey(text) && removed?.Contains(text) != true)
                    yield return $"{transcript.Client}: acknowledged and not kept: {Short(text)}";
            if (isOver && transcript.IsChat)
                foreach (string text in transcript.Said)
                    if (!inFile.ContainsKey(text) && !transcript.AcknowledgedBefore.Contains(text) && removed?.Contains(text) != true)
                        yield return $"{transcript.Client}: said and not kept: {Short(text)}";
            // Nobody knows a plain client again: what a cut left on its way may be kept after what is said on the next connection.
            int[] begins = [0, .. transcript.Begins, transcript.Said.Count];
            foreach ((int begin, int end) in begins.Zip(begins[1..]))
            {
                long[] own = [.. transcript.Said[begin..end].Where(inFile.ContainsKey).Select(text => inFile[text])];
                if (epoch is null && !own.SequenceEqual(own.Order())) // else some were refused, and sent again after others
                    yield return $"{transcript.Client}: its own words changed places";
            }

            foreach (string broken in transcript.IsChat ? CheckChat(transcript, kept, bySeq, isOver, removed) : CheckPlain(transcript,
                inFile))
                yield return $"{transcript.Client}: {broken}";
        }
        foreach (string broken in CheckLogs(transcripts))
            yield return broken;
    }

    // One log has one message of each seq, whoever hears it.
    static IEnumerable<string> CheckLogs(IReadOnlyList<Transcript> transcripts)
    {
        var heard = new Dictionary<(string Epoch, long Seq), string>();
        foreach (Transcript transcript in transcripts)
            for (int log = 0; log < transcript.Logs.Count; log++)
                foreach (Entry entry in transcript.ReceivedIn(log))
                    if (!heard.TryAdd((transcript.Logs[log].Epoch, entry.Seq), entry.Text)
                        && heard[(transcript.Logs[log].Epoch, entry.Seq)] is var first && first != entry.Text)
                        yield return $"{transcript.Client}: untold: {entry.Seq} is {Short(first)} and {Short(entry.Text)} in one log";
    }

    static IEnumerable<string> CheckChat(Transcript transcript, IReadOnlyList<Entry> kept, Dictionary<long, string> bySeq, bool isOver,
        IReadOnlySet<string>? removed)
    {
        for (int log = 0; log < transcript.Logs.Count; log++)
        {
            bool isLast = log == transcript.Logs.Count - 1; // what was in the others may be lost
            Entry? before = null;
            foreach (Entry heard in transcript.ReceivedIn(log))
            {
                if (isLast && !bySeq.TryGetValue(heard.Seq, out string? text) && removed?.Contains(heard.Text) != true)
                    yield return $"seen and not kept: {heard.Seq} {Short(heard.Text)}";
                else if (isLast && bySeq.TryGetValue(heard.Seq, out text) && text != heard.Text)
                    yield return $"seen otherwise than kept: {heard.Seq} {Short(heard.Text)}, {Short(text)}";
                if (before is { } last && heard.Seq <= last.Seq)
                    yield return $"seen twice or out of order: {heard.Seq} after {last.Seq}";
                else if (before is { Seq: var seq } && heard.Seq != seq + 1
                    && !(isLast && transcript.Gaps.TryGetValue(seq + 1, out long to) && to >= heard.Seq - 1) && (isLast || removed is null))
                    yield return $"hole: {heard.Seq} after {seq}";
                before = heard;
            }
        }
        foreach ((long from, long to) in transcript.Gaps)
            if (kept.Any(entry => entry.Seq >= from && entry.Seq <= to))
                yield return $"a gap was told over what is kept: {from} to {to}";
        if (isOver && kept.Count > 0 && (transcript.Received.Count == 0 || transcript.Received[^1].Seq < kept[^1].Seq))
            yield return $"hole at the end: has seen up to {transcript.Received.LastOrDefault().Seq} of {kept[^1].Seq}";
    }

    // Between two connections a plain client may miss what it likes; on one, what it hears is a stretch of the log, without holes.
    static IEnumerable<string> CheckPlain(Transcript transcript, Dictionary<string, long> inFile)
    {
        (long Seq, int Connection)? last = null;
        for (int i = 0; i < transcript.Received.Count; i++)
        {
            string text = transcript.Received[i].Text;
            if (!inFile.TryGetValue(text, out long seq))
            {
                yield return $"seen and not kept: {Short(text)}";
                continue;
            }
            if (last is { } before && seq <= before.Seq)
                yield return $"seen twice or out of order: {seq} after {before.Seq}";
            else if (last is { } same && same.Connection == transcript.Connections[i] && seq != same.Seq + 1)
                yield return $"hole on one connection: {seq} after {same.Seq}";
            last = (seq, transcript.Connections[i]);
        }
    }

    static string Short(string text) => text.Length < 40 ? text : text[..40] + "…";
}
