namespace ChatMinimal.Sqlite;

/// <summary>Everything that is asked of the chat file more than once, prepared when it is asked first.</summary>
sealed partial class ChatFile
{
    readonly List<Statement> _statements = [];

    public Statement Begin => field ??= Prepare("BEGIN IMMEDIATE");
    public Statement BeginReading => field ??= Prepare("BEGIN");
    public Statement Commit => field ??= Prepare("COMMIT");
    public Statement Rollback => field ??= Prepare("ROLLBACK");
    public Statement DataVersion => field ??= Prepare("PRAGMA data_version");
    public Statement AddRoom => field ??= Prepare("INSERT INTO room (name, epoch, first) VALUES (?1, ?2, 1)");
    public Statement SetRoom => field ??= Prepare("UPDATE room SET first = ?2, next = ?3 WHERE id = ?1");
    public Statement SetNext => field ??= Prepare("UPDATE room SET next = max(next, ?2) WHERE id = ?1");
    public Statement FindRoom => field ??= Prepare("SELECT id, epoch, first, next FROM room WHERE name = ?1");
    public Statement LastPage => field ??= Prepare("SELECT id FROM page WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1");
    public Statement AddPage => field ??= Prepare("INSERT INTO page VALUES (?1, ?2, ?3)");
    public Statement ReadPages => field ??= Prepare("SELECT id, at, said FROM page WHERE id BETWEEN ?1 AND ?2 ORDER BY id");
    public Statement SetSaid => field ??= Prepare("UPDATE page SET said = ?2 WHERE id = ?1");
    public Statement ForgetPage => field ??= Prepare("DELETE FROM page WHERE id = ?1");
    public Statement AddKey => field ??= Prepare("INSERT INTO key_hash VALUES (?1, ?2) ON CONFLICT DO NOTHING");
    public Statement MoveKey => field ??= Prepare("UPDATE key_hash SET seq = ?2 WHERE hash = ?1");
    public Statement FindKey => field ??= Prepare("SELECT seq FROM key_hash WHERE hash = ?1");
    public Statement ForgetKey => field ??= Prepare("DELETE FROM key_hash WHERE hash = ?1 AND seq = ?2");
    public Statement RoomsAfter => field ??= Prepare("SELECT id, name FROM room WHERE id > ?1 ORDER BY id LIMIT 256");
    public Statement SetMark => field ??= Prepare("UPDATE state SET mark = ?1");

    Statement Prepare(string sql)
    {
        var statement = new Statement(_connection, sql);
        _statements.Add(statement);
        return statement;
    }
}
