/*
 * load: sends one message at an even rate, and measures the answers.
 *
 *     load [-s] PORT CONNECTIONS ACTIVE RATE SECONDS MESSAGE [FIRST]
 *
 * Opens the connections, with the identities B000000 and so on from FIRST.
 * Then it sends MESSAGE (an OCPP-J CALL, in which %d is replaced by a number
 * that grows) RATE times a second over the first ACTIVE of them, at even
 * intervals, and counts the frames that are received. With RATE 0 it sends
 * nothing for SECONDS. It prints one line of JSON. Latencies are measured from
 * the moment at which a message was due, so they include the time for which a
 * server stalls.
 *
 * If MESSAGE is `storm', all connections are reset and opened again at the same
 * time, which may take SECONDS. The program has just enough of WebSocket for
 * ocppd and for the bare loop (floor.c), and uses little CPU, because it shares
 * the machine with them.
 *
 * With -s it spins while it sends, on a core of its own: each message is sent
 * when it is due, and not together with others in the next millisecond, and the
 * server does not have to wake the client. The CPU time for waking a sleeping
 * client depends on the schedules of the two processes, and would hide the
 * measured differences.
 *
 * On standard error it prints `connected', then waits for a line on standard
 * input before it sends, so that the caller can read the CPU times of the
 * server. After the result it stays connected until its standard input ends;
 * each further line makes it send for SECONDS again. The counts are those
 * since its start.
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

#define BUCKETS 400000  /* of 10 us */
#define PING_BINS 20000 /* of 100 ms */
#define RETRY_US 500000

struct link {
    int      fd;
    uint64_t due; /* of the message in flight, 0 if none */
};

/* In a storm, link.due is one of these values, or the time of the next attempt.
 */
enum { BACK, CONNECTING, ASKED, AGAIN_FROM };

static struct link *links;
static uint64_t     late[BUCKETS + 1], answered, skipped, pings, broken, again;
static int          spin;
static uint64_t     first_bin;
static uint32_t ping_bin[PING_BINS]; /* number of arrivals, from first_bin on */

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

static void receive(int ep, int timeout_ms);

/* Opens a socket that connects to the port; -1 with errno. Only a part of the
 * ports of each source address is used, because the kernel searches for a free
 * port the longer the fewer are left. */
static int
start(int port, int number, int flags)
{
    int                one = 1;
    struct sockaddr_in src = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000002u + (unsigned)number / 512u)};
    struct sockaddr_in dst = {.sin_family = AF_INET,
        .sin_port = htons((unsigned short)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int                fd = socket(AF_INET, SOCK_STREAM | flags, 0);

    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&src, sizeof src) != 0 ||
        (connect(fd, (struct sockaddr *)&dst, sizeof dst) != 0 &&
            errno != EINPROGRESS)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int
ask(int fd, int number)
{
    char req[512];
    int  len = snprintf(req, sizeof req,
         "GET /ocpp/B%06d HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n",
         number);

    return send(fd, req, (size_t)len, MSG_NOSIGNAL) == len;
}

static void
watch(int ep, int how, uint32_t events, int i)
{
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)i};

    if (epoll_ctl(ep, how, links[i].fd, &e) != 0)
        die("epoll_ctl");
}

static int
welcomed(int fd)
{
    char    answer[512];
    ssize_t r = recv(fd, answer, sizeof answer - 1, 0);

    if (r >= 12 && memcmp(answer, "HTTP/1.1 101", 12) == 0)
        return 1;
    return 0;
}

/* Opens connections in batches. Meanwhile, pings of open connections are
 * answered, and refused connections are tried again after a short time. */
static void
open_all(int port, int n, int first, int ep)
{
    for (int from = 0; from < n; from += 256) {
        int to = from + 256 < n ? from + 256 : n;
        for (int i = from; i < to; i++) {
            links[i].fd = start(port, first + i, 0);
            if (links[i].fd < 0)
                die("connect");
            if (!ask(links[i].fd, first + i))
                die("send");
        }
        for (int i = from; i < to; i++) {
            for (int tries = 0; !welcomed(links[i].fd); tries++) {
                if (tries == 20)
                    die("handshake");
                again++;
                close(links[i].fd);
                receive(ep, 100);
                links[i].fd = start(port, first + i, 0);
                if (links[i].fd < 0 || !ask(links[i].fd, first + i))
                    die("connect");
            }
            watch(ep, EPOLL_CTL_ADD, EPOLLIN, i);
        }
        receive(ep, 0);
    }
}

