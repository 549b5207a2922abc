namespace ChatMinimal;

/// <summary>A command is something else that the program does than to serve, beside a server that runs or in its absence.</summary>
/// <param name="Operands">What follows its name, each as one calls it in a sentence.</param>
/// <param name="Options">What it understands beside the server's options.</param>
sealed record Command(string Name, string[] Operands, string[] Options, string Text, Func<string[], Settings, Task<int>> RunAsync)
{
    public static readonly Command[] All =
    [
        new("health", [], [], "whether the server of these options is there and can commit: exit code 0 or 1",
            (_, settings) => HealthCommand.RunAsync(settings)),
        new("backup", ["FILE"], [], "a copy of the database, while people talk",
            (operands, settings) => BackupCommand.RunAsync(operands[0], settings)),
        new("restore", ["FILE"], [], "puts a copy in the place of the database; the server must be stopped",
            (operands, settings) => RestoreCommand.RunAsync(operands[0], settings)),
        new("copy", [], ["from", "to"], "all rooms from a file into PostgreSQL, or back; no server may be running",
            (_, settings) => CopyCommand.RunAsync(settings)),
        new("export", [], ["room"], "the messages of a room, as one line of JSON each", (_, settings) => ExportCommand.RunAsync(settings)),
        new("import", ["FILE"], ["room"], "such lines into a room that has no messages; no server may be running",
            (operands, settings) => ImportCommand.RunAsync(operands[0], settings)),
    ];

    public string Usage => string.Join(' ', [Name, .. Operands, .. Options.Select(option => $"--{option} {option.ToUpperInvariant()}")]);
}
