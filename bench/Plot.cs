using System.Globalization;
using System.Text;

namespace ChatMinimal.Bench;

/// <summary>A plot is one SVG: lines over two logarithmic axes, each with its name at its end; readable on light and on dark.</summary>
static class Plot
{
    const int Width = 900, Height = 460, Left = 90, Right = 300, Top = 40, Bottom = 40; // right: room for the names
    const int NameHeight = 17;

    static readonly string[] s_colours =
        ["#e4572e", "#2e86de", "#17a673", "#a55eea", "#d4a017", "#12a4b4", "#e0529c", "#7f8c8d", "#8d6e4b", "#5b7083"];

    public sealed record Line(string Name, (double X, double Y)[] Points);

    public static string Svg(string title, string unit, Line[] lines)
    {
        (int fromX, int toX) = Decades(lines.SelectMany(line => line.Points.Select(point => point.X)));
        (int fromY, int toY) = Decades(lines.SelectMany(line => line.Points.Select(point => point.Y)));
        double X(double value) => Left + ((Math.Log10(value) - fromX) / (toX - fromX) * (Width - Left - Right));
        double Y(double value) => Height - Bottom - ((Math.Log10(value) - fromY) / (toY - fromY) * (Height - Top - Bottom));

        var svg = new StringBuilder();
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"13\">");
        Add($"<title>{Escape(title)}</title>");
        Add($"<style>text {{ fill: #24292f }} .grid {{ stroke: #8886; stroke-width: 1 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #d0d7de }} }}</style>");
        Add($"<text x=\"{Left}\" y=\"22\" font-weight=\"600\">{Escape(title)}</text>");
        for (int decade = fromX; decade <= toX; decade++)
        {
            double x = X(Math.Pow(10, decade));
            Add($"<line class=\"grid\" x1=\"{x:0}\" y1=\"{Top}\" x2=\"{x:0}\" y2=\"{Height - Bottom}\"/>");
            Add($"<text x=\"{x:0}\" y=\"{Height - Bottom + 20}\" text-anchor=\"middle\">{Math.Pow(10, decade):#,0}</text>");
        }
        for (int decade = fromY; decade <= toY; decade++)
        {
            double y = Y(Math.Pow(10, decade));
            Add($"<line class=\"grid\" x1=\"{Left}\" y1=\"{y:0}\" x2=\"{Width - Right}\" y2=\"{y:0}\"/>");
            Add($"<text x=\"{Left - 8}\" y=\"{y + 4:0}\" text-anchor=\"end\">{Math.Pow(10, decade):#,0} {unit}</text>");
        }

        double lastName = double.NegativeInfinity;
        foreach ((Line line, string colour) in lines.Select((line, i) => (line, s_colours[i % s_colours.Length]))
            .OrderBy(pair => Y(pair.line.Points[^1].Y)))
        {
            (double X, double Y) end = line.Points[^1];
            lastName = Math.Max(Y(end.Y), lastName + NameHeight); // names never lie on each other
            string points = string.Join(' ',
                line.Points.Select(point => FormattableString.Invariant($"{X(point.X):0.0},{Y(point.Y):0.0}")));
            Add($"<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/>");
            foreach ((double x, double y) in line.Points)
                Add($"<circle cx=\"{X(x):0.0}\" cy=\"{Y(y):0.0}\" r=\"3.5\" fill=\"{colour}\"/>");
            double nameAt = Width - Right + 22;
            Add($"<line x1=\"{X(end.X):0.0}\" y1=\"{Y(end.Y):0.0}\" x2=\"{nameAt - 4}\" y2=\"{lastName:0.0}\" stroke=\"{colour}\"/>");
            Add($"<text x=\"{nameAt}\" y=\"{lastName + 4:0.0}\">{Escape(line.Name)}</text>");
        }
        Add($"</svg>");
        return svg.ToString();

        void Add(FormattableString element) => svg.Append(element.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }

    static (int From, int To) Decades(IEnumerable<double> values)
    {
        int from = (int)Math.Floor(Math.Log10(values.Min())), to = (int)Math.Ceiling(Math.Log10(values.Max()));
        return (from, Math.Max(to, from + 1));
    }

    static string Escape(string text) =>
        text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);
}
