using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ChatMinimal;

/// <summary>
/// An epoll tells which of many sockets can be read (Linux's epoll(7)). One thread at a time waits for it.
/// </summary>
/// <remarks>
/// Edge-triggered: it tells once when something comes, and again only when more does. So a reader remembers that it was told until it has
/// found its socket empty.
/// </remarks>
sealed partial class Epoll
{
    const int Add = 1, CloseOnExec = 0x80000, NonBlocking = 0x800;
    const uint Readable = 0x1, Error = 0x8, HungUp = 0x10, PeerEnded = 0x2000, EdgeTriggered = 0x80000000;
    const int MostEvents = 256; // a turn

    // struct epoll_event: 32 bits of what happened, 64 bits of ours; without padding between them on x86-64 alone.
    static readonly int s_ours = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    static readonly int s_length = s_ours + sizeof(ulong);

    readonly SafeFileHandle _epoll = Opened(epoll_create1(CloseOnExec));
    readonly SafeFileHandle _wake = Opened(eventfd(0, CloseOnExec | NonBlocking));
    readonly Lock _lock = new();
    SocketReader?[] _readers; // by descriptor; replaced by a larger one, under the lock
    uint _watched; // how many so far

    public Epoll()
    {
        int wake = (int)_wake.DangerousGetHandle();
        _readers = new SocketReader?[wake + 1]; // nobody reads from it
        Register(wake, 0);
    }

    /// <summary>Bytes for what <see cref="Wait"/> tells.</summary>
    public static int EventsLength => MostEvents * s_length;

    /// <summary>From now on the reader is told when its socket can be read, or has ended.</summary>
    public void Watch(SocketReader reader)
    {
        lock (_lock)
        {
            if (reader.Descriptor >= _readers.Length)
                Array.Resize(ref _readers, Math.Max(reader.Descriptor + 1, 2 * _readers.Length));
            _readers[reader.Descriptor] = reader;
            reader.Number = ++_watched;
        }
        try
        {
            Register(reader.Descriptor, reader.Number);
        }
        catch
        {
            Forget(reader);
            throw;
        }
    }

    /// <summary>Before the socket is closed: after that its descriptor may be another's.</summary>
    public void Forget(SocketReader reader)
    {
        lock (_lock)
            if (_readers[reader.Descriptor] == reader)
                _readers[reader.Descriptor] = null;
    }

    /// <summary>Whoever waits does so no longer.</summary>
    public void Wake()
    {
        ulong one = 1;
        _ = write(_wake, in one, sizeof(ulong)); // it is never full
    }

    /// <summary>Waits until something has happened, if it may. Returns how many <paramref name="events"/> there are.</summary>
    public int Wait(Span<byte> events, bool mayWait) =>
        Math.Max(0, epoll_wait(_epoll, ref MemoryMarshal.GetReference(events), MostEvents, mayWait ? -1 : 0));

    /// <summary>Tells the reader that this one of the events is about.</summary>
    public void Tell(ReadOnlySpan<byte> events, int number)
    {
        ReadOnlySpan<byte> one = events.Slice(number * s_length, s_length);
        uint what = MemoryMarshal.Read<uint>(one);
        ulong ours = MemoryMarshal.Read<ulong>(one[s_ours..]);
        // What was told of a socket that is closed by now is not for the next one that has its descriptor.
        if (Volatile.Read(ref _readers)[(int)(uint)ours] is { } reader && reader.Number == ours >> 32)
            reader.OnReadable((what & (Error | HungUp | PeerEnded)) != 0);
    }

    void Register(int descriptor, uint number)
    {
        Span<byte> wanted = stackalloc byte[s_length];
        MemoryMarshal.Write(wanted, Readable | PeerEnded | EdgeTriggered);
        MemoryMarshal.Write(wanted[s_ours..], (ulong)number << 32 | (uint)descriptor);
        if (epoll_ctl(_epoll, Add, descriptor, in MemoryMarshal.GetReference(wanted)) != 0)
            throw new IOException($"epoll_ctl: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    static SafeFileHandle Opened(int descriptor) =>
        descriptor >= 0 ? new(descriptor, ownsHandle: true) : throw new IOException($"epoll: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(SafeFileHandle epoll, int what, int descriptor, ref readonly byte wanted);

    [LibraryImport("libc")]
    private static partial int epoll_wait(SafeFileHandle epoll, ref byte events, int most, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int eventfd(uint start, int flags);

    [LibraryImport("libc")]
    private static partial nint write(SafeFileHandle file, ref readonly ulong bytes, nint length);
}
