using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;

namespace ChatMinimal;

/// <summary>The properties of a JSON object that mean something to us. Null: not there, or JSON's null.</summary>
readonly record struct Fields(string? Type, string? Key, string? Name, byte[]? Text)
{
    const string Twice = "a property is there twice, with different values";

    /// <summary>
    /// Never throws for what a client sent. A property that is there and cannot be used makes the whole unusable; the key is
    /// read all the same, even of what is not JSON to its end, so that the answer can name it.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> json, out Fields fields, [NotNullWhen(false)] out string? why)
    {
        fields = default;
        why = null;
        try
        {
            var reader = new Utf8JsonReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                why = "not a JSON object";
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                switch (NameOf(ref reader))
                {
                    case "type":
                        fields = fields with { Type = ReadString(ref reader, fields.Type, ClientMessage.TypeRule, ref why) };
                        break;
                    case "key":
                        fields = fields with { Key = ReadString(ref reader, fields.Key, ClientMessage.KeyRule, ref why) };
                        break;
                    case "name":
                        fields = fields with { Name = ReadString(ref reader, fields.Name, ClientMessage.NameRule, ref why) };
                        break;
                    case "text":
                        fields = fields with { Text = ReadText(ref reader, fields.Text, ClientMessage.TextRule, ref why) };
                        break;
                    case null:
                        why ??= "names of properties must be strings of Unicode characters";
                        reader.Skip();
                        break;
                    default:
                        reader.Skip();
                        break;
                }
            }
            reader.Read(); // throws when something follows the object
        }
        catch (JsonException)
        {
            why = "not JSON";
        }
        return why is null;
    }

    // One that means something to us, or ""; null when it has half a surrogate pair, which is no Unicode text.
    static string? NameOf(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.ValueTextEquals("type"u8) ? "type"
                : reader.ValueTextEquals("key"u8) ? "key"
                : reader.ValueTextEquals("name"u8) ? "name"
                : reader.ValueTextEquals("text"u8) ? "text"
                : "";
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    static string? ReadString(ref Utf8JsonReader reader, string? before, string rule, ref string? why)
    {
        string? value = Unescape(ref reader, rule, ref why) is { } utf8 ? Encoding.UTF8.GetString(utf8) : before;
        if (before is not null && before != value)
            why ??= Twice;
        return before ?? value;
    }

    static byte[]? ReadText(ref Utf8JsonReader reader, byte[]? before, string rule, ref string? why)
    {
        byte[]? value = Unescape(ref reader, rule, ref why) ?? before;
        if (before is not null && !before.AsSpan().SequenceEqual(value))
            why ??= Twice;
        return before ?? value;
    }

    // Null when the value is no string, or has half a surrogate pair; and when it is JSON's null, which is as good as not there.
    static byte[]? Unescape(ref Utf8JsonReader reader, string rule, ref string? why)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String)
        {
            if (reader.TokenType != JsonTokenType.Null)
                why ??= rule;
            reader.Skip();
            return null;
        }
        byte[] unescaped = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            int length = reader.CopyString(unescaped);
            return unescaped.AsSpan(0, length).ToArray();
        }
        catch (InvalidOperationException)
        {
            why ??= rule;
            return null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(unescaped);
        }
    }
}
