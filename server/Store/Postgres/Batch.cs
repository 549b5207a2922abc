using System.Runtime.InteropServices;
using System.Text;

namespace ChatMinimal.Postgres;

/// <summary>
/// A batch is what one transaction adds to a log: what was submitted while the one before it was on its way. Whatever becomes of an
/// attempt, the next one carries the same keys, so that nothing is added twice.
/// </summary>
sealed class Batch
{
    const int LongestPage = 256;   // messages a row: to read one of them is to read them all
    const int LargestPage = 65536; // bytes of text a row, likewise

    readonly IReadOnlyList<Submitted> _all;
    readonly Dictionary<string, byte[]?> _texts = []; // what the log has under a key; null: no longer there to compare
    readonly Dictionary<string, long> _seqs = [];
    List<(string Key, Draft Draft)> _left = [];       // to be added, each key once

    public Batch(IReadOnlyList<Submitted> all)
    {
        _all = all;
        var keys = new HashSet<string>();
        foreach (Submitted submitted in all)
            for (int i = 0; i < submitted.Drafts.Count; i++)
                if (keys.Add(submitted.Keys[i]))
                    _left.Add((submitted.Keys[i], submitted.Drafts[i]));
    }

    /// <summary>Whether nothing is left to be added.</summary>
    public bool IsDone => _left.Count == 0;

    /// <summary>What is left to be added, as the database takes it.</summary>
    public (string[] Keys, int[] Counts, string[] Said) ToRows()
    {
        var counts = new List<int>();
        var said = new List<string>();
        Message[] messages = [.. _left.Select(entry => new Message(0, default, entry.Draft.Name, entry.Draft.Text, entry.Draft.Key))];
        for (int from = 0; from < messages.Length;)
        {
            int to = from, bytes = 0;
            while (to < messages.Length && to - from < LongestPage && bytes < LargestPage)
                bytes += messages[to++].Text.Length;
            counts.Add(to - from);
            said.Add(Encoding.UTF8.GetString(PageText.Write(messages.AsSpan(from..to))));
            from = to;
        }
        return ([.. _left.Select(entry => entry.Key)], [.. counts], [.. said]);
    }

    /// <summary>All that was left was added; returns the messages that it became.</summary>
    public List<Message> SetAdded(LogHead head, DateTime at)
    {
        var added = new List<Message>(_left.Count);
        long seq = head.Next - _left.Count;
        foreach ((string key, Draft draft) in CollectionsMarshal.AsSpan(_left))
        {
            (_seqs[key], _texts[key]) = (seq, draft.Text);
            added.Add(new Message(seq++, at, draft.Name, draft.Text, draft.Key));
        }
        _left = [];
        Answer(added.Count > 0 ? added[0].Seq : head.Next);
        return added;
    }

    /// <summary>This key was in the log already.</summary>
    public void SetKnown(string key, long seq, byte[]? text)
    {
        (_seqs[key], _texts[key]) = (seq, text);
        _left.RemoveAll(entry => entry.Key == key);
    }

    // A key counts from the first that has it. Of the server's own keys nobody else knows: what has one is new, whichever attempt added it.
    void Answer(long firstAdded)
    {
        var firsts = new HashSet<string>();
        foreach (Submitted submitted in _all)
            for (int i = 0; i < submitted.Drafts.Count; i++)
            {
                (string key, Draft draft) = (submitted.Keys[i], submitted.Drafts[i]);
                long seq = _seqs[key];
                bool isNew = draft.Key is null || (seq >= firstAdded && firsts.Add(key));
                submitted.Submissions[i] = isNew
                    ? new Submission(seq, WasKnown: false)
                    : new Submission(seq, WasKnown: true, IsTaken: _texts[key] is { } text && !text.AsSpan().SequenceEqual(draft.Text));
            }
    }
}
