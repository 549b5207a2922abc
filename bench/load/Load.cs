using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using HdrHistogram;

namespace ChatMinimal.Bench;

/// <summary>
/// The load is one thread with all the clients: it connects them, makes them talk, parses every frame that comes, and holds a sample of
/// them to every word. Linux only (epoll).
/// On a core of its own it never sleeps: else each send of the server would also have to wake us, and the server would pay for that.
/// Clients on other machines are woken by their own.
/// </summary>
sealed unsafe class Load : IDisposable
{
    const int BufferBytes = 256 * 1024; // for one read: stays in the cache
    const int EventsAtOnce = 512;
    const int ConnectingAtOnce = 64; // fewer than any server's backlog
    const int FirstClients = 100; // connected before memory is first looked at, so that the code for it is there
    const double SilenceSeconds = 10; // what has not come after so long without a single delivery does not come
    const double Patience = 8; // times the measuring time, for a server so slow that no talker has heard itself in it
    const double SignalRPingSeconds = 10; // its server gives up a client after 30 s of silence

    // RFC 6455 section 1.3, the sample nonce and what must be answered to it.
    const string Key = "dGhlIHNhbXBsZSBub25jZQ==";
    const string Accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    readonly LoadPlan _plan;
    readonly Speech _speech;
    readonly LoadClient[] _clients;
    readonly ProcessUsage _server;
    readonly LongHistogram _latency = new(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3); // microseconds
    readonly long _end = Stopwatch.GetTimestamp() + (long)1e12;
    readonly int _poller = Libc.CreatePoller();
    readonly byte* _buffer = (byte*)NativeMemory.Alloc(BufferBytes);
    readonly byte* _events = (byte*)NativeMemory.Alloc(EventsAtOnce * 16);
    readonly byte[] _outgoing;
    readonly byte[] _typing = Speech.Frame(0x1, """{"type":"typing"}"""u8);
    readonly byte[] _signalRPing = Speech.Frame(0x1, [.. """{"type":6}"""u8, 0x1e]);
    readonly uint _headerMask;
    readonly uint _header;

    int _opened;
    long _deliveries;
    long _checked;
    long _sent;
    bool _answering; // closed pace: one's own echo is answered with the next message
    bool _recording;
    long _roundTarget; // what each client will have heard at the end of the round
    int _roundLacking; // clients who have not heard it all yet
    long _nextPing;
    long _idle; // ticks spent asking in vain

    public Load(LoadPlan plan)
    {
        _plan = plan;
        _speech = new Speech(plan.Bytes, plan.SignalR);
        _server = new ProcessUsage(plan.ServerId);
        _end = Stopwatch.GetTimestamp() + Ticks(plan.LimitSeconds);
        _outgoing = new byte[_speech.FrameLength * Math.Max(1, plan.Outstanding)];
        _clients = new LoadClient[plan.Clients];
        for (int i = 0; i < _clients.Length; i++)
        {
            _clients[i] = new LoadClient(i, i % plan.Rooms);
            if (i % plan.CheckEvery == 0)
                _clients[i].LastNumbers = new int[(plan.Talkers + plan.Rooms - 1) / plan.Rooms];
        }
        byte[] header = [.. _speech.ServerHeader, 0, 0];
        _header = MemoryMarshal.Read<uint>(header);
        _headerMask = _speech.ServerHeader.Length == 2 ? 0xffffu : uint.MaxValue;
    }

    public LoadResult Run()
    {
        try
        {
            return _plan.Pace == Pace.Idle ? Sit() : Talk();
        }
        catch (LoadException wrong)
        {
            return new LoadResult { Error = wrong.Message };
        }
    }

    public void Dispose()
    {
        foreach (LoadClient client in _clients.Where(client => client.Socket >= 0))
            _ = Libc.close(client.Socket);
        _ = Libc.close(_poller);
        NativeMemory.Free(_buffer);
        NativeMemory.Free(_events);
    }

    LoadResult Sit()
    {
        Connect(0, Math.Min(FirstClients, _clients.Length));
        PumpFor(_plan.WarmSeconds);
        Memory before = _server.Memory();
        Connect(Math.Min(FirstClients, _clients.Length), _clients.Length);
        PumpFor(_plan.MeasureSeconds);
        Memory after = _server.Memory();
        return new LoadResult
        {
            ResidentBefore = before.Resident,
            ResidentAfter = after.Resident,
            ProportionalBefore = before.Proportional,
            ProportionalAfter = after.Proportional,
        };
    }

