namespace ChatMinimal.Postgres;

/// <summary>
/// The poll looks at the open rooms: once a second where news arrive, to find what they did not tell; else as often as each room
/// talks.
/// </summary>
sealed class Poll(PostgresStore store)
{
    const int RoomsALook = 1000; // rooms one statement looks at

    static readonly TimeSpan s_every = TimeSpan.FromSeconds(1);
    static readonly TimeSpan s_everyWithoutNews = TimeSpan.FromMilliseconds(20); // each room in its own rhythm

    public async Task RunAsync()
    {
        while (!store.Stopping.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(store.News.IsListening ? s_every : s_everyWithoutNews, store.Clock, store.Stopping);
                long now = store.Clock.GetTimestamp();
                bool isListening = store.News.IsListening;
                foreach (RoomLog[] logs in store.Rooms.All.Where(log => isListening || log.IsDue(now, store.Clock)).Chunk(RoomsALook))
                    await LookAsync(logs);
                if (store.Readiness.HasTrouble)
                    await store.Readiness.CheckAsync(store.Stopping);
            }
            catch (OperationCanceledException) { } // we are stopping
            catch (StoreUnavailableException error)
            {
                store.Readiness.SetTrouble(error.Message);
                await Task.Delay(s_every, store.Clock, store.Stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception error) // a bug
            {
                store.Log.LoopFailed(error);
                await Task.Delay(s_every, store.Clock, store.Stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    async Task LookAsync(RoomLog[] logs)
    {
        Mark[] marks = [.. logs.Select(log => log.Mark)];
        string[] rooms = [.. logs.Select(log => log.Room)];
        long[] nexts = [.. marks.Select(mark => mark.Next)];
        Queries.Found[] found = await store.Database.UseAsync(
            (connection, cancel) => Queries.FindAsync(connection, rooms, nexts, cancel), store.Stopping);
        for (int i = 0; i < logs.Length; i++)
            if (marks[i].Epoch != "")
                logs[i].Look(marks[i], found[i]);
    }
}
