using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ChatMinimal.Bench;

/// <summary>The few calls of Linux that the load is made of: sockets that never wait, and epoll.</summary>
static unsafe partial class Libc
{
    public const int EAGAIN = 11;
    public const int EINPROGRESS = 115;
    public const uint EPOLLIN = 1;
    public const uint EPOLLOUT = 4;

    const int EPOLL_CTL_ADD = 1;
    const int EPOLL_CTL_MOD = 3;
    const int MSG_NOSIGNAL = 0x4000;

    // struct epoll_event is packed on x86-64, and nowhere else.
    static readonly int s_eventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    static readonly int s_dataAt = s_eventSize - 8;

    /// <summary>Begins to connect to 127.0.0.1; the socket is writable when it is connected.</summary>
    public static int Connect(int port)
    {
        const int AF_INET = 2, SOCK_STREAM = 1, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000, IPPROTO_TCP = 6, TCP_NODELAY = 1;
        const int SOL_SOCKET = 1, SO_LINGER = 13;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            throw new LoadException($"no more sockets: errno {Marshal.GetLastPInvokeError()} (see ulimit -n)");
        int on = 1;
        _ = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int));
        long lingerZero = 1; // on, for 0 s: ten thousand sockets must not stay in TIME_WAIT for the next server
        _ = setsockopt(fd, SOL_SOCKET, SO_LINGER, &lingerZero, sizeof(long));
        byte* address = stackalloc byte[16];
        new Span<byte>(address, 16).Clear();
        *(ushort*)address = AF_INET;
        address[2] = (byte)(port >> 8);
        address[3] = (byte)port;
        address[4] = 127;
        address[7] = 1;
        if (connect(fd, address, 16) != 0 && Marshal.GetLastPInvokeError() != EINPROGRESS)
            throw new LoadException($"connect: errno {Marshal.GetLastPInvokeError()}");
        return fd;
    }

    public static int CreatePoller() => epoll_create1(0x80000);

    public static void Watch(int poller, int fd, uint what, int index, bool isNew)
    {
        byte* one = stackalloc byte[16];
        *(uint*)one = what;
        *(long*)(one + s_dataAt) = index;
        if (epoll_ctl(poller, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, one) != 0)
            throw new LoadException($"epoll_ctl: errno {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>Fills <paramref name="events"/> (16 bytes for each) and returns how many are ready.</summary>
    public static int Wait(int poller, byte* events, int max, int milliseconds) =>
        Math.Max(0, epoll_wait(poller, events, max, milliseconds));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (uint What, int Index) Event(byte* events, int number)
    {
        byte* one = events + (number * s_eventSize);
        return (*(uint*)one, (int)*(long*)(one + s_dataAt));
    }

    /// <summary>How many bytes came; 0 at the end; minus errno when none.</summary>
    public static int Receive(int fd, byte* buffer, int length)
    {
        nint got = recv(fd, buffer, length, 0);
        return got >= 0 ? (int)got : -Marshal.GetLastPInvokeError();
    }

    /// <summary>How many bytes were taken, or minus errno.</summary>
    public static int Send(int fd, byte* buffer, int length)
    {
        nint sent = send(fd, buffer, length, MSG_NOSIGNAL);
        return sent >= 0 ? (int)sent : -Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc")]
    public static partial int close(int fd);

    /// <summary>Pins the calling thread, and what it starts, to one core.</summary>
    public static void PinThisThread(int core)
    {
        const int Bytes = 128;
        byte* mask = stackalloc byte[Bytes];
        new Span<byte>(mask, Bytes).Clear();
        mask[core / 8] = (byte)(1 << (core % 8));
        _ = sched_setaffinity(0, Bytes, mask);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setsockopt(int fd, int level, int name, void* value, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(int fd, void* address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_ctl(int poller, int operation, int fd, void* one);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int epoll_wait(int poller, void* events, int max, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(int fd, void* buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(int fd, void* buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sched_setaffinity(int pid, nint length, void* mask);
}
