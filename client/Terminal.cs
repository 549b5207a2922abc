namespace ChatMinimal.Client;

/// <summary>The terminal: what is said goes to standard output, what is said about it to standard error.</summary>
static class Terminal
{
    public static void Print(string line) => Console.Out.WriteLine(Harmless(line));

    public static void Note(string line) => Console.Error.WriteLine(Harmless(line));

    public static int Fail(Uri server, string why)
    {
        Note($"Serveur injoignable / cannot reach {server.OriginalString} : {why}");
        return 1;
    }

    public static int Refused(string why)
    {
        Note($"Refusé / refused : {why}");
        return 1;
    }

    // Control characters as pictures: other people's words must not steer this terminal.
    static string Harmless(string text) => string.Create(text.Length, text, (to, from) =>
    {
        for (int i = 0; i < to.Length; i++)
            to[i] = from[i] switch
            {
                '\n' or '\t' => from[i],
                < ' ' => (char)('\u2400' + from[i]),
                >= '\u007F' and <= '\u009F' => '\u2421',
                _ => from[i],
            };
    });
}
