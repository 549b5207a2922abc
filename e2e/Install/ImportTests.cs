using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Install;

/// <summary>What was taken along is put back: the lines of an export into a room that has no messages.</summary>
public sealed class ImportTests : IDisposable
{
    const string One = """{"seq":1,"at":"2026-11-25T20:00:00.123Z","text":"one"}""";

    readonly ChatFolder _folder = new();

    string Lines => _folder.File + ".jsonl";

    public void Dispose() => _folder.Dispose();

    [Test]
    public async Task A_room_that_was_exported_and_imported_is_the_same_and_knows_its_keys()
    {
        using var other = new ChatFolder();
        await using (var server = ChatServer.StartWith(other, ("MessagesPerSecond", 0), ("KeepMessages", 400)))
        {
            using Peer ana = await Peer.ChatAsync(server, "room=cours&name=Ana&last=0");
            using Peer plain = await Peer.PlainAsync(server, "room=cours");
            for (int i = 1; i <= 700; i++)
                await ana.SayAsync($"k{i}", $"é😀 \u0000\n\"{new string('x', i)} {i}");
            await ana.ReceiveTextsAsync(700);
            await plain.SayAsync("");
            Assert.That((string)(await ana.ReceiveMessageAsync())["text"]!, Is.Empty);
            await File.WriteAllTextAsync(Lines, await ExportAsync(server, "cours"));
        }
        Assert.That(File.ReadLines(Lines).Count(), Is.EqualTo(400));

        Assert.That(await ImportAsync("copie"), Is.EqualTo((0, "400 messages imported into room 'copie'\n", "")));

        await using var again = ChatServer.StartWith(_folder);
        Assert.That(await ExportAsync(again, "copie"), Is.EqualTo(await File.ReadAllTextAsync(Lines)));
        using Peer zoe = await Peer.ChatAsync(again, "room=copie&name=Zo%C3%A9&last=1");
        JsonNode hello = await zoe.ReceiveAsync("hello");
        Assert.That(((long)hello["first"]!, (long)hello["next"]!), Is.EqualTo((302L, 702L)));
        await zoe.ReceiveMessageAsync();
        await zoe.SayAsync("k500", $"é😀 \u0000\n\"{new string('x', 500)} 500");
        Assert.That((long)(await zoe.ReceiveAsync("logged"))["seq"]!, Is.EqualTo(500));
        await zoe.SayAsync("k701", "goes on");
        Assert.That((long)(await zoe.ReceiveMessageAsync())["seq"]!, Is.EqualTo(702));
    }

    [Test]
    public async Task What_is_missing_between_the_lines_is_a_gap()
    {
        await File.WriteAllTextAsync(Lines, $$"""
            {{One}}
            {"seq":5,"at":"2026-11-25T20:00:00.123Z","name":"Ana","text":"five","key":"k","mood":"new"}
            """);
        Assert.That((await ImportAsync("salon")).Code, Is.Zero, "the last line may lack its end");
        await using var server = ChatServer.StartWith(_folder);
        using Peer zoe = await Peer.ChatAsync(server, "after=0");
        Assert.That((long)(await zoe.ReceiveMessageAsync())["seq"]!, Is.EqualTo(1));
        JsonNode gap = await zoe.ReceiveAsync("gap");
        Assert.That(((long)gap["from"]!, (long)gap["to"]!), Is.EqualTo((2L, 4L)));
        Assert.That((await zoe.ReceiveMessageAsync()).ToJsonString(),
            Is.EqualTo("""{"type":"message","seq":5,"at":"2026-11-25T20:00:00.123Z","name":"Ana","text":"five","key":"k"}"""));
    }

