using System.Text;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

public sealed class NameTests
{
    [TestCase("Ana", "Ana"), TestCase(" Ana\t", "Ana"), TestCase("Ana B", "Ana B"), TestCase("", null),
        TestCase("Ng\u0302\u0323a", "Ng\u0302\u0323a")]
    [TestCase("e\u0301\u0302\u0303\u0304", "e\u0301\u0302\u0303\u0304", Description = "four marks")]
    [TestCase("👩‍👩‍👧", "👩‍👩‍👧"), TestCase("1️⃣", "1️⃣"), TestCase("a\u200bb", "a\u200bb")]
    public void A_name_is_trimmed_and_otherwise_taken_as_it_is(string given, string? expected)
    {
        Assert.That(Names.TryRead(given, out string? name, out _), Is.True);
        Assert.That(name, Is.EqualTo(expected));
    }

    [TestCase(" "), TestCase("\u200b"), TestCase("\u3164"), TestCase("\u2800"), TestCase("\u00ad\ufe0f"), TestCase("\U000e0041"),
        TestCase("\u00a0\u3000")]
    [TestCase("e\u0301\u0302\u0303\u0304\u0305", Description = "five marks"),
        TestCase("e\u0301\u0302\u200b\u0303\u0304\u0305", Description = "what shows nothing does not end a stack")]
    [TestCase("a\0b"), TestCase("a\nb"), TestCase("\u202eabc"), TestCase("012345678901234567890123456789012")]
    public void A_name_that_shows_nothing_or_too_much_is_none(string given)
    {
        Assert.That(Names.TryRead(given, out _, out string? why), Is.False);
        Assert.That(why, Is.Not.Empty);
    }

    [TestCase(" \r\n\t", true), TestCase("\0", true), TestCase("\u2800\u200d\u3164", true), TestCase("", true), TestCase(" . ", false),
        TestCase("\u0001", false), TestCase("👍", false)]
    public void A_text_is_empty_when_nothing_of_it_shows(string text, bool isEmpty) =>
        Assert.That(Unseen.IsAll(Encoding.UTF8.GetBytes(text)), Is.EqualTo(isEmpty));

    [TestCase("""{"\ud800":1,"type":"say","key":"k","text":"x"}""", "k", "names of properties must be strings of Unicode characters")]
    [TestCase("""{"type":"say","text":7,"key":"k"}""", "k", "text must be a string of Unicode characters")]
    [TestCase("""{"type":"say","key":"k","key":"j","text":"x"}""", "k", "a property is there twice, with different values")]
    [TestCase("""{"type":"say","key":"\udc00","text":"x"}""", null, "key must be 1 to 64 printable ASCII characters, without spaces")]
    [TestCase("""{"key":"k","\u0074ype":"say","text":"x"}x""", "k", "not JSON")]
    public void What_is_there_and_unusable_is_refused_with_its_reason(string json, string? key, string detail)
    {
        var refused = ClientMessage.Parse(Encoding.UTF8.GetBytes(json), 100) as ClientMessage.Refused;
        Assert.That(refused?.Refusal, Is.EqualTo(new Refusal("malformed", detail, key)));
    }

    [Test]
    public void What_JSON_says_twice_with_one_value_is_said_once()
    {
        var say = (ClientMessage.Say)ClientMessage.Parse("""{"type":"say","\u006bey":"k","key":"k","text":"x","text":"x","name":null}"""u8, 100);
        Assert.That((say.Key, Encoding.UTF8.GetString(say.Text)), Is.EqualTo(("k", "x")));
    }
}
