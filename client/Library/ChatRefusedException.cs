using System.Net;

namespace ChatMinimal.Client;

/// <summary>The server refused a connection or a message; the text says why, in its words.</summary>
public sealed class ChatRefusedException(string detail, HttpStatusCode? status = null) : Exception(detail)
{
    /// <summary>Of a connection: its status.</summary>
    public HttpStatusCode? Status => status;

    /// <summary>Whether it may be let in later: there was no place, or too much from this address.</summary>
    public bool MayPass =>
        status is HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError;
}
