using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using ChatMinimal.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using NUnit.Framework;

namespace ChatMinimal.E2E.Store;

/// <summary>Keys are looked up by a hash of 64 bits, which says perhaps; the message says for sure.</summary>
public sealed class SqliteKeyTests
{
    [Test]
    public async Task A_key_whose_hash_another_key_has_already_is_a_message_of_its_own()
    {
        using var folder = new ChatFolder();
        using var store = new SqliteStore(new ChatOptions { Database = folder.File }, TimeProvider.System, NullLogger<SqliteStore>.Instance);
        Assert.That(await SayAsync(store, "one"), Is.EqualTo(new Submission(1, WasKnown: false)));
        using (var file = new SqliteConnection($"Data Source={folder.File};Pooling=False"))
        {
            file.Open();
            using SqliteCommand collide = file.CreateCommand();
            collide.CommandText = "UPDATE key_hash SET hash = $hash WHERE seq = 1";
            collide.Parameters.AddWithValue("$hash", BinaryPrimitives.ReadInt64BigEndian(SHA256.HashData("salon/two"u8)));
            Assert.That(collide.ExecuteNonQuery(), Is.EqualTo(1));
        }
        Assert.That(await SayAsync(store, "two"), Is.EqualTo(new Submission(2, WasKnown: false)));
        Assert.That(await SayAsync(store, "two"), Is.EqualTo(new Submission(2, WasKnown: true)));
    }

    static async Task<Submission> SayAsync(SqliteStore store, string key) =>
        (await store.SubmitAsync("salon", [new Draft(null, key, Encoding.UTF8.GetBytes(key))], default))[0];
}
