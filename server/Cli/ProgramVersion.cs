using System.Reflection;

namespace ChatMinimal;

/// <summary>Which version of the program this is, as its project file says.</summary>
static class ProgramVersion
{
    public static string Text { get; } =
        // After it, the commit
        typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
