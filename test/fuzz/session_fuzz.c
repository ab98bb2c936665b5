/*
 * Whole connections of one worker: the bytes of the input describe what charge
 * points, the master, the disk and the clock do, one after the other.
 *
 * The whole worker takes part, except for its main loop and its journal:
 * connections are socket pairs, the time is a number, and events become
 * durable, or are refused, at the places that the input chooses. At any time a
 * connection may become a record, from which it is made again, as if it had
 * moved to another process.
 *
 * It checks that in the end, when all peers have disconnected, there is no
 * connection, lease, answer, command or owner in the registry any more, and
 * that every connection that was opened has ended once.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "config_read.h"
#include "ensure.h"
#include "helper.h"
#include "shm.h"

/* Included, because the sweep's tick is static and the fuzzer sets the time. */
#include "worker/sweep.c"

#include "access/guard.h"
#include "channel.h"
#include "move/moving.h"
#include "net/conn.h"
#include "net/frame.h"
#include "ocpp/tape.h"
#include "session/deferred.h"
#include "session/session.h"
#include "standins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PEERS 4
#define STEPS 400

struct self self;

static int      master[2];   /* both ends of the channel */
static int      peer[PEERS]; /* the charge points' ends; -1: none */
static uint64_t now_us = 1000000;
static bool spoiled; /* a record was changed, and may have had the identity of
                        another connection */

/* --- replaces worker.c ---------------------------------------------------- */

void
self_read_clocks(void)
{
    self.now_us = now_us;
    self.now_ms = (uint32_t)(now_us / 1000);
    self.wall_ms = UINT64_C(1700000000000) + now_us / 1000;
}

void
self_read_config(void)
{
    self.conf_version = shm_config_read(shm, &self.conf);
}

/* --- called once --------------------------------------------------------- */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char text[] =
        "[server]\nmax_connections = 16\nmax_identities = 64\n"
        "state_dir = /tmp\n[websocket]\nmax_message_size = 4KiB\n"
        "max_output_size = 16KiB\n[ocpp]\nmax_bad_messages = 3\n"
        "call_queue = 3\n[log]\nlevel = error\n";
    static struct config conf;
    struct buf           errors = {.max = 4096};
    int                  fd;

    ensure(config_read_text(
        &conf, "fuzz", text, sizeof text - 1, NULL, 0, &errors));
    shm = shm_make(&conf, 2, "fuzz", &fd);
    ensure(shm != NULL);
    self.shm = shm;
    self.mem = shm_worker(shm, 0);
    self.st = &self.mem->stats;
    self.registry = shm_registry(shm);
    self.mem->incarnation = 1;
    self_read_config();
    self_read_clocks();
    self.loop = ev_loop_new(EVFLAG_NOENV);
    ensure(helper_open() >= 0);
    ensure(conn_init(64) && tape_open());
    ws_pool_keep(4);
    ensure(channel_pair(master));
    guard_open(false);
    master_link_open(master[1]);
    sweep_start();
    ev_io_stop(self.loop, &timer);
    for (int i = 0; i < PEERS; i++)
        peer[i] = -1;
    return 0;
}

/* --- the actions of the input --------------------------------------------- */

static void
turn(void)
{
    self_read_clocks();
    ev_run(self.loop, EVRUN_NOWAIT);
}

/* Reads the bytes that the gateway has sent, so that it continues. The answers
 * of charge points are in the input. */
static void
drain_peer(int i)
{
    static char sink[65536];

    while (peer[i] >= 0 && recv(peer[i], sink, sizeof sink, MSG_DONTWAIT) > 0)
        ;
}

static void
drain_master(void)
{
    static char        body[CHANNEL_BODY_MAX + 1];
    struct channel_msg m;

    while (channel_recv(master[0], &m, body) == 1)
        ;
}

static void
hang_up(int i)
{
    if (peer[i] >= 0)
        close(peer[i]);
    peer[i] = -1;
}

static void
come(int i)
{
    uint64_t addr[2] = {0, UINT64_C(0x0100007fffff0000)};
    int      fds[2];

    hang_up(i);
    ensure(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
               fds) == 0);
    peer[i] = fds[0];
    handshake_begin(fds[1], LISTENER_PLAIN, addr, (uint16_t)(1000 + i));
}

