using System.IO.Pipelines;
using System.Text.Json.Nodes;

namespace ChatMinimal.E2E.Log;

/// <summary>A listener is a connection without a socket: a feed in a room, and all that it was sent.</summary>
/// <param name="isSlow">Now and then a write waits for it.</param>
sealed class Listener(Rooms rooms, Room room, Dialect dialect, string? name, TimeProvider clock, bool isSlow = false)
{
    readonly Recording _recording = new(isSlow);
    Output? _output;

    public Room Room => room;
    public Feed Feed { get; } = new(room, dialect, name, clock);

    /// <summary>The seq at which the room was when it had joined.</summary>
    public long JoinedAt { get; private set; }

    public static async Task<Listener> JoinAsync(Rooms rooms, string room, Dialect dialect, string? name, TimeProvider clock,
        bool isSlow = false)
    {
        var listener = new Listener(rooms, (await rooms.EnterAsync(room, default))!, dialect, name, clock, isSlow);
        await listener.BeginAsync();
        return listener;
    }

    async Task BeginAsync()
    {
        room.Join(Feed, new Resume(null, null, Last: 0));
        JoinedAt = room.Window.Head.Next;
        _output = new Output(_recording, null, clock);
        await Feed.BeginAsync(_output, this, (_, error) => _recording.Fail(error), (_, _) => null);
    }

    /// <summary>Leaves as a connection does; from then on nothing is sent.</summary>
    public async Task LeaveAsync()
    {
        room.Leave(Feed);
        Feed.End();
        await _output!.RetireAsync();
        rooms.Leave(room);
    }

    /// <summary>What it was sent, from hello on for chat.v1: texts as they are.</summary>
    public List<string> Texts => [.. _recording.Frames().Select(System.Text.Encoding.UTF8.GetString)];

    /// <summary>What it was sent of one type of chat.v1.</summary>
    public JsonObject[] Sent(string type) =>
        [.. Texts.Select(text => JsonNode.Parse(text)!.AsObject()).Where(message => (string)message["type"]! == type)];

    sealed class Recording(bool isSlow) : PipeWriter
    {
        readonly List<byte> _bytes = [];
        Exception? _error;
        int _writes;

        public List<byte[]> Frames()
        {
            byte[] bytes;
            lock (_bytes)
                bytes = _error is null ? [.. _bytes] : throw new InvalidOperationException("the feed failed", _error);
            var frames = new List<byte[]>();
            for (int at = 0, length; at < bytes.Length; at += length)
            {
                length = Frame.Length(bytes.AsSpan(at));
                int header = bytes[at + 1] < 126 ? 2 : 4; // none is long enough for ten
                frames.Add(bytes[(at + header)..(at + length)]);
            }
            return frames;
        }

        public void Fail(Exception error)
        {
            lock (_bytes)
                _error = error;
        }

        public override async ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
        {
            if (isSlow && ++_writes % 3 == 0)
                await Task.Yield(); // and goes on elsewhere
            lock (_bytes)
                _bytes.AddRange(source.Span);
            return default;
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => default;
        public override Memory<byte> GetMemory(int sizeHint = 0) => throw new NotSupportedException();
        public override Span<byte> GetSpan(int sizeHint = 0) => throw new NotSupportedException();
        public override void Advance(int bytes) => throw new NotSupportedException();
        public override void CancelPendingFlush() { }
        public override void Complete(Exception? exception = null) { }
    }
}