    [TestCase("no JSON", "not a JSON object")]
    [TestCase("", "not a JSON object")]
    [TestCase("""[1]""", "not a message as an export has it")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z","text":"half""", "not a JSON object")]
    [TestCase("""{"seq":2,"seq":3,"at":"2026-11-25T20:00:00Z","text":"t"}""", "not a JSON object")]
    [TestCase("""{"at":"2026-11-25T20:00:00Z","text":"t"}""", "seq must be a whole number from 1 on")]
    [TestCase("""{"seq":2.5,"at":"2026-11-25T20:00:00Z","text":"t"}""", "seq must be a whole number from 1 on")]
    [TestCase("""{"seq":1,"at":"2026-11-25T20:00:00Z","text":"t"}""", "message 1 comes after message 1")]
    [TestCase("""{"seq":68719476736,"at":"2026-11-25T20:00:00Z","text":"t"}""",
        "message 68719476736: no log has more than 68719476735 messages")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00","text":"t"}""", "at must be a time in UTC, such as 2026-11-25T20:00:00.123Z")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z"}""", "text must be a string of Unicode characters")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z","text":7}""", "not a message as an export has it")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z","text":"\ud800"}""", "not a message as an export has it")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z","text":"twenty bytes is most"}""", null)]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z","text":"twenty bytes is most."}""",
        "the text is longer than 20 bytes of UTF-8 (Chat:MaxMessageBytes)")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z","text":"t","key":"k k"}""",
        "key must be 1 to 64 printable ASCII characters, without spaces")]
    [TestCase("""{"seq":2,"at":"2026-11-25T20:00:00Z","text":"t","name":"\u202e"}""",
        "a name has at most 32 characters, none of them a control or text direction character")]
    public async Task A_line_that_cannot_be_used_is_named_and_nothing_is_imported(string line, string? why)
    {
        await File.WriteAllTextAsync(Lines, $"{One}\n{line}\n");
        (int code, string output, string error) = await ImportAsync("salon", "--Chat:MaxMessageBytes=20");
        if (why is null)
        {
            Assert.That((code, output, error), Is.EqualTo((0, "2 messages imported into room 'salon'\n", "")));
            return;
        }
        string where = why.StartsWith("message 6", StringComparison.Ordinal) ? "" : "line 2: "; // the log's limit, not the line's
        Assert.That((code, output, error), Is.EqualTo((1, "", $"chatminimal: {where}{why}\n")));
        await File.WriteAllTextAsync(Lines, One);
        Assert.That(await ImportAsync("salon"), Is.EqualTo((0, "1 messages imported into room 'salon'\n", "")), "the room is still empty");
    }

    [Test]
    public async Task A_room_that_has_messages_is_left_as_it_is_and_so_is_a_file_that_a_server_uses()
    {
        await File.WriteAllTextAsync(Lines, One + "\n");
        string before;
        await using (var server = ChatServer.StartWith(_folder))
        {
            using var http = new HttpClient { BaseAddress = server.Http };
            await http.PostAsync("/messages", new StringContent("before", Encoding.UTF8, "text/plain"));
            before = await http.GetStringAsync("/messages");
            Assert.That(await ImportAsync("cours"), Is.EqualTo((1, "", $"chatminimal: {_folder.File} is in use by another server\n")));
        }
        Assert.That(await ImportAsync("salon"), Is.EqualTo((1, "",
            $"chatminimal: room 'salon' of {_folder.File} has messages already: an import goes into an empty one\n")));
        Assert.That((await ImportAsync("cours")).Code, Is.Zero);
        await using var again = ChatServer.StartWith(_folder);
        using var client = new HttpClient { BaseAddress = again.Http };
        Assert.That(await client.GetStringAsync("/messages"), Is.EqualTo(before), "the same epoch, too");
        Assert.That(await ExportAsync(again, "cours"), Is.EqualTo(One + "\n"));
    }

    [TestCase("import --room salon", "import needs FILE: chatminimal import FILE --room ROOM")]
    [TestCase("import no-such-file", "import needs --room ROOM")]
    [TestCase("import no-such-file --room a.b", "room: 1 to 64 of A-Z a-z 0-9 - _")]
    [TestCase("import no-such-file --room a", "Could not find file '*no-such-file'.")]
    [TestCase("import no-such-file --room a --Chat:Database=", "Chat:Database is empty: there is no file to import into")]
    public async Task What_is_asked_for_wrongly_is_told_in_one_line(string arguments, string why)
    {
        using var process = BuiltProcess.Server("Production", arguments.Split(' '));
        (int code, string output, string error) = await process.EndAsync();
        Assert.That((code, output), Is.EqualTo((1, "")));
        Assert.That(error, Does.Match($"^chatminimal: {System.Text.RegularExpressions.Regex.Escape(why).Replace(@"\*", ".*")}\n$"));
    }

    [Test]
    public async Task A_file_of_any_length_is_read_a_little_at_a_time_and_a_line_has_an_end()
    {
        long seq = 0;
        using var lines = new EndlessStream(() => $$"""{"seq":{{++seq}},"at":"2026-11-25T20:00:00Z","text":"t"}""" + "\n");
        int read = 0;
        await foreach (Message message in MessageLines.ReadAsync(lines, 1000, default))
            if (++read == 100_000)
                break;
        Assert.That(seq, Is.LessThan(110_000), "lines that were asked for");
        using var line = new EndlessStream(() => "x");
        Assert.That(async () => await MessageLines.ReadAsync(line, 1000, default).GetAsyncEnumerator().MoveNextAsync(),
            Throws.InvalidOperationException.With.Message.EqualTo("line 1: longer than any message may be"));
    }

    async Task<(int Code, string Output, string Error)> ImportAsync(string room, params string[] more)
    {
        using var import =
            BuiltProcess.Server("Production", ["import", Lines, "--room", room, "--Chat:Database", _folder.File, .. more]);
        return await import.EndAsync();
    }

    static async Task<string> ExportAsync(ChatServer server, string room)
    {
        using var http = new HttpClient { BaseAddress = server.Http };
        return await http.GetStringAsync($"/export?room={room}");
    }

    // A file without an end, made as it is read.
    sealed class EndlessStream(Func<string> next) : Stream
    {
        byte[] _rest = [];

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            int length = 0;
            while (length < buffer.Length)
            {
                _rest = _rest is [] ? Encoding.UTF8.GetBytes(next()) : _rest;
                int part = Math.Min(_rest.Length, buffer.Length - length);
                _rest.AsSpan(0, part).CopyTo(buffer[length..]);
                (_rest, length) = (_rest[part..], length + part);
            }
            return length;
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            new(Read(buffer.Span));

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
