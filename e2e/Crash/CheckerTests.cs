using NUnit.Framework;

namespace ChatMinimal.E2E.Crash;

/// <summary>The checker bites: histories of servers that are wrong in one way each.</summary>
public sealed class CheckerTests
{
    static string A(int number) => Numbered.Text("a", number, "x y");
    static string B(int number) => Numbered.Text("b", number, "");

    static readonly List<Entry> s_kept = [new(1, A(1)), new(2, B(1)), new(3, A(2)), new(4, B(2))];

    static Transcript Chat(string client, IEnumerable<Entry> heard, params string[] said)
    {
        var transcript = new Transcript(client, isChat: true);
        transcript.BeginLog("e");
        transcript.Received.AddRange(heard);
        transcript.Said.AddRange(said);
        transcript.Acknowledged.AddRange(said);
        return transcript;
    }

    static Transcript Plain(string client, params (string Text, int Connection)[] heard)
    {
        var transcript = new Transcript(client, isChat: false);
        foreach ((string text, int connection) in heard)
        {
            transcript.Received.Add(new(0, text));
            transcript.Connections.Add(connection);
        }
        return transcript;
    }

    static string[] Check(IReadOnlyList<Entry> kept, params Transcript[] transcripts) => [.. Checker.Check(kept, transcripts)];

    [Test]
    public void A_history_in_which_all_promises_were_kept_passes() => Assert.That(
        Check(s_kept, Chat("a", s_kept, A(1), A(2)), Chat("b", s_kept[1..], B(1), B(2)), Plain("p", (A(1), 1), (B(1), 1), (B(2), 2))),
            Is.Empty);

    [Test]
    public void Broadcast_before_commit_is_caught() // seen, then killed before it was kept
    {
        Assert.That(Check(s_kept, Chat("a", [.. s_kept, new(5, A(3))], A(1), A(2), A(3)), Chat("b", s_kept, B(1), B(2))),
            Has.Some.Contains("seen and not kept: 5").And.Some.Contains("acknowledged and not kept"));
        Assert.That(Check(s_kept, Chat("a", s_kept, A(1), A(2)), Chat("b", s_kept, B(1), B(2)), Plain("p", (B(2), 1), (A(9), 1))),
            Has.Some.Contains("seen and not kept"));
    }

    [Test]
    public void The_number_of_a_lost_message_given_again_is_caught()
    {
        List<Entry> other = [.. s_kept[..3], new(4, A(3))];
        Assert.That(Check(s_kept, Chat("a", other, A(1), A(2), A(3)), Chat("b", s_kept, B(1), B(2))),
            Has.Some.Contains("seen otherwise than kept: 4"));
    }

    [Test]
    public void A_store_without_keys_is_caught() // said again after a cut, and kept again
    {
        List<Entry> twice = [.. s_kept, new(5, B(2))];
        Assert.That(Check(twice, Chat("a", twice, A(1), A(2)), Chat("b", twice, B(1), B(2))), Has.Some.Contains("twice: 4 and 5"));
    }

    [Test]
    public void A_resume_that_is_off_by_one_is_caught_in_either_direction()
    {
        Transcript[] others = [Chat("b", s_kept, B(1), B(2))];
        Assert.That(Check(s_kept, [Chat("a", [s_kept[0], s_kept[2], s_kept[3]], A(1), A(2)), .. others]),
            Has.Some.Contains("hole: 3 after 1"));
        Assert.That(Check(s_kept, [Chat("a", [s_kept[0], s_kept[1], s_kept[1], s_kept[2], s_kept[3]], A(1), A(2)), .. others]),
            Has.Some.Contains("seen twice or out of order: 2 after 2"));
        Assert.That(Check(s_kept, [Chat("a", s_kept[..3], A(1), A(2)), .. others]), Has.Some.Contains("hole at the end"));
    }

