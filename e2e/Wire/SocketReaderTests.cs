using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>What a socket reader reads on a loop of its own, from real sockets.</summary>
[Platform("Linux", Reason = "where there is an epoll")]
public sealed class SocketReaderTests : IDisposable
{
    readonly Loop _loop = new(NullLogger<Loop>.Instance);
    readonly List<Socket> _sockets = [];

    public SocketReaderTests()
    {
        _loop.UseSockets();
        _loop.Start();
    }

    public void Dispose()
    {
        _loop.Dispose();
        _sockets.ForEach(socket => socket.Dispose());
    }

    // Several at once, for what comes to one of them must not get into the buffer that another is still looking at.
    [TestCase(true), TestCase(false)]
    public async Task Whatever_is_sent_is_read_however_it_is_cut_and_consumed(bool isInline)
    {
        const int Length = 1 << 20;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async number =>
        {
            var random = new Random(Rig.Seed + number);
            byte[] sent = new byte[Length], read = new byte[Length];
            random.NextBytes(sent);
            (Socket peer, SocketReader reader, _) = await OpenAsync(isInline);
            Task sending = SendAsync(peer, sent, new Random(Rig.Seed - number));
            for (int at = 0; at < Length;)
            {
                ReadResult result = await reader.ReadAsync();
                if (random.Next(4) == 0)
                    await Task.Yield(); // and goes on elsewhere, with the buffer still in hand
                long examined = random.NextInt64(result.Buffer.Length + 1), consumed = random.NextInt64(examined + 1);
                if (result.IsCompleted)
                    consumed = examined = result.Buffer.Length;
                result.Buffer.Slice(0, consumed).CopyTo(read.AsSpan(at));
                at += (int)consumed;
                reader.AdvanceTo(result.Buffer.GetPosition(consumed), result.Buffer.GetPosition(examined));
            }
            await sending;
            Assert.That(read.AsSpan().SequenceEqual(sent), $"seed {Rig.Seed}");
            Assert.That((await reader.ReadAsync()).IsCompleted);
        }));
    }

    [Test]
    public async Task What_one_still_looks_at_is_not_written_over_by_what_comes_to_another()
    {
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var reads = new List<Task<byte[]>>();
        for (byte i = 0; i < 4; i++)
        {
            (Socket peer, SocketReader reader, _) = await OpenAsync(isInline: true);
            var hasRead = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            reads.Add(ReadAsync(reader, hasRead, go.Task)); // waits already, and so is read on the loop
            peer.Send([i, i, i]);
            await hasRead.Task;
        }
        go.SetResult();
        Assert.That(await Task.WhenAll(reads), Is.EqualTo(Enumerable.Range(0, 4).Select(i => Enumerable.Repeat((byte)i, 3))));

        static async Task<byte[]> ReadAsync(SocketReader reader, TaskCompletionSource hasRead, Task go)
        {
            ReadResult result = await reader.ReadAsync();
            hasRead.SetResult();
            await go;
            byte[] bytes = result.Buffer.ToArray();
            reader.AdvanceTo(result.Buffer.End);
            return bytes;
        }
    }

    [Test]
    public async Task A_peer_that_floods_keeps_nobody_from_being_read()
    {
        (Socket flood, SocketReader flooded, _) = await OpenAsync(isInline: true);
        (Socket quiet, SocketReader reader, _) = await OpenAsync(isInline: true);
        bool isOver = false;
        var flooding = Task.Run(() =>
        {
            var much = new byte[1 << 20];
            while (!Volatile.Read(ref isOver))
                flood.Send(much);
            flood.Shutdown(SocketShutdown.Send);
        });
        Task<long> drained = DrainAsync(flooded);
        for (int i = 0; i < 100; i++)
        {
            ValueTask<ReadResult> reading = reader.ReadAsync();
            quiet.Send([(byte)i]);
            ReadResult result = await reading;
            Assert.That(result.Buffer.FirstSpan[0], Is.EqualTo(i));
            reader.AdvanceTo(result.Buffer.End);
        }
        Volatile.Write(ref isOver, true);
        await flooding;
        Assert.That(await drained, Is.GreaterThan(0));
    }

    [Test]
    public async Task The_end_of_a_peer_is_told_though_nobody_reads_and_what_it_sent_can_still_be_read()
    {
        (Socket peer, SocketReader reader, Task ended) = await OpenAsync(isInline: false);
        peer.Send([1, 2, 3]);
        ReadResult result = await reader.ReadAsync();
        reader.AdvanceTo(result.Buffer.Start, result.Buffer.GetPosition(1)); // looked at one, and keeps all
        peer.Shutdown(SocketShutdown.Send);
        await ended;
        result = await reader.ReadAsync();
        Assert.That(result.Buffer.ToArray(), Is.EqualTo(new byte[] { 1, 2, 3 }));
        reader.AdvanceTo(result.Buffer.End);
        Assert.That((await reader.ReadAsync()).IsCompleted);
    }

    [Test]
    public async Task A_peer_that_is_reset_is_at_its_end()
    {
        (Socket peer, SocketReader reader, Task ended) = await OpenAsync(isInline: true);
        ValueTask<ReadResult> reading = reader.ReadAsync();
        peer.Close(timeout: 0);
        Assert.That((await reading).IsCompleted);
        reader.End();
        await ended;
    }

    // HTTP would reset a connection that it is told has ended, together with an answer that is still on its way.
    [Test]
    public async Task Whoever_reads_the_end_of_a_peer_is_not_told_of_it_until_the_socket_is_closed()
    {
        (Socket peer, SocketReader reader, Task ended) = await OpenAsync(isInline: false);
        ValueTask<ReadResult> reading = reader.ReadAsync();
        peer.Shutdown(SocketShutdown.Send);
        Assert.That((await reading).IsCompleted);
        for (int yields = 0; yields < 1000 && !ended.IsCompleted; yields++)
            await Task.Yield(); // it would be told on the pool
        Assert.That(ended.IsCompleted, Is.False);
        reader.End();
        await ended;
    }

    [Test]
    public async Task One_that_fails_on_the_loop_keeps_nobody_else_from_what_came_with_it()
    {
        (Socket peer, SocketReader failing, _) = await OpenAsync(isInline: true);
        (Socket other, SocketReader reader, _) = await OpenAsync(isInline: true);
        using CancellationTokenSource limit = Rig.Patience();
        using var bothSent = new ManualResetEventSlim();
        _loop.Post(() => bothSent.Wait(limit.Token)); // so that both are told of in one turn
        CallBack(failing.ReadAsync(), static () => throw new InvalidOperationException("on purpose"));
        Task<ReadResult> reading = reader.ReadAsync().AsTask();
        peer.Send([1]);
        other.Send([2]);
        bothSent.Set();
        Assert.That((await reading.WaitAsync(limit.Token)).Buffer.FirstSpan[0], Is.EqualTo(2));

        static void CallBack(ValueTask<ReadResult> reading, Action go) =>
            reading.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(go);
    }

    [Test]
    public async Task Whoever_waits_can_be_called_off_and_read_again()
    {
        (Socket peer, SocketReader reader, _) = await OpenAsync(isInline: false);
        using var cancel = new CancellationTokenSource();
        ValueTask<ReadResult> reading = reader.ReadAsync(cancel.Token);
        cancel.Cancel();
        Assert.That(async () => await reading, Throws.InstanceOf<OperationCanceledException>());

        reading = reader.ReadAsync();
        reader.CancelPendingRead();
        ReadResult result = await reading;
        Assert.That((result.IsCanceled, result.Buffer.IsEmpty), Is.EqualTo((true, true)));
        reader.AdvanceTo(result.Buffer.End);

        peer.Send([7]);
        result = await reader.ReadAsync();
        Assert.That((result.IsCanceled, result.Buffer.FirstSpan[0]), Is.EqualTo((false, 7)));
    }

    async Task<(Socket Peer, SocketReader Reader, Task Ended)> OpenAsync(bool isInline)
    {
        using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var peer = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(listener.LocalEndPoint!);
        Socket socket = await listener.AcceptAsync();
        socket.Blocking = false;
        var ended = new TaskCompletionSource();
        var reader = new SocketReader(socket, _loop, static ended => ((TaskCompletionSource)ended!).SetResult(), ended)
        {
            IsInline = isInline,
        };
        _loop.Sockets!.Watch(reader);
        lock (_sockets)
            _sockets.AddRange([peer, socket]);
        return (peer, reader, ended.Task);
    }

    static async Task SendAsync(Socket peer, byte[] bytes, Random random)
    {
        for (int at = 0; at < bytes.Length;)
        {
            int length = Math.Min(bytes.Length - at, random.Next(random.Next(2) == 0 ? 10 : 100_000) + 1);
            at += await peer.SendAsync(bytes.AsMemory(at, length));
        }
        peer.Shutdown(SocketShutdown.Send);
    }

    static async Task<long> DrainAsync(SocketReader reader)
    {
        for (long length = 0; ;)
        {
            ReadResult result = await reader.ReadAsync();
            length += result.Buffer.Length;
            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
                return length;
        }
    }
}
