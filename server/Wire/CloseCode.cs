namespace ChatMinimal;

/// <summary>Why a socket is closed (RFC 6455 section 7.4.1; IANA's registry has the last one).</summary>
enum CloseCode : ushort
{
    Normal = 1000,
    GoingAway = 1001,
    ProtocolError = 1002,
    TextOnly = 1003,
    NotUtf8 = 1007,
    PolicyViolation = 1008,
    TooBig = 1009,
    InternalError = 1011,
    TryAgainLater = 1013,
}
