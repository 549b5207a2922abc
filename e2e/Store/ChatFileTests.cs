using System.Text;
using Microsoft.Data.Sqlite;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>A chat file outlives the program that made it.</summary>
public sealed class ChatFileTests
{
    // As earlier versions made it.
    static readonly string[] s_schemas =
    [
        """
        CREATE TABLE room (name TEXT NOT NULL PRIMARY KEY, epoch TEXT NOT NULL, first INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE page (room TEXT NOT NULL, last INTEGER NOT NULL, at TEXT NOT NULL, said TEXT NOT NULL, PRIMARY KEY (room, last)) WITHOUT ROWID;
        CREATE VIEW message AS
          SELECT room.name AS room, last - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.room = room.name JOIN json_each(said) AS each
          WHERE last - json_array_length(said) + 1 + each.key >= first;
        INSERT INTO room VALUES ('salon', 'ours', 2), ('atelier', 'theirs', 1);
        INSERT INTO page VALUES
          ('salon', 2, '2001-02-03T10:00:00.000Z', '[[null,null,"k1"],["deux","Zoé","k2"]]'),
          ('salon', 4, '2001-02-03T10:00:01.500Z', '[["trois"],["a\",\"b\u0000"]]'),
          ('atelier', 1, '2001-02-03T10:00:02.000Z', '[["un"]]');
        """,
        """
        CREATE TABLE room (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, first INTEGER NOT NULL);
        CREATE TABLE page (id INTEGER PRIMARY KEY, at TEXT NOT NULL, said TEXT NOT NULL);
        CREATE VIEW message AS
          SELECT name AS room, (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.id BETWEEN room.id << 36 AND room.id << 36 | 0xFFFFFFFFF JOIN json_each(said) AS each
          WHERE (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key >= first;
        INSERT INTO room VALUES (1, 'salon', 'ours', 2), (2, 'atelier', 'theirs', 1);
        INSERT INTO page VALUES
          (1 << 36 | 2, '2001-02-03T10:00:00.000Z', '[[null,null,"k1"],["deux","Zoé","k2"]]'),
          (1 << 36 | 4, '2001-02-03T10:00:01.500Z', '[["trois"],["a\",\"b\u0000"]]'),
          (2 << 36 | 1, '2001-02-03T10:00:02.000Z', '[["un"]]');
        """,
        """
        CREATE TABLE room (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL DEFAULT 1);
        CREATE TABLE page (id INTEGER PRIMARY KEY, at TEXT NOT NULL, said TEXT NOT NULL);
        CREATE VIEW message AS
          SELECT name AS room, (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key AS seq, at,
            each.value ->> 1 AS name, each.value ->> 0 AS text, each.value ->> 2 AS key
          FROM room JOIN page ON page.id BETWEEN room.id << 36 AND room.id << 36 | 0xFFFFFFFFF
            JOIN json_each(iif(json_valid(said), said, '[]')) AS each
          WHERE (page.id & 0xFFFFFFFFF) - json_array_length(said) + 1 + each.key >= first
        -- which a page that is damaged does not have
        ;
        INSERT INTO room VALUES (1, 'salon', 'ours', 2, 3), (2, 'atelier', 'theirs', 1, 2);
        INSERT INTO page VALUES
          (1 << 36 | 2, '2001-02-03T10:00:00.000Z', '[[null,null,"k1"],["deux","Zoé","k2"]]'),
          (1 << 36 | 4, '2001-02-03T10:00:01.500Z', '[["trois"],["a\",\"b\u0000"]]'),
          (2 << 36 | 1, '2001-02-03T10:00:02.000Z', '[["un"]]');
        """,
    ];

    const string InEach =
        """
        CREATE TABLE key_hash (hash INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
        CREATE TABLE state (is_open INTEGER NOT NULL);
        INSERT INTO state VALUES (0);
        PRAGMA application_id = 0x43684D6E;
        """;

    [TestCase(1), TestCase(2), TestCase(3)]
    public async Task A_file_of_an_earlier_schema_reads_as_it_did_and_goes_on(int version)
    {
        using var folder = new ChatFolder();
        string[] before;
        using (SqliteConnection file = Open(folder.File, SqliteOpenMode.ReadWriteCreate))
        {
            _ = Ask(file, $"{s_schemas[version - 1]}; {InEach}; PRAGMA user_version = {version}");
            before = Ask(file, "SELECT room, seq, at, name, text, key FROM message ORDER BY room, seq");
        }
        using (var store = Started.Sqlite(new ChatOptions { Database = folder.File }))
        {
            Assert.That(await store.OpenAsync("salon", default), Is.EqualTo(new LogHead("ours", 2, 5)));
            Assert.That(await store.OpenAsync("atelier", default), Is.EqualTo(new LogHead("theirs", 1, 2)));
            LogPage page = await store.ReadAsync("salon", 1, 10, default);
            Assert.That(page.Messages.Select(message =>
                $"{message.Seq} {message.At:O} {message.Name} {Encoding.UTF8.GetString(message.Text)} {message.Key}"), Is.EqualTo(new[]
            {
                "2 2001-02-03T10:00:00.0000000Z Zoé deux k2",
                "3 2001-02-03T10:00:01.5000000Z  trois ",
                "4 2001-02-03T10:00:01.5000000Z  a\",\"b\0 ",
            }));
            Assert.That(await store.SubmitAsync("atelier", [new Draft(null, null, "deux"u8.ToArray())], default),
                Is.EqualTo(new[] { new Submission(2, false) }));
            Assert.That(await store.SubmitAsync("new", [new Draft(null, null, "un"u8.ToArray())], default),
                Is.EqualTo(new[] { new Submission(1, false) }));
        }
        using SqliteConnection after = Open(folder.File, SqliteOpenMode.ReadOnly);
        Assert.That(Ask(after, "SELECT room, seq, at, name, text, key FROM message WHERE at < '2002' ORDER BY room, seq"),
            Is.EqualTo(before).And.Length.EqualTo(4));
        Assert.That(Ask(after, "SELECT room, seq FROM message WHERE at > '2002' ORDER BY room, seq"),
            Is.EqualTo(new[] { "atelier|2", "new|1" }));
    }

    static SqliteConnection Open(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = mode,
            Pooling = false
        }.ToString());
        connection.Open();
        return connection;
    }

    static string[] Ask(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader rows = command.ExecuteReader();
        var all = new List<string>();
        while (rows.Read())
            all.Add(string.Join('|',
                Enumerable.Range(0, rows.FieldCount).Select(column => rows.IsDBNull(column) ? "" : rows.GetValue(column))));
        return [.. all];
    }
}
