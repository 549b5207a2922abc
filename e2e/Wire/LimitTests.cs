using System.Net;
using Microsoft.Extensions.Time.Testing;
using NUnit.Framework;

namespace ChatMinimal.E2E.Wire;

/// <summary>What one address may use up, and that nobody else notices.</summary>
public sealed class LimitTests
{
    static readonly IPAddress s_one = IPAddress.Parse("203.0.113.1"), s_other = IPAddress.Parse("203.0.113.2");

    [Test]
    public void One_address_has_so_many_places_and_another_has_its_own()
    {
        var addresses = new Addresses(new ChatOptions { PerAddress = 2 }, new FakeTimeProvider());
        Assert.That(addresses.TryEnter(s_one, out Addresses.Usage? first), Is.Null);
        Assert.That(addresses.TryEnter(IPAddress.Parse("::ffff:203.0.113.1"), out _), Is.Null,
            "the same address, as a socket of both kinds sees it");
        Assert.That(addresses.TryEnter(s_one, out _)?.Status, Is.EqualTo(429));
        Assert.That(addresses.TryEnter(s_other, out _), Is.Null);
        addresses.Leave(first);
        Assert.That(addresses.TryEnter(s_one, out _), Is.Null);
    }

    [TestCase("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true), TestCase("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        TestCase("0.0.0.1", "::1:2", false)]
    public void An_IPv6_network_of_64_bits_counts_as_one_address(string one, string other, bool isSame)
    {
        var addresses = new Addresses(new ChatOptions { PerAddress = 1 }, new FakeTimeProvider());
        addresses.TryEnter(IPAddress.Parse(one), out _);
        Assert.That(addresses.TryEnter(IPAddress.Parse(other), out _) is not null, Is.EqualTo(isSame));
    }

    [TestCase("127.0.0.1"), TestCase("::1"), TestCase("::ffff:127.0.0.1"), TestCase(null)]
    public void This_machine_is_exempt_unless_it_is_told_not_to_be(string? address)
    {
        IPAddress? here = address is null ? null : IPAddress.Parse(address);
        var addresses = new Addresses(new ChatOptions { PerAddress = 1 }, new FakeTimeProvider());
        for (int i = 0; i < 3; i++)
            Assert.That(addresses.TryEnter(here, out _), Is.Null);
        var strict = new Addresses(new ChatOptions { PerAddress = 1, PerAddressLoopback = true }, new FakeTimeProvider());
        strict.TryEnter(here, out _);
        Assert.That(strict.TryEnter(here, out _) is null, Is.EqualTo(address is null), "a unix socket has no address");
    }

    [Test]
    public void Rooms_begun_come_back_with_the_hour_and_the_same_one_again_is_not_another()
    {
        var clock = new FakeTimeProvider();
        var addresses = new Addresses(new ChatOptions { PerAddressRooms = 2 }, clock);
        for (int i = 0; i < 10; i++)
            Assert.That(addresses.TryBegin(s_one, "a"), Is.Null);
        Assert.That(addresses.TryBegin(s_one, "b"), Is.Null);
        Problem? refusal = addresses.TryBegin(s_one, "c");
        Assert.That((refusal?.Status, refusal?.RetryAfter), Is.EqualTo((429, TimeSpan.FromMinutes(30))));
        clock.Advance(refusal!.RetryAfter!.Value);
        Assert.That(addresses.TryBegin(s_one, "c"), Is.Null);
        Assert.That(addresses.TryBegin(s_other, "d"), Is.Null);
    }

    [Test]
    public void Posts_have_the_rate_of_a_socket()
    {
        var clock = new FakeTimeProvider();
        var addresses = new Addresses(new ChatOptions { MessagesPerSecond = 2, Burst = 3 }, clock);
        for (int i = 0; i < 3; i++)
            Assert.That(addresses.TryPost(s_one), Is.Null);
        Assert.That(addresses.TryPost(s_one)?.RetryAfter, Is.EqualTo(TimeSpan.FromSeconds(0.5)));
        clock.Advance(TimeSpan.FromSeconds(0.5));
        Assert.That(addresses.TryPost(s_one), Is.Null);
        var free = new Addresses(new ChatOptions { MessagesPerSecond = 0, Burst = 1 }, clock);
        for (int i = 0; i < 100; i++)
            Assert.That(free.TryPost(s_one), Is.Null);
    }

    [Test]
    public void Wrong_invitations_run_out_and_then_a_right_one_is_not_told_from_them()
    {
        var clock = new FakeTimeProvider();
        var addresses = new Addresses(new ChatOptions(), clock);
        for (int i = 0; i < 10; i++)
            Assert.That(addresses.TryInvite(s_one, isRight: false), Is.Null);
        Assert.That(addresses.TryInvite(s_one, isRight: true)?.Status, Is.EqualTo(429));
        Assert.That(addresses.TryInvite(s_other, isRight: true), Is.Null);
        clock.Advance(TimeSpan.FromSeconds(6));
        for (int i = 0; i < 1000; i++)
            Assert.That(addresses.TryInvite(s_one, isRight: true), Is.Null, "a class that comes in");
    }

    [Test]
    public void The_table_forgets_the_silent_and_never_those_who_are_here()
    {
        var clock = new FakeTimeProvider();
        var addresses = new Addresses(new ChatOptions { MaxConnections = 1000, PerAddress = 1 }, clock);
        for (int i = 0; i < 100; i++)
            addresses.TryEnter(new IPAddress(0x0100_0000 + i), out _);
        for (int i = 0; i < 200_000; i++)
        {
            clock.Advance(TimeSpan.FromTicks(1));
            addresses.TryPost(new IPAddress(0x0200_0000L + i));
        }
        Assert.That(addresses.Count, Is.LessThanOrEqualTo(1 << 14));
        for (int i = 0; i < 100; i++)
            Assert.That(addresses.TryEnter(new IPAddress(0x0100_0000 + i), out _)?.Status, Is.EqualTo(429));
    }

    [Test]
    public async Task Each_refusal_is_429_with_its_reason_and_when_to_come_again()
    {
        using var server = ChatServer.Start(("PerAddress", 2), ("PerAddressRooms", 2), ("MessagesPerSecond", 1), ("Burst", 4),
            ("InviteKey", "sesame"), ("PerAddressGuesses", 3), ("PerAddressLoopback", true));
        using RawPeer first = await OpenAsync(server, "/ws?invite=sesame"), second = await OpenAsync(server, "/ws?invite=sesame");
        using RawPeer third = await OpenAsync(server, "/ws?invite=sesame");
        Assert.That(third.Answer, Does.StartWith("HTTP/1.1 429 ").And.Contain("Retry-After: 10\r\n"));
        using RawPeer stream = await RawPeer.RequestAsync(server.Port, "GET /events?invite=sesame HTTP/1.1\nHost: localhost");
        Assert.That(stream.Answer, Does.StartWith("HTTP/1.1 429 "), "event streams take places, too");

        Assert.That(await PostAsync(server, "/messages?room=b&invite=sesame"), Does.StartWith("HTTP/1.1 201 "), "salon was the first room");
        Assert.That(await PostAsync(server, "/messages?room=c&invite=sesame"),
            Does.StartWith("HTTP/1.1 429 ").And.Contain("Retry-After: "));
        Assert.That(await PostAsync(server, "/messages?room=b&invite=sesame"), Does.StartWith("HTTP/1.1 201 "));
        Assert.That(await PostAsync(server, "/messages?room=b&invite=sesame"), Does.StartWith("HTTP/1.1 201 "));
        Assert.That(await PostAsync(server, "/messages?room=b&invite=sesame"),
            Does.StartWith("HTTP/1.1 429 ").And.Contain("Retry-After: 1\r\n"));

        for (int i = 0; i < 3; i++)
            using (RawPeer wrong = await OpenAsync(server, "/ws?invite=guess"))
                Assert.That(wrong.Answer, Does.StartWith("HTTP/1.1 401 "));
        using RawPeer right = await OpenAsync(server, "/ws?invite=sesame");
        Assert.That(right.Answer, Does.StartWith("HTTP/1.1 429 "));
        using RawPeer another = await OpenAsync(server, "/ws?invite=sesame", "X-Forwarded-For: 203.0.113.7");
        Assert.That(another.Answer, Does.StartWith("HTTP/1.1 101 "), "another address, behind the same proxy");
    }

    [TestCase("", "203.0.113.7, 198.51.100.1", "198.51.100.1"), TestCase("198.51.100.0/24", "203.0.113.7, 198.51.100.1", "203.0.113.7"),
        TestCase("198.51.100.1", "192.0.2.9, 203.0.113.7, 198.51.100.1", "203.0.113.7")]
    public async Task A_forwarded_address_is_believed_from_this_machine_and_from_the_proxies_that_are_listed(string proxies,
        string forwarded, string address)
    {
        using var server = BuiltProcess.Server("Production", "--urls", "http://127.0.0.1:0", "--Chat:Database=", "--Chat:Proxies", proxies);
        int port = new Uri((await server.ReadUntilAsync("Page: ")).Split("Page: ")[1]).Port;
        using RawPeer peer = await RawPeer.RequestAsync(port, $"GET /ws HTTP/1.1\nHost: localhost\nX-Forwarded-For: {forwarded}");
        Assert.That(await server.ReadUntilAsync("Refused (426)"), Does.Contain($"Refused (426) {address}, room ''"));
    }

    [TestCase("example"), TestCase("10.0.0.0/33")]
    public async Task A_proxy_that_is_no_address_ends_the_start_in_one_line(string proxies)
    {
        using var server = BuiltProcess.Server("Production", "--urls", "http://127.0.0.1:0", "--Chat:Database=", "--Chat:Proxies", proxies);
        (int code, _, string error) = await server.EndAsync();
        Assert.That((code, error),
            Is.EqualTo((1, $"chatminimal: Chat:Proxies: '{proxies}' is not an address or a network, such as 10.0.0.7 or 10.0.0.0/8\n")));
    }

    static Task<RawPeer> OpenAsync(ChatServer server, string target, string more = "X-Nothing: 1") =>
        RawPeer.UpgradeAsync(server.Port, target, "\n" + more);

    static async Task<string> PostAsync(ChatServer server, string target)
    {
        using RawPeer peer = await RawPeer.RequestAsync(server.Port, $"POST {target} HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nx");
        return peer.Answer;
    }
}
