using System.Net.WebSockets;

namespace ChatMinimal.Client;

/// <summary>The course's client: one message, one answer.</summary>
static class Once
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public static async Task<int> SayAsync(Uri server, string? room, string? name, string text, CancellationToken cancel)
    {
        try
        {
            using ClientWebSocket socket = await new Handshake(server, room, name).OpenAsync(subprotocol: null, resume: "", cancel);
            Terminal.Print($"Envoi : {text}");
            await socket.SendTextAsync(text, cancel);
            string own = name is { Length: > 0 } ? $"Message d'un client ({name}) : {text}" : $"Message d'un client : {text}";
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(s_patience);
            // Others may be talking, too: the answer is the broadcast of one's own message.
            string? received;
            do
                received = await socket.ReceiveTextAsync(limit.Token);
            while (received is not null && received != own);
            if (received is null)
                return Terminal.Fail(server, $"{(int?)socket.CloseStatus} {socket.CloseStatusDescription}");
            Terminal.Print($"Réponse du serveur : {received}");
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancel);
            return 0;
        }
        catch (ChatRefusedException refusal)
        {
            return Terminal.Refused(refusal.Message);
        }
        catch (WebSocketException error)
        {
            return Terminal.Fail(server, (error.InnerException ?? error).Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return Terminal.Fail(server, $"pas de réponse / no answer ({s_patience.TotalSeconds} s)");
        }
    }
}
