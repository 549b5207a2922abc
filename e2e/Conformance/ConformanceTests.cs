using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using NUnit.Framework;

namespace ChatMinimal.E2E.Conformance;

/// <summary>
/// Production servers for the whole ring, one with each way of receiving that the system has; each case is in a room of its own.
/// </summary>
[SetUpFixture]
public sealed class ConformanceServer
{
    static readonly Dictionary<string, ChatServer> s_servers = [];

    public static int Port(string sockets = "auto") => s_servers[sockets].Port;

    [OneTimeSetUp]
    public void Start()
    {
        foreach (string sockets in (string[])["auto", "kestrel"])
            s_servers[sockets] = ChatServer.StartIn("Production", ("MessagesPerSecond", 0), ("Sockets", sockets));
    }

    [OneTimeTearDown]
    public void End()
    {
        foreach (ChatServer server in s_servers.Values)
            server.Dispose();
    }
}

[TestFixture("auto"), TestFixture("kestrel")]
public sealed class ConformanceTests(string sockets)
{
    const string PlainPrefix = "Message d'un client : ";

    static readonly IEnumerable<ConformanceCase> s_cases = ConformanceCases.All;

    static int s_rooms;

    [TestCaseSource(nameof(s_cases))]
    public async Task The_server_answers_what_RFC_6455_says(object the)
    {
        var one = (ConformanceCase)the;
        Assert.That(await AnswerAsync(one.Dialect, [one.Sent]), Is.EqualTo(one.Expected));
        var random = new Random(one.ToString().Length);
        Assert.That(await AnswerAsync(one.Dialect, Cut(one.Sent, random)), Is.EqualTo(one.Expected),
            "the same in pieces, the first of them in the handshake's segment");
    }

    [TestCase(Dialect.Plain), TestCase(Dialect.Chat)]
    public async Task Who_ends_the_sending_side_after_a_message_has_said_it(object the)
    {
        var dialect = (Dialect)the;
        string room = $"?room=half-{dialect}";
        using Peer witness = await Peer.ConnectAsync(new Uri($"ws://127.0.0.1:{ConformanceServer.Port(sockets)}/ws"), null, room);
        using RawPeer peer = await ConnectAsync(dialect, room, []);
        await peer.WriteAsync(ClientFrame.Of(0x81, new CaseBuilder(dialect, "").Payload("last words")));
        peer.EndSending();
        Assert.That(await witness.ReceiveAsync(), Is.EqualTo(PlainPrefix + "last words"));
        Assert.That(await AnswerAsync(peer), Does.EndWith("end"), "and the connection ends in order");
    }

    [TestCase(Dialect.Plain), TestCase(Dialect.Chat)]
    public async Task Who_ends_the_sending_side_after_a_close_is_answered(object the)
    {
        using RawPeer peer = await ConnectAsync((Dialect)the, $"?room=closed-{the}", []);
        await peer.WriteAsync(CaseBuilder.Close(1001));
        peer.EndSending();
        Assert.That(await AnswerAsync(peer), Is.EqualTo("close 1001, end"));
    }

    async Task<string> AnswerAsync(Dialect dialect, byte[][] pieces)
    {
        using RawPeer peer =
            await ConnectAsync(dialect, $"?room=case-{Interlocked.Increment(ref s_rooms)}", pieces.Length > 1 ? pieces[0] : []);
        Task writing = WriteAsync(peer, pieces.Length > 1 ? pieces[1..] : pieces);
        string answer = await AnswerAsync(peer);
        await writing;
        return answer;
    }

    static async Task WriteAsync(RawPeer peer, byte[][] pieces)
    {
        foreach (byte[] piece in pieces)
            await peer.WriteAsync(piece);
    }

    Task<RawPeer> ConnectAsync(Dialect dialect, string query, byte[] first) =>
        RawPeer.UpgradeAsync(ConformanceServer.Port(sockets), "/ws" + query,
            dialect == Dialect.Plain ? "" : "\nSec-WebSocket-Protocol: chat.v1", first: first);

    // All that the server writes, until it ends its side of TCP, which it does by itself (section 7.1.1); where a frame is not as a
    // server's must be, that is the answer.
    static async Task<string> AnswerAsync(RawPeer peer)
    {
        List<string> texts = [], pongs = [];
        string end = "";
        try
        {
            while (true)
            {
                (byte first, byte[] payload) = await peer.ReadFrameAsync();
                if (end != "")
                    return $"{end}, and then a frame {first:x2}";
                switch (first)
                {
                    case 0x81:
                        if (Told(Encoding.UTF8.GetString(payload)) is { } told)
                            texts.Add(told);
                        break;
                    case 0x8A:
                        pongs.Add(Convert.ToHexString(payload));
                        break;
                    case 0x88 when payload.Length >= 2:
                        end = $"close {BinaryPrimitives.ReadUInt16BigEndian(payload)}, ";
                        break;
                    case not 0x89:
                        return $"a frame {first:x2} of {payload.Length} bytes";
                }
            }
        }
        catch (EndOfStreamException)
        {
            return CaseBuilder.Answer(texts, pongs, end + "end");
        }
        catch (System.Net.Sockets.SocketException error)
        {
            return CaseBuilder.Answer(texts, pongs, end + error.SocketErrorCode);
        }
    }

    // What a client is told of what was said; null: it is about something else.
    static string? Told(string text)
    {
        if (text.StartsWith(PlainPrefix, StringComparison.Ordinal))
            return text[PlainPrefix.Length..];
        JsonObject json = JsonNode.Parse(text)!.AsObject();
        return (string)json["type"]! switch
        {
            "message" => (string)json["text"]!,
            "refused" => $"refused {json["reason"]}",
            _ => null,
        };
    }

    // Small pieces of small cases, large ones of large: a thousand at most.
    static byte[][] Cut(byte[] bytes, Random random)
    {
        var pieces = new List<byte[]>();
        for (int at = 0; at < bytes.Length;)
        {
            int length = Math.Min(bytes.Length - at, random.Next(1, 5 + bytes.Length / 500));
            pieces.Add(bytes[at..(at += length)]);
        }
        return [.. pieces];
    }
}
