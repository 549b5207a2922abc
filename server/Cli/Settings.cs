namespace ChatMinimal;

/// <summary>
/// The settings are what files, environment and command line say together, in the order that ASP.NET's host has: the last one wins.
/// </summary>
sealed class Settings
{
    public IConfiguration Configuration { get; }

    public ChatOptions Chat { get; }

    /// <exception cref="StartException">Something in them cannot be used.</exception>
    public Settings(string[] args)
    {
        IConfiguration host = new ConfigurationBuilder().AddEnvironmentVariables("DOTNET_").AddEnvironmentVariables("ASPNETCORE_")
            .AddCommandLine(args).Build();
        string root = Path.GetFullPath(host["contentRoot"] ?? "", AppContext.BaseDirectory);
        if (!Directory.Exists(root))
            throw new StartException($"contentRoot: there is no folder '{root}'");
        Configuration = new ConfigurationBuilder()
            .SetBasePath(root)
            .AddConfiguration(host)
            .AddJsonFile("appsettings.json", optional: true)
            .AddJsonFile($"appsettings.{host["environment"] ?? Environments.Production}.json", optional: true)
            .AddEnvironmentVariables()
            .AddCommandLine(args)
            .Build();
        StartCheck.Check(Configuration, root);
        Chat = ChatOptions.Read(Configuration);
    }

    /// <summary>The database's file.</summary>
    /// <exception cref="StartException">There is none.</exception>
    public string Database =>
        Chat.Database == "" ? throw new StartException("Chat:Database is empty: the messages are in the server's memory only")
        : File.Exists(Chat.Database) ? Path.GetFullPath(Chat.Database)
        : throw new StartException($"there is no {Path.GetFullPath(Chat.Database)}: name the database with --Chat:Database");
}
