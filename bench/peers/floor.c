/* The floor: the least that any server does with sockets. No real server: it checks nothing, keeps nothing, knows no rooms, trusts every frame,
   and waits for whoever does not read. One epoll loop: read what is there, append each message, as a server frame, to one batch,
   then one send() a client a batch. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 64 * 1024, BATCH = 1024 * 1024, EVENTS = 1024, FDS = 65536, REST = 8 * 1024 };

/* The load always sends RFC 6455's sample key (section 1.3), so that its answer need not be computed. */
static const char ACCEPT[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char PREFIX[] = "Message d'un client : ";
enum { PREFIX_LENGTH = sizeof PREFIX - 1 };

struct client { int open, index; size_t rest_length; uint8_t *rest; };

static struct client clients[FDS];
static int open_fds[FDS], open_count, poller;
static uint8_t batch[BATCH], buffer[READ + REST];
static size_t batched;

static void leave(int fd)
{
    struct client *c = &clients[fd];
    if (c->open) {
        int last = open_fds[--open_count];
        open_fds[c->index] = last;
        clients[last].index = c->index;
    }
    c->open = 0;
    c->rest_length = 0;
    close(fd);
}

static void send_batch(void)
{
    for (int i = 0; i < open_count; i++) {
        int fd = open_fds[i];
        size_t sent = 0;
        while (sent < batched) {
            ssize_t n = send(fd, batch + sent, batched - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n >= 0) {
                sent += (size_t)n;
            } else if (errno == EAGAIN) {
                struct pollfd wait = { .fd = fd, .events = POLLOUT };
                poll(&wait, 1, -1);
            } else {
                break; /* gone: its next read says so */
            }
        }
    }
    batched = 0;
}

static void append(const uint8_t *masked, size_t length, const uint8_t *mask)
{
    size_t payload = PREFIX_LENGTH + length;
    if (batched + payload + 10 > BATCH)
        send_batch();
    uint8_t *to = batch + batched;
    *to++ = 0x81;
    if (payload < 126) {
        *to++ = (uint8_t)payload;
    } else {
        *to++ = 126;
        *to++ = (uint8_t)(payload >> 8);
        *to++ = (uint8_t)payload;
    }
    memcpy(to, PREFIX, PREFIX_LENGTH);
    to += PREFIX_LENGTH;
    uint8_t wide[8];
    memcpy(wide, mask, 4);
    memcpy(wide + 4, mask, 4);
    uint64_t key;
    memcpy(&key, wide, 8);
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t eight;
        memcpy(&eight, masked + i, 8);
        eight ^= key;
        memcpy(to + i, &eight, 8);
    }
    for (; i < length; i++)
        to[i] = masked[i] ^ mask[i & 3];
    batched += (size_t)(to + length - (batch + batched));
}

/* Returns how much of it was whole frames. */
static size_t frames(const uint8_t *from, size_t length)
{
    size_t at = 0;
    while (length - at >= 6) {
        size_t payload = from[at + 1] & 127, header = 6;
        if (payload == 126) {
            payload = (size_t)from[at + 2] << 8 | from[at + 3];
            header = 8;
        }
        if (length - at < header + payload)
            break;
        if ((from[at] & 15) == 1)
            append(from + at + header, payload, from + at + header - 4);
        at += header + payload;
    }
    return at;
}

/* The request comes in one piece, over loopback. */
static void greet(int fd, size_t length)
{
    if (length < 4 || memcmp(buffer + length - 4, "\r\n\r\n", 4) || send(fd, ACCEPT, sizeof ACCEPT - 1, MSG_NOSIGNAL) < 0) {
        leave(fd);
        return;
    }
    clients[fd].open = 1;
    clients[fd].index = open_count;
    open_fds[open_count++] = fd;
}

static void read_from(int fd)
{
    struct client *c = &clients[fd];
    size_t kept = c->rest_length;
    if (kept)
        memcpy(buffer, c->rest, kept);
    ssize_t n = recv(fd, buffer + kept, READ, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        leave(fd);
        return;
    }
    size_t length = kept + (size_t)n;
    if (!c->open) {
        greet(fd, length);
        return;
    }
    size_t used = frames(buffer, length);
    c->rest_length = length - used;
    if (c->rest_length > REST)
        leave(fd);
    else if (c->rest_length) {
        if (!c->rest)
            c->rest = malloc(REST);
        memcpy(c->rest, buffer + used, c->rest_length);
    }
}

static void accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        if (fd < 0)
            return;
        if (fd >= FDS) {
            close(fd);
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int count, char **arguments)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    address.sin_port = htons((uint16_t)(count > 1 ? atoi(arguments[1]) : 8765));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("floor");
        return 1;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);

    static struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                read_from(events[i].data.fd);
        }
        if (batched)
            send_batch();
    }
}