/* --- a storm ------------------------------------------------------------- */

static int
by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Opens link i again. If that fails, it is tried again after RETRY_US. */
static void
come_back(int port, int first, int ep, int i)
{
    struct link *k = &links[i];

    k->fd = start(port, first + i, SOCK_NONBLOCK);
    if (k->fd < 0) {
        k->due = now_us() + RETRY_US;
        return;
    }
    k->due = CONNECTING;
    watch(ep, EPOLL_CTL_ADD, EPOLLOUT, i);
}

/* Reads the answers for the links that connect again; returns how many are
 * complete. */
static int
storm_turn(int first, int ep, int timeout_ms, uint64_t began, uint64_t *took)
{
    struct epoll_event ev[256];
    int                n = epoll_wait(ep, ev, 256, timeout_ms), back = 0;

    for (int e = 0; e < n; e++) {
        int          i = (int)ev[e].data.u32, ok = 1, error = 0;
        struct link *k = &links[i];
        socklen_t    len = sizeof error;
        if (k->due == CONNECTING) {
            getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len);
            ok = error == 0 && ask(k->fd, first + i);
            if (ok) {
                k->due = ASKED;
                watch(ep, EPOLL_CTL_MOD, EPOLLIN, i);
            }
        } else if (k->due == ASKED) {
            ok = welcomed(k->fd);
            if (ok) {
                k->due = BACK;
                took[back++] = now_us() - began;
            }
        } else { /* the link has connected again: a ping, or its end */
            unsigned char buf[256];
            ssize_t       r = recv(k->fd, buf, sizeof buf, MSG_DONTWAIT);
            if (r >= 2 && (buf[0] & 0xf) == 9) {
                size_t        m = buf[1] & 0x7f;
                unsigned char pong[140] = {0x8a, (unsigned char)(0x80 | m)};
                memcpy(pong + 6, buf + 2, m);
                (void)!send(k->fd, pong, 6 + m, MSG_NOSIGNAL);
            } else if (r == 0 || (r < 0 && errno != EAGAIN)) {
                broken++;
                epoll_ctl(ep, EPOLL_CTL_DEL, k->fd, NULL);
            }
        }
        if (!ok) {
            close(k->fd);
            k->due = now_us() + RETRY_US;
            again++;
        }
    }
    return back;
}

