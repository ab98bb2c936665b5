/*
 * load: an even stream of one message, and what comes back.
 *
 *     load PORT CONNECTIONS ACTIVE RATE SECONDS MESSAGE [FIRST]
 *
 * Opens the connections (names B000000 and so on from FIRST), then sends
 * MESSAGE (an OCPP-J CALL; %d in it becomes a number that grows) RATE times a
 * second over the first ACTIVE of them, evenly and whatever comes back, and
 * counts the frames that do. RATE 0 sends nothing for SECONDS. Prints one line of JSON; latencies are
 * measured from the moment a message was due, so a server that stalls cannot
 * hide it. It knows just enough of WebSocket to serve ocppd and the floor
 * alike, and costs as little as it can: it shares the machine.
 *
 * On standard error it says `connected`, then waits for a line on standard
 * input before it sends: the moment to read the server's clocks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 40000 /* of 10 us */

struct link {
    int      fd;
    uint64_t due; /* of the message in flight, 0 if none */
};

static struct link *links;
static uint64_t     late[BUCKETS + 1], answered, skipped, pings, broken;

static uint64_t
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void
die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* One at a time in batches: the ramp is not what is measured. */
static void
open_all(int port, int n, int first, int ep)
{
    char req[512], answer[512];

    for (int from = 0; from < n; from += 256) {
        int to = from + 256 < n ? from + 256 : n;
        for (int i = from; i < to; i++) {
            int one = 1;
            struct sockaddr_in src = {.sin_family = AF_INET,
                .sin_addr.s_addr = htonl(0x7f000002u + (unsigned)(first + i) / 16384u)};
            struct sockaddr_in dst = {.sin_family = AF_INET,
                .sin_port = htons((unsigned short)port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            if (fd < 0 || bind(fd, (struct sockaddr *)&src, sizeof src) != 0 ||
                connect(fd, (struct sockaddr *)&dst, sizeof dst) != 0)
                die("connect");
            int len = snprintf(req, sizeof req,
                "GET /ocpp/B%06d HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n", first + i);
            if (send(fd, req, (size_t)len, 0) != len)
                die("send");
            links[i].fd = fd;
        }
        for (int i = from; i < to; i++) {
            ssize_t r = recv(links[i].fd, answer, sizeof answer - 1, 0);
            if (r < 12 || memcmp(answer, "HTTP/1.1 101", 12) != 0)
                die("handshake");
            struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
            epoll_ctl(ep, EPOLL_CTL_ADD, links[i].fd, &e);
        }
    }
}

static size_t
frame(unsigned char *out, const char *text, uint64_t number)
{
    char   body[4096];
    size_t n = (size_t)snprintf(body, sizeof body, text, (int)(number % 1000000000));
    size_t h = 2;

    out[0] = 0x81;
    if (n < 126) {
        out[1] = (unsigned char)(0x80 | n);
    } else {
        out[1] = 0x80 | 126;
        out[2] = (unsigned char)(n >> 8);
        out[3] = (unsigned char)n;
        h = 4;
    }
    memset(out + h, 0, 4);
    memcpy(out + h + 4, body, n);
    return h + 4 + n;
}

static void
receive(int ep, int timeout_ms)
{
    static unsigned char buf[65536];
    struct epoll_event   ev[256];
    int                  n = epoll_wait(ep, ev, 256, timeout_ms);
    uint64_t             t = now_us();

    for (int i = 0; i < n; i++) {
        struct link *k = &links[ev[i].data.u32];
        ssize_t r = recv(k->fd, buf, sizeof buf, MSG_DONTWAIT);
        if (r <= 0) {
            if (r == 0 || errno != EAGAIN) {
                broken++;
                epoll_ctl(ep, EPOLL_CTL_DEL, k->fd, NULL);
            }
            continue;
        }
        for (unsigned char *p = buf; p < buf + r;) {
            size_t len = p[1] & 0x7f, h = 2;
            if (len == 126) {
                len = (size_t)p[2] << 8 | p[3];
                h = 4;
            }
            if ((p[0] & 0xf) == 9) {
                unsigned char pong[140] = {0x8a, (unsigned char)(0x80 | len)};
                memcpy(pong + 6, p + 2, len);
                (void)!send(k->fd, pong, 6 + len, MSG_NOSIGNAL);
                pings++;
            } else if ((p[0] & 0xf) == 1 && k->due != 0) {
                uint64_t us = t > k->due ? t - k->due : 0;
                late[us / 10 < BUCKETS ? us / 10 : BUCKETS]++;
                answered++;
                k->due = 0;
            }
            p += h + len;
        }
    }
}

static double
quantile(double q)
{
    uint64_t seen = 0;

    for (int i = 0; i <= BUCKETS; i++)
        if ((seen += late[i]) > 0 && (double)seen >= q * (double)answered)
            return i / 100.0;
    return 0;
}

int
main(int argc, char **argv)
{
    struct rlimit rl;
    unsigned char out[8192];
    uint64_t      sent = 0;

    if (argc < 7) {
        fprintf(stderr, "usage: load PORT CONNECTIONS ACTIVE RATE SECONDS MESSAGE [FIRST]\n");
        return 2;
    }
    int      n = atoi(argv[2]), active = atoi(argv[3]);
    uint64_t rate = strtoull(argv[4], NULL, 10), seconds = strtoull(argv[5], NULL, 10);
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    links = calloc((size_t)n, sizeof *links);
    int      ep = epoll_create1(0);
    uint64_t t0 = now_us();
    open_all(atoi(argv[1]), n, argc > 7 ? atoi(argv[7]) : 0, ep);
    uint64_t ramp = now_us() - t0;
    fprintf(stderr, "connected\n");
    int c;
    /* Pings are answered meanwhile. */
    for (;;) {
        struct timeval tv = {0, 0};
        fd_set         in;
        FD_ZERO(&in);
        FD_SET(0, &in);
        if (select(1, &in, NULL, NULL, &tv) > 0) {
            while ((c = getchar()) != '\n' && c != EOF)
                ;
            break;
        }
        receive(ep, 50);
    }

    uint64_t start = now_us(), end = start + seconds * 1000000u;
    for (uint64_t t = start; t < end; t = now_us()) {
        uint64_t due = rate * (t - start) / 1000000u;
        for (; sent + skipped < due; ) {
            uint64_t     i = sent + skipped;
            struct link *k = &links[i % (uint64_t)active];
            if (k->due != 0) { /* one CALL in flight, as OCPP demands */
                skipped++;
                continue;
            }
            k->due = start + i * 1000000u / rate;
            size_t len = frame(out, argv[6], sent++);
            if (send(k->fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)
                broken++;
        }
        receive(ep, rate ? 1 : 50);
    }
    for (uint64_t t = now_us(); answered < sent && now_us() - t < 2000000u;)
        receive(ep, 50);
    printf("{\"sent\":%llu,\"answered\":%llu,\"skipped\":%llu,\"broken\":%llu,"
           "\"pings\":%llu,\"ramp_us\":%llu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
           "\"p999_ms\":%.2f}\n",
        (unsigned long long)sent, (unsigned long long)answered,
        (unsigned long long)skipped, (unsigned long long)broken,
        (unsigned long long)pings, (unsigned long long)ramp, quantile(0.5),
        quantile(0.99), quantile(0.999));
    return answered == sent && broken == 0 ? 0 : 1;
}
