using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ChatMinimal.Bench;

/// <summary>SignalR as its tutorial has it: a hub that sends to all clients, or to a group when a room was asked for.</summary>
static class SignalRPeer
{
    public static async Task RunAsync(int port)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.Services.AddSignalR();
        WebApplication app = builder.Build();
        app.UseWebSockets();
        app.MapHub<ChatHub>("/hub");
        await app.RunAsync();
    }

    sealed class ChatHub : Hub
    {
        string? Room => Context.GetHttpContext()?.Request.Query["room"].FirstOrDefault();

        public override Task OnConnectedAsync() =>
            Room is { } room ? Groups.AddToGroupAsync(Context.ConnectionId, room) : Task.CompletedTask;

        public Task Say(string text)
        {
            IClientProxy listeners = Room is { } room ? Clients.Group(room) : Clients.All;
            return listeners.SendAsync("message", $"Message d'un client : {text}");
        }
    }
}