static int
storm(int port, int n, int first, int ep, uint64_t patience_us)
{
    struct linger rst = {1, 0};
    uint64_t     *took = calloc((size_t)n, sizeof *took);
    uint64_t      began = now_us(), look = began;
    int           back = 0;

    for (int i = 0; i < n; i++) {
        setsockopt(links[i].fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
        close(links[i].fd);
    }
    for (int i = 0; i < n; i++) {
        come_back(port, first, ep, i);
        /* Real charge points each send as soon as they are connected. */
        if (i % 32 == 31)
            back += storm_turn(first, ep, 0, began, took + back);
    }
    while (back < n && now_us() - began < patience_us) {
        back += storm_turn(first, ep, 10, began, took + back);
        uint64_t t = now_us();
        if (t - look < 50000)
            continue;
        look = t;
        for (int i = 0; i < n; i++)
            if (links[i].due >= AGAIN_FROM && links[i].due <= t)
                come_back(port, first, ep, i);
    }
    qsort(took, (size_t)back, sizeof *took, by_time);
    printf("{\"back\":%d,\"retries\":%llu,\"broken\":%llu,\"half_ms\":%.0f,"
           "\"all_ms\":%.0f}\n",
        back, (unsigned long long)again, (unsigned long long)broken,
        back ? (double)took[back / 2] / 1e3 : 0,
        back ? (double)took[back - 1] / 1e3 : 0);
    return back == n && broken == 0 ? 0 : 1;
}

static size_t
frame(unsigned char *out, const char *text, uint64_t number)
{
    char   body[4096];
    size_t n =
        (size_t)snprintf(body, sizeof body, text, (int)(number % 1000000000));
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
        ssize_t      r = recv(k->fd, buf, sizeof buf, MSG_DONTWAIT);
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
                if (t / 100000 >= first_bin &&
                    t / 100000 - first_bin < PING_BINS)
                    ping_bin[t / 100000 - first_bin]++;
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

/* Prints the whole histogram, so that those of several processes can be
 * added. */
static void
put_counts(void)
{
    const char *comma = "";

    printf(",\"late\":[");
    for (int i = 0; i <= BUCKETS; i++)
        if (late[i] > 0) {
            printf("%s[%d,%llu]", comma, i, (unsigned long long)late[i]);
            comma = ",";
        }
    printf("],\"ping_bins\":[");
    comma = "";
    for (int i = 0; i < PING_BINS; i++)
        if (ping_bin[i] > 0) {
            printf("%s[%llu,%u]", comma, (unsigned long long)first_bin + i,
                ping_bin[i]);
            comma = ",";
        }
    printf("]");
}

/* Answers pings until a line is read (1), or the input ends (0). */
static int
await_line(int ep)
{
    for (;;) {
        struct timeval tv = {0, 0};
        fd_set         in;
        char           c;
        FD_ZERO(&in);
        FD_SET(0, &in);
        if (select(1, &in, NULL, NULL, &tv) > 0) {
            while (read(0, &c, 1) == 1)
                if (c == '\n')
                    return 1;
            return 0;
        }
        receive(ep, 50);
    }
}

/* Sends the messages of one stream; returns how many were sent. */
static uint64_t
stream(int ep, int active, uint64_t rate, uint64_t duration_us,
    const char *message)
{
    unsigned char out[8192];
    uint64_t      before = answered, sent = 0, dropped = 0;
    uint64_t      began = now_us(), end = began + duration_us;

    for (uint64_t t = began; t < end; t = now_us()) {
        uint64_t due = rate * (t - began) / 1000000u;
        for (; sent + dropped < due;) {
            uint64_t     i = sent + dropped;
            struct link *k = &links[i % (uint64_t)active];
            if (k->due !=
                0) { /* at most one CALL is in flight, as OCPP demands */
                dropped++;
                continue;
            }
            k->due = began + i * 1000000u / rate;
            size_t len = frame(out, message, sent++);
            if (send(k->fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)
                broken++;
        }
        receive(ep, spin ? 0 : rate ? 1 : 50);
    }
    for (uint64_t t = now_us();
         answered - before < sent && now_us() - t < 2000000u;)
        receive(ep, 50);
    skipped += dropped;
    return sent;
}

int
main(int argc, char **argv)
{
    struct rlimit rl;
    uint64_t      sent = 0;

    if (argc > 1 && strcmp(argv[1], "-s") == 0) {
        spin = 1;
        argc--;
        argv++;
    }
    if (argc < 7) {
        fprintf(stderr,
            "usage: load [-s] PORT CONNECTIONS ACTIVE RATE SECONDS MESSAGE [FIRST]\n");
        return 2;
    }
    int      n = atoi(argv[2]), active = atoi(argv[3]);
    uint64_t rate = strtoull(argv[4], NULL, 10);
    uint64_t duration_us = (uint64_t)(strtod(argv[5], NULL) * 1e6);
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    links = calloc((size_t)n, sizeof *links);
    int      ep = epoll_create1(0), first = argc > 7 ? atoi(argv[7]) : 0;
    uint64_t t0 = now_us();
    first_bin = t0 / 100000;
    open_all(atoi(argv[1]), n, first, ep);
    uint64_t ramp = now_us() - t0;
    fprintf(stderr, "connected\n");
    if (strcmp(argv[6], "storm") == 0) {
        await_line(ep);
        int result = storm(atoi(argv[1]), n, first, ep, duration_us);
        fflush(stdout);
        await_line(ep);
        return result;
    }
    while (await_line(ep)) {
        sent += stream(ep, active, rate, duration_us, argv[6]);
        printf(
            "{\"sent\":%llu,\"answered\":%llu,\"skipped\":%llu,\"broken\":%llu,"
            "\"again\":%llu,\"pings\":%llu,\"ramp_us\":%llu,\"p50_ms\":%.2f,"
            "\"p99_ms\":%.2f,\"p999_ms\":%.2f",
            (unsigned long long)sent, (unsigned long long)answered,
            (unsigned long long)skipped, (unsigned long long)broken,
            (unsigned long long)again, (unsigned long long)pings,
            (unsigned long long)ramp, quantile(0.5), quantile(0.99),
            quantile(0.999));
        put_counts();
        printf("}\n");
        fflush(stdout);
    }
    return answered == sent && broken == 0 ? 0 : 1;
}
