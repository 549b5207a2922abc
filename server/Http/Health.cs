namespace ChatMinimal;

/// <summary>Health is what the server tells those who watch over it.</summary>
sealed class Health(Admission admission, IMessageStore store, PrometheusText metrics)
{
    /// <summary><c>/healthz</c>: the process answers.</summary>
    public static Task LiveAsync(HttpContext http) => http.Response.WriteAsync("ok\n");

    /// <summary><c>/readyz</c>: and the store can commit messages.</summary>
    public async Task ReadyAsync(HttpContext http)
    {
        try
        {
            await store.CheckAsync(http.RequestAborted);
            await http.Response.WriteAsync("ok\n");
        }
        catch (StoreUnavailableException error)
        {
            await admission.RefuseAsync(http, Admission.Full(error.Message));
        }
    }

    /// <summary><c>/metrics</c>: numbers, in Prometheus' text format.</summary>
    public async Task MetricsAsync(HttpContext http)
    {
        if (admission.CheckInvite(http) is { } refusal)
        {
            await admission.RefuseAsync(http, refusal);
            return;
        }
        http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        await http.Response.WriteAsync(metrics.Collect());
    }
}
