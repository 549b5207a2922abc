namespace ChatMinimal.Sqlite;

/// <summary>
/// The schema is what the chat file looks like, in every version there was; a file is brought from its own to this program's.
/// </summary>
static class Schema
{
    const int ApplicationId = 0x43684D6E; // "ChMn": so that no other program's database is taken for ours

    // Forward only: the version of a file is how many of these it has been through.
    static readonly string[] s_migrations =
    [
        """
        CREATE TABLE room (
          name  TEXT NOT NULL PRIMARY KEY,
          epoch TEXT NOT NULL,     -- which log this is; another one voids what clients remember
          first INTEGER NOT NULL   -- the oldest seq that is kept
        ) WITHOUT ROWID;
        CREATE TABLE page (        -- messages that were kept together: one row is several times faster than a row each
          room TEXT NOT NULL,
          last INTEGER NOT NULL,   -- the seq of the last one
          at   TEXT NOT NULL,      -- ISO 8601, UTC
          said TEXT NOT NULL,      -- JSON, oldest first: [[text, name, key], ...]; text is null when only the key is still kept
          PRIMARY KEY (room, last)
        ) WITHOUT ROWID;
        CREATE VIEW message AS     -- what one reads
          SELECT room.name AS room, last - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.room = room.name JOIN json_each(said) AS each
          WHERE last - json_array_length(said) + 1 + each.key >= first;
        CREATE TABLE key_hash (    -- the keys of a room's newest messages, by hash: small, so that finding one stays fast
          hash INTEGER PRIMARY KEY,
          seq  INTEGER NOT NULL
        );
        CREATE TABLE state (is_open INTEGER NOT NULL); -- 1 while a server writes, and after one that was killed
        INSERT INTO state VALUES (0);
        """,
        // A tree of whole numbers is searched without a look at the rows, which may be long: a text key made each commit read several of
        // them.
        """
        DROP VIEW message;
        ALTER TABLE room RENAME TO old_room;
        ALTER TABLE page RENAME TO old_page;
        CREATE TABLE room (
          id    INTEGER PRIMARY KEY,
          name  TEXT NOT NULL UNIQUE,
          epoch TEXT NOT NULL,     -- which log this is; another one voids what clients remember
          first INTEGER NOT NULL   -- the oldest seq that is kept
        );
        CREATE TABLE page (        -- messages that were kept together: one row is several times faster than a row each
          id   INTEGER PRIMARY KEY, -- the room's id, and in the last 36 bits the seq of the last message
          at   TEXT NOT NULL,      -- ISO 8601, UTC
          said TEXT NOT NULL       -- JSON, oldest first: [[text, name, key], ...]; text is null when only the key is still kept
        );
        INSERT INTO room (name, epoch, first) SELECT name, epoch, first FROM old_room;
        INSERT INTO page SELECT id << 36 | last, at, said FROM old_page JOIN room ON name = room ORDER BY id, last;
        DROP TABLE old_page;
        DROP TABLE old_room;
        CREATE VIEW message AS     -- what one reads
          SELECT name AS room, (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.id BETWEEN room.id << 36 AND room.id << 36 | 0xFFFFFFFFF JOIN json_each(said) AS each
          WHERE (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key >= first;
        """,
        // A room remembers its end, so that rows that somebody deleted there are a gap; a row that is damaged does not hide the others from
        // the view.
        """
        ALTER TABLE room ADD COLUMN next INTEGER NOT NULL DEFAULT 1; -- no message will get a lesser seq; the newest may have greater ones
        DROP VIEW message;
        CREATE VIEW message AS     -- what one reads
          SELECT name AS room, (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.id BETWEEN room.id << 36 AND room.id << 36 | 0xFFFFFFFFF
            JOIN json_each(iif(json_valid(said), said, '[]')) AS each
          WHERE (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key >= first
        -- which a page that is damaged does not have
        """,
        // A file can be told from its copies: see LockFile.
        """
        ALTER TABLE state ADD COLUMN mark TEXT NOT NULL DEFAULT '';
        """,
    ];

    /// <summary>A file that is no database, or a broken one, or not ours, is found out before anything is written to it.</summary>
    /// <exception cref="ChatFileException">It is not ours.</exception>
    public static void Check(ChatFile file, string path)
    {
        bool isNew = file.Ask("SELECT count(*) FROM sqlite_schema") == 0;
        if (!isNew && file.Ask("PRAGMA application_id") != ApplicationId)
            throw new ChatFileException($"{path} is another program's database", mayPass: false);
        if (VersionOf(file) is var version && version > s_migrations.Length)
            throw new ChatFileException($"{path} was written by a newer ChatMinimal (schema {version}; this one knows {s_migrations.Length})", mayPass: false);
    }

    public const int FirstWithMark = 4; // files before have no lock file either

    public static int Newest => s_migrations.Length;

    public static long VersionOf(ChatFile file) => file.Ask("PRAGMA user_version");

    public static void Migrate(ChatFile file)
    {
        for (long version = VersionOf(file); version < s_migrations.Length; version++)
            file.Execute($"BEGIN IMMEDIATE; {s_migrations[version]}\n; PRAGMA application_id = {ApplicationId}; PRAGMA user_version = {version + 1}; COMMIT");
    }
}
