using System.Diagnostics;

namespace ChatMinimal.E2E.Steps;

/// <summary>
/// The course's Python client, as the README has it; where there is no Python with websockets, the BCL's client, which does the same.
/// </summary>
static class CourseClient
{
    static readonly string[] s_pythons = ["python3", "/usr/bin/python3"]; // Debian's packages are for the second, whatever the first is

    /// <summary>Connects, sends one message, and returns the first that it receives.</summary>
    public static async Task<string?> HelloAsync(Uri address)
    {
        foreach (string python in s_pythons)
            if (await RunAsync(python, "-c", "import websockets") is not null)
                return await RunAsync(python, "-c", $"""
                    import asyncio, websockets

                    async def main():
                        async with websockets.connect("{address.OriginalString}") as websocket:
                            await websocket.send("Hello, WebSocket Server!")
                            print(await websocket.recv())

                    asyncio.run(main())
                    """);
        using Peer peer = await Peer.ConnectAsync(address, subprotocol: null);
        await peer.SayAsync("Hello, WebSocket Server!");
        string? received = await peer.ReceiveAsync();
        await peer.CloseAsync();
        return received;
    }

    /// <summary>What the program printed; null when it is not there, or failed.</summary>
    static async Task<string?> RunAsync(string program, params string[] arguments)
    {
        try
        {
            using CancellationTokenSource limit = Rig.Patience();
            using Process process =
                Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token),
                error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            await error;
            return process.ExitCode == 0 ? (await output).TrimEnd() : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
