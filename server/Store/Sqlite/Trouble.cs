namespace ChatMinimal.Sqlite;

/// <summary>
/// Trouble is why nothing can be committed now. The operator is told when it begins, when it changes and when it is over.
/// </summary>
sealed class Trouble(ILogger log)
{
    /// <summary>Null: there is none.</summary>
    public string? Why
    {
        get;
        set
        {
            if (value == field)
                return;
            field = value;
            if (value is null)
                log.StoreRecovered();
            else
                log.StoreFailed(value);
        }
    }
}
