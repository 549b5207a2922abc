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
    public List<Entry> Heard { get; } = [];
    public HashSet<string> Epochs { get; } = [];

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
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{client} {number} {filler}"))).AsSpan(0, 4));
}

/// <summary>The checker holds what everyone went through against what the file has. It knows the promises, and nothing of the server.</summary>
static class Checker
{
    /// <summary>Every broken promise, in words. Empty: all were kept.</summary>
    /// <param name="kept">The room's log, as the file has it at the end.</param>
    /// <param name="isOver">Whether everyone had time to say and hear everything.</param>
    public static IEnumerable<string> Check(IReadOnlyList<Entry> kept, IReadOnlyList<Transcript> transcripts, bool isOver = true)
    {
        for (int i = 0; i < kept.Count; i++)
            if (kept[i].Seq != kept[0].Seq + i)
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
            if (transcript.Epochs.Count > 1)
                yield return $"{transcript.Client}: the log became another one";
            foreach (string text in transcript.Acknowledged)
                if (!inFile.ContainsKey(text))
                    yield return $"{transcript.Client}: acknowledged and not kept: {Short(text)}";
            if (isOver && transcript.IsChat)
                foreach (string text in transcript.Said)
                    if (!inFile.ContainsKey(text))
                        yield return $"{transcript.Client}: said and not kept: {Short(text)}";
            // Nobody knows a plain client again: what a cut left on its way may be kept after what is said on the next connection.
            int[] begins = [0, .. transcript.Begins, transcript.Said.Count];
            foreach ((int begin, int end) in begins.Zip(begins[1..]))
            {
                long[] own = [.. transcript.Said[begin..end].Where(inFile.ContainsKey).Select(text => inFile[text])];
                if (!own.SequenceEqual(own.Order()))
                    yield return $"{transcript.Client}: its own words changed places";
            }

            foreach (string broken in transcript.IsChat ? CheckChat(transcript, kept, bySeq, isOver) : CheckPlain(transcript, inFile))
                yield return $"{transcript.Client}: {broken}";
        }
    }

    static IEnumerable<string> CheckChat(Transcript transcript, IReadOnlyList<Entry> kept, Dictionary<long, string> bySeq, bool isOver)
    {
        for (int i = 0; i < transcript.Heard.Count; i++)
        {
            Entry heard = transcript.Heard[i];
            if (!bySeq.TryGetValue(heard.Seq, out string? text))
                yield return $"seen and not kept: {heard.Seq} {Short(heard.Text)}";
            else if (text != heard.Text)
                yield return $"seen otherwise than kept: {heard.Seq} {Short(heard.Text)}, {Short(text)}";
            if (i > 0 && heard.Seq != transcript.Heard[i - 1].Seq + 1)
                yield return heard.Seq <= transcript.Heard[i - 1].Seq
                    ? $"seen twice or out of order: {heard.Seq} after {transcript.Heard[i - 1].Seq}"
                    : $"hole: {heard.Seq} after {transcript.Heard[i - 1].Seq}";
        }
        if (isOver && kept.Count > 0 && (transcript.Heard.Count == 0 || transcript.Heard[^1].Seq < kept[^1].Seq))
            yield return $"hole at the end: has seen up to {transcript.Heard.LastOrDefault().Seq} of {kept[^1].Seq}";
    }

    // Between two connections a plain client may miss what it likes; on one, what it hears is a stretch of the log, without holes.
    static IEnumerable<string> CheckPlain(Transcript transcript, Dictionary<string, long> inFile)
    {
        (long Seq, int Connection)? last = null;
        for (int i = 0; i < transcript.Heard.Count; i++)
        {
            string text = transcript.Heard[i].Text;
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