    LoadResult Talk()
    {
        Connect(0, _clients.Length);
        PumpFor(0.3); // whoever registers its clients after the upgrade has done so now

        // Open pace warms up like the closed one, with everyone talking: at a low rate the runtime would never finish optimising.
        _answering = _plan.Pace != Pace.Rounds;
        if (_plan.Pace == Pace.Rounds)
            TalkInRounds(_plan.WarmSeconds);
        else if (_plan.Pace == Pace.Typing)
            TalkByTheClock(_plan.WarmSeconds);
        else
            TalkInTurn(_plan.WarmSeconds);
        if (_plan.Pace == Pace.Open)
        {
            Drain();
            TalkByTheClock(0.5);
        }

        _latency.Reset();
        _recording = true;
        long deliveries = _deliveries, sent = _sent, from = Stopwatch.GetTimestamp();
        TimeSpan own = Environment.CpuUsage.TotalTime;
        long idle = _idle;
        double server = _server.CpuSeconds();
        double serverCore = ProcessUsage.CoreSeconds(_plan.ServerCores), loadCore = ProcessUsage.CoreSeconds(_plan.LoadCores);
        switch (_plan.Pace)
        {
            case Pace.Rounds: TalkInRounds(_plan.MeasureSeconds); break;
            case Pace.Closed: MeasureInTurn(sent); break;
            default: TalkByTheClock(_plan.MeasureSeconds); break;
        }
        var result = new LoadResult
        {
            ServerSeconds = _server.CpuSeconds() - server,
            WallSeconds = Stopwatch.GetElapsedTime(from).TotalSeconds,
            LoadSeconds = _plan.Spin
                ? Stopwatch.GetElapsedTime(from + (_idle - idle)).TotalSeconds
                : (Environment.CpuUsage.TotalTime - own).TotalSeconds,
            Deliveries = _deliveries - deliveries,
            Sent = _sent - sent,
        };
        double ownSeconds = (Environment.CpuUsage.TotalTime - own).TotalSeconds;
        double foreign = Math.Max(ProcessUsage.CoreSeconds(_plan.ServerCores) - serverCore - result.ServerSeconds,
            ProcessUsage.CoreSeconds(_plan.LoadCores) - loadCore - ownSeconds);
        Drain();
        return result with
        {
            ForeignShare = double.IsNaN(foreign) ? 0 : Math.Max(0, foreign / result.WallSeconds),
            Checked = _checked,
            P50 = Milliseconds(50),
            P99 = Milliseconds(99),
            P999 = Milliseconds(99.9),
        };
    }

    double Milliseconds(double percentile) =>
        _latency.TotalCount == 0 ? 0 : _latency.GetValueAtPercentile(percentile) / 1000.0; // who only types is answered nothing

    // Connecting

    void Connect(int from, int to)
    {
        int started = from;
        while (_opened < to)
        {
            for (; started < to && started - _opened < ConnectingAtOnce; started++)
            {
                _clients[started].Socket = Libc.Connect(_plan.Port);
                Libc.Watch(_poller, _clients[started].Socket, Libc.EPOLLOUT, started, isNew: true);
            }
            Pump(100);
        }
    }

    void RequestUpgrade(LoadClient client)
    {
        string protocol = _plan.Pace == Pace.Typing ? "Sec-WebSocket-Protocol: chat.v1\r\n" : "";
        string query = _plan.Rooms > 1 ? $"?room=room-{client.Room}" : "";
        byte[] request = Encoding.ASCII.GetBytes($"GET {(_plan.SignalR ? "/hub" : "/ws")}{query} HTTP/1.1\r\nHost: 127.0.0.1:{_plan.Port}\r\n" +
            $"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {Key}\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n");
        client.Requested = true;
        Libc.Watch(_poller, client.Socket, Libc.EPOLLIN, client.Index, isNew: false);
        Send(client, request);
    }

