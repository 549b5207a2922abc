using System.Text;
using System.Text.Unicode;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace ChatMinimal;

/// <summary>
/// What a request posts: a text, and perhaps a key and a name, which may come in the body (plain text, two kinds of form, JSON),
/// in the query and in a header. What is there and cannot be used is refused, and so are two values that differ.
/// </summary>
sealed class Posted
{
    const int LongestBoundary = 70; // characters (RFC 2046 section 5.1.1)

    public byte[]? Text { get; private set; }
    public string? Key { get; private set; }
    public string? Name { get; private set; }

    string? _why; // it cannot be used

    /// <summary>Reads a request; returns what it posts, or why it is refused.</summary>
    /// <exception cref="BadHttpRequestException">The body is too long, or breaks off.</exception>
    public static async ValueTask<(Posted Posted, Problem? Refusal)> ReadAsync(HttpRequest request, Visit visit, ChatOptions options,
        CancellationToken cancel)
    {
        var posted = new Posted { Name = visit.Name };
        MediaTypeHeaderValue? type = null;
        if (request.Headers.ContentType.Count > 0 && !MediaTypeHeaderValue.TryParse(request.ContentType, out type))
            return (posted, Unsupported("Content-Type: one media type"));
        if (!IsUtf8(type))
            return (posted, Unsupported("charset: only UTF-8 is understood"));
        if (request.Headers.ContentEncoding.ToString() is not ("" or "identity"))
            return (posted, Unsupported("Content-Encoding: none is understood"));

        posted.AddHeader(request.Headers["Idempotency-Key"]);
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, cancel);
        byte[] bytes = body.ToArray();
        switch (type?.MediaType.Value?.ToLowerInvariant() ?? "text/plain")
        {
            case "text/plain":
                posted.AddText(bytes);
                break;
            case "application/x-www-form-urlencoded":
                posted.AddForm(bytes);
                break;
            case "multipart/form-data":
                await posted.AddPartsAsync(bytes, HeaderUtilities.RemoveQuotes(type!.Boundary).ToString());
                break;
            case var _ when request.HasJsonContentType():
                posted.AddJson(bytes);
                break;
            default:
                return (posted, Unsupported("text/plain, a form, or application/json"));
        }
        return (posted, posted.Check(options));
    }

    static bool IsUtf8(MediaTypeHeaderValue? type) =>
        type?.Charset.Value is not { } charset || HeaderUtilities.RemoveQuotes(charset).ToString()
            .ToLowerInvariant() is "utf-8" or "utf8" or "us-ascii";

    static Problem Unsupported(string detail) => new(StatusCodes.Status415UnsupportedMediaType, detail);

    Problem? Check(ChatOptions options)
    {
        if (_why is null && Key is not null && !ClientMessage.IsKey(Key))
            _why = ClientMessage.KeyRule;
        if (_why is null && Text is null)
            _why = ClientMessage.TextRule;
        if (_why is null && Unseen.IsAll(Text))
            _why = "the text is empty";
        if (_why is null && Text!.Length > options.MaxMessageBytes)
            return new(StatusCodes.Status413PayloadTooLarge, $"the text is longer than {options.MaxMessageBytes} bytes of UTF-8");
        return _why is null ? null : new(StatusCodes.Status400BadRequest, _why);
    }

    // A string, as the IETF's draft has it, or bare, as everyone writes it.
    void AddHeader(Microsoft.Extensions.Primitives.StringValues keys)
    {
        foreach (string? key in keys)
            AddKey(key is ['"', .. var quoted, '"'] ? quoted : key);
    }

    void AddText(byte[] text)
    {
        if (!Utf8.IsValid(text))
            _why ??= "text: not UTF-8";
        if (Text?.AsSpan().SequenceEqual(text) == false)
            _why ??= Twice("text");
        Text = text;
    }

    void AddKey(string? key)
    {
        if (key is not null && Key is not null && key != Key)
            _why ??= Twice("key");
        Key ??= key;
    }

    void AddName(string? given)
    {
        if (given is null)
            return;
        if (!Names.TryRead(given, out string? name, out string? fault))
            _why ??= $"name: {fault}";
        if (name is not null && Name is not null && name != Name)
            _why ??= Twice("name");
        Name ??= name;
    }

    void AddForm(byte[] pairs)
    {
        var form = new UrlEncoded(pairs);
        byte[]? text = form.GetBytes("text", ref _why);
        AddKey(form.Get("key", ref _why));
        AddName(form.Get("name", ref _why));
        if (text is not null)
            AddText(text);
    }

    void AddJson(byte[] json)
    {
        if (!Utf8.IsValid(json))
            _why ??= "not UTF-8";
        else if (!Fields.TryRead(json, out Fields fields, out string? fault))
            _why ??= fault;
        else
            Add(fields);
    }

    void Add(Fields fields)
    {
        AddKey(fields.Key);
        AddName(fields.Name);
        if (fields.Text is not null)
            AddText(fields.Text);
    }

    async ValueTask AddPartsAsync(byte[] body, string boundary)
    {
        try
        {
            if (boundary.Length is 0 or > LongestBoundary)
                throw new InvalidDataException();
            var reader = new MultipartReader(boundary, new MemoryStream(body));
            while (await reader.ReadNextSectionAsync() is { } section)
            {
                if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out ContentDispositionHeaderValue? disposition)
                    || !disposition.IsFormDisposition())
                    continue; // a file, which is no text
                if (MediaTypeHeaderValue.TryParse(section.ContentType, out MediaTypeHeaderValue? type) && !IsUtf8(type))
                    _why ??= "charset: only UTF-8 is understood";
                using var part = new MemoryStream();
                await section.Body.CopyToAsync(part);
                AddPart(HeaderUtilities.RemoveQuotes(disposition.Name).ToString(), part.ToArray());
            }
        }
        catch (Exception error) when (error is InvalidDataException or IOException) // whose message quotes what was sent
        {
            _why ??= "not a form: the parts of multipart/form-data cannot be told apart";
        }
    }

    void AddPart(string name, byte[] value)
    {
        if (!Utf8.IsValid(value))
            _why ??= $"{(name is "text" or "key" or "name" ? name : "a part")}: not UTF-8";
        else if (name == "text")
            AddText(value);
        else if (name == "key")
            AddKey(Encoding.UTF8.GetString(value));
        else if (name == "name")
            AddName(Encoding.UTF8.GetString(value));
    }

    static string Twice(string what) => $"{what}: given twice, with different values";
}