    [Test]
    public void Holes_damage_inventions_and_changed_places_are_caught()
    {
        Transcript a = Chat("a", [], A(1), A(2)), b = Chat("b", [], B(1), B(2));
        Assert.That(Checker.Check([s_kept[0], s_kept[2]], [a, b], isOver: false), Has.Some.Contains("hole in the file: 3 follows 1"));
        Assert.That(Checker.Check([new(1, A(1).Replace("x y", "x z", StringComparison.Ordinal))], [a, b], isOver: false),
            Has.Some.Contains("damaged: 1"));
        Assert.That(Checker.Check([new(1, A(7))], [a, b], isOver: false), Has.Some.Contains("never said: 1"));
        Assert.That(Checker.Check([new(1, A(2)), new(2, A(1))], [a, b], isOver: false), Has.Some.Contains("changed places"));
        var plain = new Transcript("a", isChat: false) { Said = { A(1), A(2), A(3) }, Begins = { 0, 2 } };
        Assert.That(Checker.Check([new(1, A(3)), new(2, A(1)), new(3, A(2))], [plain]), Is.Empty, "3 was said on another connection");
        Assert.That(Checker.Check([new(1, A(3)), new(2, A(2)), new(3, A(1))], [plain]), Has.Some.Contains("changed places"));
        Assert.That(Checker.Check([s_kept[0]], [a], isOver: false), Has.Some.Contains("acknowledged and not kept"));
        a.Received.AddRange(s_kept);
        a.BeginLog("f");
        Assert.That(Checker.Check(s_kept, [a, b], isOver: false), Has.Some.Contains("the log became another one"));
    }

    [Test]
    public void A_hole_on_one_plain_connection_is_caught_and_one_between_two_is_not()
    {
        Transcript[] others = [Chat("a", s_kept, A(1), A(2)), Chat("b", s_kept, B(1), B(2))];
        Assert.That(Check(s_kept, [Plain("p", (A(1), 1), (A(2), 1)), .. others]), Has.Some.Contains("hole on one connection: 3 after 1"));
        Assert.That(Check(s_kept, [Plain("p", (A(1), 1), (A(2), 2)), .. others]), Is.Empty);
        Assert.That(Check(s_kept, [Plain("p", (A(2), 1), (B(1), 2)), .. others]), Has.Some.Contains("out of order"));
    }

    [Test]
    public void Another_log_is_fine_when_it_was_told_and_is_caught_when_it_was_not()
    {
        // 3 and 4 are lost with an older copy; a was told, and said its own again.
        List<Entry> restored = [s_kept[0], s_kept[1], new(3, A(3))];
        Transcript told = Chat("a", s_kept, A(1), A(2));
        told.BeginLog("f");
        told.Received.AddRange(restored);
        told.Said.Add(A(3));
        Transcript alsoTold = Chat("b", s_kept, B(1), B(2));
        alsoTold.BeginLog("f");
        alsoTold.Received.AddRange(restored);
        Assert.That(Checker.Check(restored, [told, alsoTold], epoch: "f"), Is.Empty);
        Assert.That(Checker.Check(restored, [told, Chat("b", s_kept, B(1), B(2))], epoch: "f"),
            Has.Some.Contains("untold: it is in another log"));
        Transcript mixed = Chat("b", [.. s_kept[..2], new(3, A(3))], B(1));
        Assert.That(Checker.Check(restored, [told, mixed], epoch: "f"), Has.Some.Contains("untold: 3 is"),
            "the old epoch with a number given twice");
    }

    [Test]
    public void A_gap_is_for_what_a_moderator_deleted_and_for_nothing_else()
    {
        List<Entry> kept = [s_kept[0], .. s_kept[2..]];
        Transcript late = Chat("a", kept, A(1), A(2)), early = Chat("b", s_kept, B(1), B(2));
        var removed = new HashSet<string> { B(1) };
        Assert.That(Checker.Check(kept, [late, early], removed: removed), Has.One.Contains("hole: 3 after 1"));
        late.Gaps.Add(2, 2);
        Assert.That(Checker.Check(kept, [late, early], removed: removed), Is.Empty);
        late.Gaps.Add(4, 4);
        Assert.That(Checker.Check(kept, [late, early], removed: removed), Has.One.Contains("a gap was told over what is kept"));
    }
}