    int FinishUpgrade(LoadClient client, ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0)
            return 0;
        string answer = Encoding.ASCII.GetString(bytes[..end]);
        if (!answer.StartsWith("HTTP/1.1 101", StringComparison.Ordinal) || !answer.Contains(Accept, StringComparison.Ordinal))
            throw new LoadException($"client {client.Index} was not let in: {answer.Split('\r')[0]}");
        client.Open = true;
        if (_plan.SignalR)
            Send(client, Speech.Frame(0x1, [.. """{"protocol":"json","version":1}"""u8, 0x1e]));
        else
            _opened++;
        return end + 4;
    }

    // Talking

    void TalkInTurn(double seconds)
    {
        for (int i = 0; i < _plan.Talkers; i++)
            Say(_clients[i], _plan.Outstanding, Stopwatch.GetTimestamp());
        PumpFor(seconds);
    }

    void MeasureInTurn(long sent)
    {
        int turn = _plan.Talkers * _plan.Outstanding;
        for (int times = 0; times == 0 || (times < Patience && _sent - sent < turn); times++)
            PumpFor(_plan.MeasureSeconds);
    }

    void TalkInRounds(double seconds)
    {
        long until = Stopwatch.GetTimestamp() + Ticks(seconds);
        do
        {
            _roundTarget += (long)_plan.Talkers / _plan.Rooms * _plan.Outstanding;
            _roundLacking = _clients.Length;
            for (int i = 0; i < _plan.Talkers; i++)
                Say(_clients[i], _plan.Outstanding, Stopwatch.GetTimestamp());
            while (_roundLacking > 0)
                Pump(100);
        }
        while (Stopwatch.GetTimestamp() < until);
    }

    void TalkByTheClock(double seconds)
    {
        _answering = false;
        long start = Stopwatch.GetTimestamp();
        long count = (long)(seconds * _plan.Rate);
        for (long i = 0; i < count; i++)
        {
            long due = start + Ticks((double)i / _plan.Rate);
            while (Stopwatch.GetTimestamp() < due)
                Pump(1);
            if (_plan.Pace == Pace.Typing)
                Type(_clients[i % _plan.Talkers]);
            else
                Say(_clients[i % _plan.Talkers], 1, due); // the time it was due: a late server must not look like a fast one
        }
        while (Stopwatch.GetTimestamp() < start + Ticks(seconds))
            Pump(1);
    }

    void Say(LoadClient client, int count, long time)
    {
        int length = 0;
        for (int i = 0; i < count; i++)
        {
            _speech.Say(new Said(client.Index, ++client.Said, time), _outgoing.AsSpan(length));
            length += _speech.FrameLength;
        }
        _sent += count;
        Send(client, _outgoing.AsSpan(0, length));
    }

    void Type(LoadClient client)
    {
        _sent++;
        Send(client, _typing);
    }

    /// <summary>Lets everything arrive, and holds each client to having heard it all.</summary>
    void Drain()
    {
        _answering = false;
        int[] saidInRoom = new int[_plan.Rooms];
        foreach (LoadClient client in _clients)
            saidInRoom[client.Room] += client.Said;
        long until = 0, deliveries = -1;
        while (_clients.FirstOrDefault(client => client.Received != saidInRoom[client.Room]) is { } lacking)
        {
            if (_deliveries != deliveries)
                (deliveries, until) = (_deliveries, Stopwatch.GetTimestamp() + Ticks(SilenceSeconds));
            if (lacking.Received > saidInRoom[lacking.Room] || Stopwatch.GetTimestamp() > until)
                throw new LoadException($"client {lacking.Index} heard {lacking.Received} of {saidInRoom[lacking.Room]} messages");
            PumpFor(0.05);
        }
    }

    // Sockets

    void PumpFor(double seconds)
    {
        long until = Stopwatch.GetTimestamp() + Ticks(seconds);
        while (until - Stopwatch.GetTimestamp() is > 0 and long left)
            Pump((int)Math.Min(100, (left * 1000 / Stopwatch.Frequency) + 1));
    }

    void Pump(int milliseconds)
    {
        if (Stopwatch.GetTimestamp() > _end)
            throw new LoadException($"not done after {_plan.LimitSeconds} s");
        if (_plan.SignalR)
            PingSignalR();
        long from = Stopwatch.GetTimestamp();
        int ready = Libc.Wait(_poller, _events, EventsAtOnce, _plan.Spin ? 0 : milliseconds);
        if (ready == 0)
            _idle += Stopwatch.GetTimestamp() - from;
        for (int i = 0; i < ready; i++)
        {
            (uint what, int index) = Libc.Event(_events, i);
            LoadClient client = _clients[index];
            if (!client.Requested)
                RequestUpgrade(client);
            else if ((what & Libc.EPOLLOUT) != 0)
                SendRest(client);
            if ((what & ~Libc.EPOLLOUT) != 0) // errors, too, are read
                Read(client);
        }
    }

    void Send(LoadClient client, ReadOnlySpan<byte> bytes)
    {
        if (!client.Unsent.IsEmpty)
        {
            client.KeepUnsent(bytes);
            return;
        }
        int sent = SendSome(client, bytes);
        if (sent == bytes.Length)
            return;
        client.KeepUnsent(bytes[sent..]);
        Libc.Watch(_poller, client.Socket, Libc.EPOLLIN | Libc.EPOLLOUT, client.Index, isNew: false);
    }

    void SendRest(LoadClient client)
    {
        client.DropUnsent(SendSome(client, client.Unsent));
        if (client.Unsent.IsEmpty)
            Libc.Watch(_poller, client.Socket, Libc.EPOLLIN, client.Index, isNew: false);
    }

    static int SendSome(LoadClient client, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            int sent = Libc.Send(client.Socket, start, bytes.Length);
            if (sent < 0 && sent != -Libc.EAGAIN)
                throw new LoadException($"the server closed client {client.Index}: errno {-sent} while sending");
            return Math.Max(0, sent);
        }
    }

    void Read(LoadClient client)
    {
        int kept = client.Rest.Length;
        if (kept > BufferBytes / 2)
            throw new LoadException($"client {client.Index} got a frame of over {kept} bytes");
        int got = Libc.Receive(client.Socket, _buffer + kept, BufferBytes - kept);
        if (got == -Libc.EAGAIN)
            return;
        if (got <= 0)
            throw new LoadException($"the server closed client {client.Index}" + (got < 0 ? $": errno {-got}" : ""));
        client.Rest.CopyTo(new Span<byte>(_buffer, kept));
        var bytes = new ReadOnlySpan<byte>(_buffer, kept + got);
        int used = client.Open ? 0 : FinishUpgrade(client, bytes);
        if (client.Open)
            used += _plan.SignalR ? ReadSignalR(client, bytes[used..])
                : _plan.Pace == Pace.Typing ? ReadTyping(client, bytes[used..]) : ReadFrames(client, bytes[used..]);
        client.KeepRest(bytes[used..]);

        if (client.OwnReceived > 0 && _answering)
        {
            int own = client.OwnReceived;
            client.OwnReceived = 0;
            Say(client, own, Stopwatch.GetTimestamp());
        }
    }

    // Frames

    /// <summary>The hot path: a frame that does not need to be looked into costs one comparison.</summary>
    int ReadFrames(LoadClient client, ReadOnlySpan<byte> bytes)
    {
        int headerLength = _speech.ServerHeader.Length, frameLength = headerLength + _speech.RecordLength, at = 0;
        bool lookInto = client.LastNumbers is not null || client.Index < _plan.Talkers;
        long now = client.LastNumbers is null ? 0 : Stopwatch.GetTimestamp(), heard = 0;
        while (true)
        {
            ReadOnlySpan<byte> rest = bytes[at..];
            if (rest.Length >= frameLength && (MemoryMarshal.Read<uint>(rest) & _headerMask) == _header)
            {
                if (lookInto)
                    LookInto(client, rest.Slice(headerLength, frameLength - headerLength), now);
                heard++;
                at += frameLength;
                continue;
            }
            int used = ReadOtherFrame(client, rest, ref heard, now);
            if (used == 0)
                break;
            at += used;
        }
        Count(client, heard);
        return at;
    }

    void Count(LoadClient client, long heard)
    {
        _deliveries += heard;
        bool lacked = client.Received < _roundTarget;
        client.Received += heard;
        if (lacked && client.Received >= _roundTarget)
            _roundLacking--;
    }

    /// <summary>Whatever is not the usual frame. Returns its length, or 0 when it is not all there.</summary>
    int ReadOtherFrame(LoadClient client, ReadOnlySpan<byte> bytes, ref long heard, long now)
    {
        if (!WholeFrame(bytes, out int opcode, out bool final, out ReadOnlySpan<byte> payload, out int length))
            return 0;
        if (opcode == 0x1 && final && payload.Length == _speech.RecordLength)
        {
            LookInto(client, payload, now); // a length in more bytes than needed
            heard++;
        }
        else
        {
            Control(client, opcode, payload);
        }
        return length;
    }

    void Control(LoadClient client, int opcode, ReadOnlySpan<byte> payload)
    {
        if (opcode == 0x9)
            Send(client, Speech.Frame(0xA, payload));
        else if (opcode == 0x8)
            throw new LoadException($"client {client.Index} was closed: " +
                (payload.Length < 2 ? "no code" : $"{(payload[0] << 8) | payload[1]} {Encoding.UTF8.GetString(payload[2..])}"));
        else if (opcode != 0xA)
            throw new LoadException($"client {client.Index} got a frame that nobody sent: opcode {opcode}, {payload.Length} bytes, " +
                $"{_speech.RecordLength} expected: {Encoding.UTF8.GetString(payload[..Math.Min(80, payload.Length)])}");
    }

    static bool WholeFrame(ReadOnlySpan<byte> bytes, out int opcode, out bool final, out ReadOnlySpan<byte> payload, out int length)
    {
        (opcode, final, length) = (0, false, 0);
        payload = default;
        if (bytes.Length < 2)
            return false;
        opcode = bytes[0] & 15;
        final = (bytes[0] & 0x80) != 0;
        int header = 2, size = bytes[1];
        if (size >= 126)
        {
            header = size == 126 ? 4 : 10;
            if (bytes.Length < header)
                return false;
            size = 0;
            foreach (byte digit in bytes[2..header])
                size = (size << 8) | digit;
        }
        length = header + size;
        if (length < 0 || length > BufferBytes)
            throw new LoadException($"a frame of {size} bytes");
        if (bytes.Length < length)
            return false;
        payload = bytes[header..length];
        return true;
    }

    /// <summary>chat.v1, where nobody says anything: what counts is how often a client is told who types.</summary>
    int ReadTyping(LoadClient client, ReadOnlySpan<byte> bytes)
    {
        int at = 0;
        for (; WholeFrame(bytes[at..], out int opcode, out _, out ReadOnlySpan<byte> payload, out int length); at += length)
            if (opcode != 0x1)
                Control(client, opcode, payload);
            else if (payload.StartsWith("{\"type\":\"typing\""u8))
                _deliveries++;
        return at;
    }

    /// <summary>SignalR's records end with 0x1e; a frame may hold several, and a record several frames.</summary>
    int ReadSignalR(LoadClient client, ReadOnlySpan<byte> bytes)
    {
        int at = 0;
        long now = Stopwatch.GetTimestamp(), heard = 0;
        while (WholeFrame(bytes[at..], out int opcode, out _, out ReadOnlySpan<byte> payload, out int length))
        {
            if (opcode is 0 or 1)
                client.AppendRecord(payload);
            else
                Control(client, opcode, payload);
            at += length;
        }
        int used = 0;
        while (client.Record[used..].IndexOf((byte)0x1e) is >= 0 and int end)
        {
            if (IsMessage(client, client.Record.Slice(used, end), now))
                heard++;
            used += end + 1;
        }
        client.DropRecord(used);
        Count(client, heard);
        return at;
    }

    bool IsMessage(LoadClient client, ReadOnlySpan<byte> record, long now)
    {
        if (record.Length == _speech.RecordLength)
        {
            if (client.LastNumbers is not null || client.Index < _plan.Talkers)
                LookInto(client, record, now);
            return true;
        }
        if (record.SequenceEqual("{}"u8) && !client.Greeted)
        {
            client.Greeted = true;
            _opened++;
            return false;
        }
        if (record.SequenceEqual("""{"type":6}"""u8))
            return false;
        throw new LoadException($"client {client.Index} got a record that nobody sent: {Encoding.UTF8.GetString(record)}");
    }

    void PingSignalR()
    {
        long now = Stopwatch.GetTimestamp();
        if (now < _nextPing)
            return;
        _nextPing = now + Ticks(SignalRPingSeconds);
        foreach (LoadClient client in _clients)
        {
            if (client.Greeted)
                Send(client, _signalRPing);
        }
    }

    void LookInto(LoadClient client, ReadOnlySpan<byte> record, long now)
    {
        if (client.Index < _plan.Talkers && _speech.SenderDigits(record) == client.Digits)
            client.OwnReceived++;
        if (client.LastNumbers is not { } last)
            return;
        if (_speech.Receive(record) is not { } said)
            throw new LoadException($"client {client.Index} got what nobody said: {Encoding.UTF8.GetString(record[..Math.Min(120, record.Length)])}");
        if (said.Sender < 0 || said.Sender >= _plan.Talkers || said.Sender % _plan.Rooms != client.Room)
            throw new LoadException($"client {client.Index} of room {client.Room} heard client {said.Sender}");
        ref int number = ref last[said.Sender / _plan.Rooms];
        if (said.Number != number + 1)
            throw new LoadException($"client {client.Index} got number {said.Number} of client {said.Sender} after number {number}");
        number = said.Number;
        _checked++;
        if (_recording)
            _latency.RecordValue(Math.Clamp((now - said.Time) * 1_000_000 / Stopwatch.Frequency, 1, 60_000_000));
    }

    static long Ticks(double seconds) => (long)(seconds * Stopwatch.Frequency);
}