static void
say(int i, const void *p, size_t n)
{
    if (peer[i] >= 0 && n > 0)
        (void)!send(peer[i], p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
frame(int i, uint8_t first, const void *payload, size_t n)
{
    uint8_t head[8] = {first, (uint8_t)(0x80 | n)};
    size_t  len = 2;

    if (n > 125) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(n >> 8);
        head[3] = (uint8_t)n;
        len = 4;
    }
    /* A mask of zeros is valid. */
    memset(head + len, 0, 4 > sizeof head - len ? sizeof head - len : 4);
    uint8_t mask[4] = {0};
    say(i, head, len);
    say(i, mask, 4);
    say(i, payload, n);
}

static void
shake_hands(int i, unsigned name)
{
    static const char *const versions[] = {
        "ocpp1.6", "ocpp2.0.1", "ocpp2.1", "ocpp2.0.1, ocpp1.6"};
    char text[512];
    int  n = snprintf(text, sizeof text,
         "GET /ocpp/CP%u HTTP/1.1\r\n"
          "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          "Sec-WebSocket-Version: 13\r\n%s%s%s%s\r\n",
         name % 3, name & 4 ? "" : "Sec-WebSocket-Protocol: ",
        name & 4 ? "" : versions[name >> 3 & 3], name & 4 ? "" : "\r\n",
        name & 32 ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");

    say(i, text, (size_t)n);
}

static const char *const messages[] = {
    "[2,\"1\",\"BootNotification\",{\"chargePointVendor\":\"V\","
    "\"chargePointModel\":\"M\"}]",
    "[2,\"2\",\"Heartbeat\",{}]",
    "[2,\"3\",\"StartTransaction\",{\"connectorId\":1,\"idTag\":\"T\","
    "\"meterStart\":0,\"timestamp\":\"2026-01-01T00:00:00Z\"}]",
    "[2,\"4\",\"StopTransaction\",{\"transactionId\":1,\"meterStop\":1,"
    "\"timestamp\":\"2026-01-01T00:00:00Z\"}]",
    "[2,\"5\",\"StatusNotification\",{\"connectorId\":1,"
    "\"errorCode\":\"NoError\",\"status\":\"Available\"}]",
    "[3,\"cmd\",{\"status\":\"Accepted\"}]",
    "[4,\"cmd\",\"InternalError\",\"\",{}]",
    "[2,\"6\",\"Nonsense\",{}]",
    "{",
    /* 2.x */
    "[2,\"7\",\"BootNotification\",{\"reason\":\"PowerUp\","
    "\"chargingStation\":{\"model\":\"M\",\"vendorName\":\"V\"}}]",
    "[2,\"8\",\"TransactionEvent\",{\"eventType\":\"Started\","
    "\"timestamp\":\"2026-01-01T00:00:00Z\",\"triggerReason\":"
    "\"RemoteStart\",\"seqNo\":0,\"transactionInfo\":{"
    "\"transactionId\":\"t\",\"remoteStartId\":1},\"idToken\":{"
    "\"idToken\":\"T\",\"type\":\"Central\"}}]",
    "[2,\"9\",\"TransactionEvent\",{\"eventType\":\"Ended\","
    "\"timestamp\":\"2026-01-01T00:00:00Z\",\"triggerReason\":"
    "\"Trigger\",\"seqNo\":1,\"transactionInfo\":{"
    "\"transactionId\":\"t\"}}]",
    "[2,\"10\",\"NotifyReport\",{\"requestId\":1,\"seqNo\":0,"
    "\"generatedAt\":\"2026-01-01T00:00:00Z\"}]",
    "[6,\"11\",\"NotifyPeriodicEventStream\",{\"id\":1,\"pending\":0,"
    "\"basetime\":\"2026-01-01T00:00:00Z\",\"data\":[{\"t\":0.5,"
    "\"v\":\"7\"}]}]",
    "[5,\"1\",\"GenericError\",\"\",{}]",
    "[9,\"1\",{}]",
    "[2,\"12\",\"SecurityEventNotification\",{\"type\":\"password\","
    "\"timestamp\":\"2026-01-01T00:00:00Z\",\"techInfo\":\"x\"}]",
};

/* Sends a command, or another message of the master, for the connection at a
 * place of the table. */
static void
notify(unsigned what, unsigned which)
{
    static const char  call[] = "cmd\0CP0\0Reset\0{\"type\":\"Soft\"}";
    static const char  start[] = "cmd\0CP0\0RequestStartTransaction\0"
                                 "{\"remoteStartId\":1,\"idToken\":{"
                                 "\"idToken\":\"T\",\"type\":\"Central\"}}";
    static const char  report[] = "cmd\0CP0\0GetBaseReport\0"
                                  "{\"requestId\":1,\"reportBase\":"
                                  "\"FullInventory\"}";
    static const char  settle[] = "cmd\0CP0\0Reset\0{\"type\":\"Soft\"}";
    struct channel_msg m = {.id = 7};

    if (which < conn_high())
        m.conn = conn_at(which)->self;
    switch (what % 8) {
    case 0:
    case 1:
        m.type = CHANNEL_call;
        m.arg = what & 8 ? 1 : 5000;
        if (what & 16)
            channel_send(master[0], &m, start, sizeof start);
        else if (what & 32)
            channel_send(master[0], &m, report, sizeof report);
        else
            channel_send(master[0], &m, call, sizeof call);
        break;
    case 2:
        m.type = CHANNEL_disconnect;
        channel_send(master[0], &m, NULL, 0);
        break;
    case 3:
        m.type = CHANNEL_ask;
        channel_send(master[0], &m, NULL, 0);
        break;
    case 4:
        m.type = CHANNEL_tap;
        channel_send(master[0], &m, "CP*", 4);
        break;
    case 5:
        m.type = CHANNEL_untap;
        channel_send(master[0], &m, NULL, 0);
        break;
    case 6:
        m.type = CHANNEL_takeover;
        m.arg = UINT64_MAX;
        channel_send(master[0], &m, NULL, 0);
        break;
    default:
        m.type = CHANNEL_settle;
        m.conn = 0;
        m.arg = 5;
        channel_send(master[0], &m, settle, sizeof settle);
        break;
    }
}

static void
pass(uint64_t ms)
{
    now_us += ms * 1000;
    self_read_clocks();
    tick();
}

/* Reads one of the lines of a connection that moves. */
static struct conn *
read_line(struct conn *c, char *line, size_t len, int *fd)
{
    static struct fields f;

    if (!fields_parse(&f, line, len))
        return c;
    if (strcmp(f.word, "conn") != 0) {
        moving_read_part(c, &f);
    } else if (*fd >= 0) {
        c = moving_read(&f, *fd, true, REGISTRY_NONE);
        *fd = -1;
    }
    return c;
}

/* Ends the session of a connection whose record could not be read, as the
 * process that has lost it would. */
static void
bury(uint32_t entry, cref name, uint64_t generation)
{
    if (name != 0 && registry_release(self.registry, entry, name))
        session_bury(
            registry_at(self.registry, entry), generation, CLOSE_not_moved);
}

/* Makes a record of a connection, and a connection of the record. spoil: one
 * bit of the record is changed. */
static void
move(unsigned which, unsigned spoil)
{
    static struct buf lines = {.max = 1 << 20};
    struct conn      *c = which < conn_high() ? conn_at(which) : NULL;

    if (c == NULL || c->state == CONN_FREE || c->state == CONN_DEAD)
        return;
    conn_settle(c);
    buf_clear(&lines);
    if (c->state == CONN_DEAD || deferred_has(c) || !moving_write(c, &lines))
        return;
    uint32_t entry = c->session.entry;
    cref     name = c->state == CONN_OPEN ? c->self : 0;
    uint64_t generation = c->generation;
    int      fd = dup(c->io.fd);
    moving_forget(c);
    if (spoil != 0)
        lines.p[spoil * 7919u % lines.len] ^= (char)(1u << spoil % 7);
    c = NULL;
    for (size_t at = 0, len; at < lines.len; at += len) {
        char *line = lines.p + at;
        char *stop = memchr(line, '\n', lines.len - at);
        len = stop != NULL ? (size_t)(stop - line) + 1 : lines.len - at;
        c = read_line(c, line, len, &fd);
    }
    if (fd >= 0)
        close(fd);
    if (c != NULL)
        moving_arrived(c);
    if (spoil != 0 || c == NULL)
        bury(entry, name, generation);
    spoiled |= spoil != 0;
}

static void
check_nothing_is_left(uint64_t opened, uint64_t ended)
{
    for (int i = 0; i < PEERS; i++)
        hang_up(i);
    refusing = false;
    /* Sweep for longer than the longest timeout. */
    for (int i = 0; i < 40; i++) {
        turn();
        pass(i < 20 ? 1000 : 15000);
        commit();
        turn();
        drain_master();
    }
    struct stats *st = self.st;
    for (uint32_t i = 0; i < conn_high(); i++) {
        const struct conn *c = conn_at(i);
        if (c->state != CONN_FREE)
            fprintf(stderr,
                "place %u: state %d, flags %d, %u held, silent "
                "for %u ms, active %d\n",
                i, c->state, c->flags, c->session.unanswered,
                self.now_ms - c->last_in_ms, ev_is_active(&c->io));
    }
    ensure(stat_get(&st->connections) == 0);
    ensure(stat_get(&st->handshaking) == 0);
    ensure(stat_get(&st->closing) == 0);
    ensure(stat_get(&st->answers_held) == 0);
    ensure(stat_get(&st->commands_pending) == 0);
    ensure(ws_pool_lent() == 0);
    for (uint32_t i = 0; i < conn_high(); i++)
        ensure(conn_at(i)->state == CONN_FREE && conn_at(i)->busy == NULL);
    for (uint32_t i = 0; i < registry_used(self.registry); i++)
        ensure(registry_at(self.registry, i)->owner == 0);

    uint64_t now_ended = 0;
    for (int i = 0; i < CLOSE_REASONS; i++)
        if (i != CLOSE_no_subprotocol)
            now_ended += stat_get(&st->closed[i]);
    ensure(spoiled || stat_get(&st->handshakes) - opened == now_ended - ended);
    spoiled = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *p = data, *end = data + size;
    uint64_t       opened = stat_get(&self.st->handshakes), ended = 0;

    for (int i = 0; i < CLOSE_REASONS; i++)
        if (i != CLOSE_no_subprotocol)
            ended += stat_get(&self.st->closed[i]);

    for (int step = 0; step < STEPS && end - p >= 2; step++) {
        unsigned what = p[0] & 15, who = (p[0] >> 4) % PEERS, arg = p[1];
        size_t   left, n;

        p += 2;
        left = (size_t)(end - p);
        n = arg < left ? arg : left;
        switch (what) {
        case 0:
            come((int)who);
            break;
        case 1:
            shake_hands((int)who, arg);
            break;
        case 2: /* bytes without a frame */
            say((int)who, p, n);
            p += n;
            break;
        case 3: /* a whole frame of any kind */
            if (n > 0)
                frame((int)who, p[0], p + 1, n - 1);
            p += n;
            break;
        case 4: /* a message of OCPP */
            n = arg % (sizeof messages / sizeof *messages);
            frame((int)who, 0x81, messages[n], strlen(messages[n]));
            break;
        case 5: /* the same in two fragments, or only the first */
            n = arg % (sizeof messages / sizeof *messages);
            frame((int)who, 0x01, messages[n], strlen(messages[n]) / 2);
            if (arg & 0x80)
                frame((int)who, 0x80, messages[n] + strlen(messages[n]) / 2,
                    strlen(messages[n]) - strlen(messages[n]) / 2);
            break;
        case 6:
            hang_up((int)who);
            break;
        case 7: /* the peer sends nothing more, but still reads */
            if (peer[who] >= 0)
                shutdown(peer[who], SHUT_WR);
            break;
        case 8:
            drain_peer((int)who);
            break;
        case 9:
            commit();
            break;
        case 10:
            refusing = arg & 1;
            break;
        case 11:
            notify(arg, arg >> 4);
            break;
        case 12:
            pass(arg * 20u);
            break;
        case 13: /* a long time passes */
            pass(arg * 1000u);
            break;
        case 14: /* many of the same message */
            for (unsigned k = 0; k < arg; k++)
                frame((int)who, 0x89, "ping", 4);
            break;
        case 15:
            move(arg % 16, who == 3 ? arg + 1 : 0);
            break;
        }
        turn();
    }
    check_nothing_is_left(opened, ended);
    return 0;
}
