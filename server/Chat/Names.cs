using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace ChatMinimal;

/// <summary>What a name may be. It is shown beside other people's messages, so nothing in it may break, turn or overprint a line.</summary>
static class Names
{
    public const int Longest = 32; // Unicode scalar values: a full name, not a story
    const int HighestStack = 4;    // combining marks on one character: Vietnamese and Hebrew need up to three

    public const string Rule = "a name has at most 32 characters, none of them a control or text direction character";
    const string MustShow = "a name must show something";
    const string MustNotStack = "a name has at most 4 combining marks on a character";

    /// <summary>The name that a client gave, without white space at its ends; null: it gave "", and has none.</summary>
    public static bool TryRead(string given, out string? name, [NotNullWhen(false)] out string? why)
    {
        why = null;
        name = given == "" ? null : given.Trim();
        if (name is not null)
            why = Fault(name);
        return why is null;
    }

    static string? Fault(string name)
    {
        int count = 0, marks = 0;
        bool shows = false;
        foreach (Rune rune in name.EnumerateRunes())
        {
            if (++count > Longest || Rune.IsControl(rune) || TurnsText(rune.Value))
                return Rule;
            bool isHidden = Unseen.Is(rune);
            shows |= !isHidden;
            if (IsMark(rune))
                marks++;
            else if (!isHidden) // what shows nothing does not end a stack
                marks = 0;
            if (marks > HighestStack)
                return MustNotStack;
        }
        return shows ? null : MustShow;
    }

    static bool IsMark(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
            or UnicodeCategory.EnclosingMark;

    // Unicode's Bidi_Control property.
    static bool TurnsText(int scalar) =>
        scalar is 0x061C or 0x200E or 0x200F or (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069);
}

/// <summary>Characters that show nothing: a text or a name of these alone would be an empty line.</summary>
static class Unseen
{
    // U+2800: braille without dots
    public static bool Is(Rune rune) => Rune.IsWhiteSpace(rune) || rune.Value is 0 or 0x2800 || IsIgnorable(rune.Value);

    /// <summary>Whether nothing of this text is seen.</summary>
    public static bool IsAll(ReadOnlySpan<byte> utf8)
    {
        while (!utf8.IsEmpty)
        {
            Rune.DecodeFromUtf8(utf8, out Rune rune, out int length);
            if (!Is(rune))
                return false;
            utf8 = utf8[length..];
        }
        return true;
    }

    // Unicode's Default_Ignorable_Code_Point property (17.0, DerivedCoreProperties.txt).
    static bool IsIgnorable(int scalar) => scalar is
        0x00AD or 0x034F or 0x061C or (>= 0x115F and <= 0x1160) or (>= 0x17B4 and <= 0x17B5) or (>= 0x180B and <= 0x180F)
        or (>= 0x200B and <= 0x200F) or (>= 0x202A and <= 0x202E) or (>= 0x2060 and <= 0x206F) or 0x3164 or (>= 0xFE00 and <= 0xFE0F)
        or 0xFEFF or 0xFFA0 or (>= 0xFFF0 and <= 0xFFF8) or (>= 0x1BCA0 and <= 0x1BCA3) or (>= 0x1D173 and <= 0x1D17A)
        or (>= 0xE0000 and <= 0xE0FFF);
}
