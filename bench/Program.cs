using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using ChatMinimal.Bench;

// The table of contents. One program, three parts: it measures; it is the load (a process of its own); it is the peers written in C#.
switch (args)
{
    case ["load", string plan]:
        using (var load = new Load(JsonSerializer.Deserialize<LoadPlan>(plan)!))
            Console.WriteLine(JsonSerializer.Serialize(load.Run()));
        return 0;
    case ["servers", string connection, string data]:
        await Servers.RunAsync(connection, Path.GetFullPath(data));
        return 0;
    case ["peer", "signalr", "--port", string port]:
        await SignalRPeer.RunAsync(int.Parse(port, CultureInfo.InvariantCulture));
        return 0;
}

if (Arguments.Parse(args, out string problem) is not { } arguments)
{
    Console.Error.WriteLine(problem);
    return 2;
}
if (arguments.Help)
{
    Console.WriteLine(Arguments.HelpText);
    return 0;
}
if (!OperatingSystem.IsLinux())
{
    Console.Error.WriteLine("The load needs Linux: it is made of epoll and /proc.");
    return 2;
}

// No server outlives the benchmark.
void End(PosixSignalContext signal)
{
    Workshop.CleanUp();
    Environment.Exit(130);
}
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, End);
try
{
    return new Benchmark(arguments).Run();
}
finally
{
    Workshop.CleanUp();
}
