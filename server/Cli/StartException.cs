namespace ChatMinimal;

/// <summary>The program cannot do what it was asked to. For whoever asked, in one line: the option, what it got, what it may be.</summary>
sealed class StartException(string line) : Exception(line);
