namespace ChatMinimal.Bench;

/// <summary>One client of the load: its socket, and how far it has come.</summary>
sealed class LoadClient(int index, int room)
{
    public int Index => index;
    public int Room => room;
    public ulong Digits { get; } = Speech.DigitsOf(index);
    public int Socket { get; set; } = -1;
    public bool Requested { get; set; } // the upgrade has been asked for
    public bool Open { get; set; }
    public bool Greeted { get; set; } // SignalR only: its handshake is answered
    public long Received { get; set; }
    public int OwnReceived { get; set; } // of its own messages, not yet answered with new ones
    public int Said { get; set; }
    public int[]? LastNumbers { get; set; } // by talker of the room; only for those who are checked

    byte[] _rest = []; // the beginning of a frame whose end has not come
    int _restLength;
    byte[] _record = []; // SignalR only: the beginning of a record
    int _recordLength;
    byte[] _unsent = [];
    int _unsentFrom;
    int _unsentTo;

    public ReadOnlySpan<byte> Rest => _rest.AsSpan(0, _restLength);
    public ReadOnlySpan<byte> Record => _record.AsSpan(0, _recordLength);
    public ReadOnlySpan<byte> Unsent => _unsent.AsSpan(_unsentFrom, _unsentTo - _unsentFrom);

    public void KeepRest(ReadOnlySpan<byte> bytes) => Keep(ref _rest, ref _restLength, bytes, 0);
    public void AppendRecord(ReadOnlySpan<byte> bytes) => Keep(ref _record, ref _recordLength, bytes, _recordLength);

    public void DropRecord(int bytes)
    {
        _record.AsSpan(bytes, _recordLength - bytes).CopyTo(_record);
        _recordLength -= bytes;
    }

    public void KeepUnsent(ReadOnlySpan<byte> bytes)
    {
        if (_unsentFrom == _unsentTo)
            _unsentFrom = _unsentTo = 0;
        Keep(ref _unsent, ref _unsentTo, bytes, _unsentTo);
    }

    public void DropUnsent(int bytes) => _unsentFrom += bytes;

    static void Keep(ref byte[] where, ref int length, ReadOnlySpan<byte> bytes, int at)
    {
        if (where.Length < at + bytes.Length)
            Array.Resize(ref where, Math.Max(2 * where.Length, at + bytes.Length));
        bytes.CopyTo(where.AsSpan(at));
        length = at + bytes.Length;
    }
}
