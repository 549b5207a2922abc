using System.Buffers;
using System.IO.Pipelines;
using NUnit.Framework;

namespace ChatMinimal.E2E.Log;

public sealed class OutputTests
{
    static readonly byte[] s_text = Frame.Of(Frame.Text, "after"u8), s_close = Frame.Of(Frame.Close, [0x03, 0xE8]);

    /// <summary>RFC 6455 section 5.5.1.</summary>
    [Test]
    public async Task After_a_close_frame_nothing_is_written_by_the_pump_or_by_the_connection()
    {
        var pipe = new Pipe();
        var output = new Output(pipe.Writer, direct: null, TimeProvider.System);
        output.Open(wake: _ => { }, this);
        await output.WriteAloneAsync(s_close);
        Assert.That(output.TryLock(out _), Is.False, "the pump");
        await output.WriteAloneAsync(s_text);
        await output.WriteAloneAsync(s_close);
        ReadResult read = await pipe.Reader.ReadAsync();
        Assert.That(read.Buffer.ToArray(), Is.EqualTo(s_close));
    }

    [Test]
    public async Task Whoever_comes_while_another_writes_waits_and_the_pump_is_called_back()
    {
        var pipe = new Pipe();
        var output = new Output(pipe.Writer, direct: null, TimeProvider.System);
        int calls = 0;
        output.Open(wake: _ => calls++, this);
        Assert.That(calls, Is.EqualTo(1), "it may begin");
        Assert.That(output.TryLock(out Output.Writer first));
        Task second = output.WriteAloneAsync(s_text).AsTask();
        Assert.That(output.TryLock(out _), Is.False);
        Assert.That((second.IsCompleted, calls), Is.EqualTo((false, 1)));
        first.Unlock();
        using CancellationTokenSource limit = Rig.Patience();
        await second.WaitAsync(limit.Token);
        Assert.That(() => calls, Is.EqualTo(2).After(5000, 10), "once it is free again");
    }
}
