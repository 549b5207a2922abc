// The console client. With a message it does what the course's client does: says it in the plain dialect, prints the
// broadcast, ends. Without one it is a chat in the terminal, in chat.v1: what is typed while the link is down is said
// when it is back, once.

using System.CommandLine;
using System.Text;
using ChatMinimal.Client;

Console.InputEncoding = Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);

var message = new Argument<string?>("message")
{
    Description = "What to say; without it, each line of standard input. One that begins with - comes after --. / Ce qu'il faut dire ; sinon, chaque ligne de l'entrée standard.",
    Arity = ArgumentArity.ZeroOrOne,
};
var url = new Option<Uri>("--url")
{
    Description = $"The server: {Handshake.Accepted}. / Le serveur.",
    DefaultValueFactory = _ => new Uri("ws://localhost:8765"),
    CustomParser = result =>
    {
        if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out Uri? server) && Handshake.Accepts(server))
            return server;
        result.AddError($"--url: '{result.Tokens[0].Value}' is not {Handshake.Accepted}");
        return null;
    },
};
var room = new Option<string?>("--room") { Description = "The room (salon). / Le salon." };
var name = new Option<string?>("--name") { Description = "Your name. / Votre nom." };
var command = new RootCommand("ChatMinimal: talk from the terminal. / Discuter depuis le terminal.") { message, url, room, name };
message.Validators.Add(result =>
{
    // To the parser an unknown option is an argument like any other: it would be said to the room.
    if (result.Tokens is [{ Value: ['-', _, ..] and var given }] && !args.TakeWhile(argument => argument != given).Contains("--"))
        result.AddError($"{given} is not an option: --help lists them; a message like that comes after --");
});
command.SetAction((parsed, cancel) =>
{
    Uri server = parsed.GetValue(url)!;
    return parsed.GetValue(message) is { } text
        ? Once.SayAsync(server, parsed.GetValue(room), parsed.GetValue(name), text, cancel)
        : Conversation.RunAsync(server, parsed.GetValue(room), parsed.GetValue(name), cancel);
});
ParseResult asked = command.Parse(args);
if (asked.Errors is [{ Message: var wrong }, ..])
{
    Terminal.Note($"chatminimal-client: {wrong}");
    return 1;
}
return await asked.InvokeAsync();
