using System.Text;

namespace ChatMinimal;

/// <summary>What <c>--help</c> says: every command, and every option with its default and unit.</summary>
static class Help
{
    public static string Text
    {
        get
        {
            var text = new StringBuilder(
                """
                ChatMinimal: the smallest chat server one would really put in production.

                Usage: chatminimal [options]        serve; then open http://localhost:8765
                       chatminimal COMMAND [options]

                Commands:

                """);
            foreach (Command command in Command.All)
                text.AppendLine($"  {command.Usage,-28} {command.Text}");
            text.Append(
                """

                Options, as --NAME VALUE, in the environment with __ for : (Chat__Database), or in appsettings.json beside the program:
                  --urls                        http://localhost:8765; http://*:8765: for other machines, too; several with ;
                  --environment                 Production; Development lets pages from disk and of this machine connect
                  --AllowedHosts                *; the names that this server answers to, with ;
                  --Kestrel:Certificates:Default:Path, :KeyPath, :Password
                                                the certificate, for https in --urls
                  --Logging:LogLevel:Default    Information; Trace, Debug, Information, Warning, Error, Critical, None
                  --Logging:Console:FormatterName
                                                simple; json, systemd

                """);
            foreach (ChatOption option in ChatOption.All)
                text.AppendLine($"  --{option.FullName,-27} {(option.Default == "" ? "(none)" : option.Default)} [{option.Unit}]: {option.Text}");
            text.Append(
                """

                  -h, --help                    this
                  --version                     the version

                In the environment only:
                  OTEL_EXPORTER_OTLP_ENDPOINT   (none); OpenTelemetry's collector that is to have the metrics, such as http://localhost:4317
                """);
            return text.Replace("\r\n", "\n").ToString();
        }
    }
}
