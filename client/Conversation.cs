using System.Net.WebSockets;

namespace ChatMinimal.Client;

/// <summary>A chat in the terminal: each line typed is a message, each message a line.</summary>
static class Conversation
{
    public static async Task<int> RunAsync(Uri server, string? room, string? name, CancellationToken cancel)
    {
        var chat = new ChatClient(server, room, name);
        chat.Noted += note => Terminal.Note(Describe(note, server));
        _ = Task.Run(() => ReadInput(chat), cancel);
        try
        {
            await foreach (Message message in chat.ReadAsync(cancel))
                // Indented, so that other people's line breaks cannot forge a line.
                Terminal.Print($"{message.At.ToLocalTime():HH:mm} {message.Name ?? "anonyme"} : {message.Text.Replace("\n", "\n      ", StringComparison.Ordinal)}");
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
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return 0;
        }
    }

    static void ReadInput(ChatClient chat)
    {
        while (Console.In.ReadLine() is { } line)
            if (!string.IsNullOrWhiteSpace(line))
                _ = chat.SayAsync(line); // a refusal is a note, too
        chat.Complete();
    }

    static string Describe(ChatNote note, Uri server) => note switch
    {
        ChatNote.Connected => $"Connecté / connected : {server.OriginalString}",
        ChatNote.Reconnecting { Pause: var pause } => $"Reconnexion / reconnecting : {pause.TotalSeconds:0.0} s",
        ChatNote.Gap { From: var from, To: var to } => $"Messages {from}-{to} : plus conservés / no longer kept",
        ChatNote.StartedAfresh => "Le salon a recommencé / the room has started afresh",
        ChatNote.StoreUnavailable => "Le serveur ne peut rien garder pour l'instant / the server cannot keep messages now",
        ChatNote.Refused { Reason: var reason, Detail: var detail } => $"Refusé / refused : {reason} ({detail})",
        _ => "",
    };
}
