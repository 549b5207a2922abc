using System.Reflection;

namespace ChatMinimal;

/// <summary>Which version of the program this is, as its project file says.</summary>
static class ProgramVersion
{
    public static string Text { get; } =
        typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0]; // after it, the commit
}
