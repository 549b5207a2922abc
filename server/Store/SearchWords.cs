using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace ChatMinimal;

/// <summary>
/// What somebody searches for: words that a message must have, all of them, in any order. Where there are not
/// enough of those, the last one may be the beginning of a word, for it may still be being typed. Case and accents do not matter.
/// </summary>
sealed record SearchWords(IReadOnlyList<string> Words)
{
    const int Longest = 200;        // characters
    const int Most = 8;             // words
    const int ShortestBeginning = 2; // characters: a single letter begins every tenth word

    /// <summary>Everything that is no letter, digit or accent divides words, so nothing of it can be taken for an operator.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out SearchWords? search, [NotNullWhen(false)] out string? why)
    {
        search = null;
        why = text.Length > Longest ? $"search: at most {Longest} characters" : null;
        if (why is not null)
            return false;
        var words = new List<string>();
        var word = new StringBuilder();
        foreach (Rune rune in (text + " ").EnumerateRunes())
            if (IsPartOfWord(rune))
                word.Append(rune);
            else if (word.Length > 0)
            {
                words.Add(word.ToString());
                word.Clear();
            }
        why = words.Count is 0 or > Most ? $"search: 1 to {Most} words" : null;
        search = why is null ? new SearchWords(words) : null;
        return search is not null;
    }

    public bool MayBeBeginning => Words[^1].Length >= ShortestBeginning;

    /// <summary>As FTS5 asks for it, with this in the place of the last word.</summary>
    public string ToMatch(string last) => string.Join(" AND ", [.. Words.SkipLast(1).Select(Quote), last]);

    public static string Quote(string word) => $"\"{word}\"";

    // As SQLite's tokenizer unicode61 has it: letters, numbers, private use, and the accents that are removed.
    static bool IsPartOfWord(Rune rune) => rune.Value is >= 0x300 and <= 0x331 || Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.PrivateUse
        or UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
        or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;
}
