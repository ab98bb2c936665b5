/* handover: passes a slot to another worker process. See handover.h. */
#include "move/handover.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/master_link.h"
#include "base/self.h"
#include "base/up.h"
#include "clock.h"
#include "fleet/claims.h"
#include "fleet/redis.h"
#include "hash.h"
#include "journal/journal.h"
#include "log.h"
#include "move/moving.h"
#include "move/pair.h"
#include "net/tls_queue.h"
#include "net/transport.h"
#include "ocpp/dialect.h"
#include "session/accept.h"
#include "session/calls.h"
#include "session/deferred.h"
#include "session/platform.h"
#include "session/tap.h"
#include "session/verdicts.h"
#include "shm_state.h"

#define HELLO_MS 30000 /* ms that the successor has to prepare itself */
#define STEP_S 0.002
/* Ms of the longest wait for commits, during which no bytes are read. With
 * CHANNEL_MUST the wait is half of upgrade.patience, and so is the wait for TLS
 * handshakes, during which no connection is accepted. */
#define FROZEN_MS 2000
#define SEND_MS 10000 /* ms that the successor has to read a batch */
#define HASH_SEGMENT UINT64_C(0x736567)

static enum {
    NONE,
    WAITING,  /* until the successor sends hello */
    SETTLING, /* until no TLS handshake is in progress */
    FROZEN,   /* until no event waits for the journal */
    ASKED     /* until the master has sent its last datagram */
} phase;

static struct pair pair = {.fd = -1};
static bool        must;
static bool        same; /* the successor has this shared memory */
static uint32_t    phase_ms;
static ev_timer    timer;
static uint64_t    moved, closed;

uint64_t
handover_segment(void)
{
    return hash_keyed(&self.registry->key, HASH_SEGMENT, "segment", 7);
}

/* --- until `go` ---------------------------------------------------------- */

static void
enter(unsigned next)
{
    phase = next;
    phase_ms = self.now_ms;
}

static void
thaw(void)
{
    self.frozen = false;
    for (uint32_t i = 0; i < conn_high(); i++) {
        struct conn *c = conn_at(i);
        calls_pump(c);
        conn_settle(c);
    }
}

static void
keep(bool successor_ended, const char *why)
{
    log_warn("the hand-over to a successor is given up: %s; this process goes "
             "on",
        why);
    fields_begin(&pair.out, "keep");
    fields_end(&pair.out);
    pair_send(&pair);
    pair_close(&pair);
    ev_timer_stop(self.loop, &timer);
    enter(NONE);
    accept_hold(self.held);
    if (self.frozen)
        thaw();
    master_link_kept(successor_ended, why);
}

/* Send the pongs and answers of this turn first, so that a record holds only
 * output for which the socket had no room. */
static void
freeze(void)
{
    for (uint32_t i = 0; i < conn_high(); i++)
        conn_settle(conn_at(i));
    self.frozen = true;
    enter(FROZEN);
}

static bool
hello_came(void)
{
    char         *line;
    size_t        len;
    struct fields f;

    switch (pair_line(&pair, &line, &len)) {
    case PAIR_DONE:
        if (!fields_parse(&f, line, len) || strcmp(f.word, "hello") != 0)
            return false;
        same = fields_u64(&f, "segment", 0, UINT64_MAX) == handover_segment();
        return true;
    case PAIR_WAITS:
        if (self.now_ms - phase_ms >= HELLO_MS)
            keep(false, "the successor was not prepared within 30 s");
        return false;
    default:
        keep(true, "the successor ended before it was prepared");
        return false;
    }
}

/* Reads from the pair to notice the successor's end, which sending would notice
 * only with the first batch. */
static bool
successor_lives(void)
{
    char  *line;
    size_t len;

    if (pair_line(&pair, &line, &len) != PAIR_ENDED)
        return true;
    keep(true, "the successor ended");
    return false;
}

static void
step_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    uint64_t half = self.conf.upgrade_patience / 2;
    uint64_t patience = must ? half : FROZEN_MS;

    (void)loop, (void)w, (void)revents;
    if (self.draining) {
        keep(false, "the worker is being drained");
        return;
    }
    if (phase == WAITING) {
        if (!hello_came())
            return;
        accept_hold(true);
        enter(SETTLING);
    }
    if (!successor_lives())
        return;
    if (phase == SETTLING && tls_queue_under_way() && accept_held_ms() < half)
        return;
    if (phase == SETTLING)
        freeze();
    if (phase != FROZEN)
        return;
    bool late = self.now_ms - phase_ms >= patience;
    bool idle = journal_idle() && !deferred_any();
    if (idle || (late && must)) {
        enter(ASKED);
        master_link_frozen();
    } else if (late) {
        keep(false, "the journal does not make the last events durable");
    }
}

void
handover_begin(int fd, uint64_t how)
{
    struct pair second;

    if (phase != NONE && pair_has_ended(&pair))
        keep(true, "the successor ended");
    if (phase != NONE && how & CHANNEL_AGAIN) {
        close(fd);
        if (phase == ASKED)
            master_link_frozen();
        return;
    }
    if (phase != NONE || self.draining) {
        pair_open(&second, fd);
        fields_begin(&second.out, "keep");
        fields_end(&second.out);
        pair_send(&second);
        pair_close(&second);
        master_link_kept(false,
            self.draining ? "the worker is being drained"
                          : "a hand-over is in progress");
        return;
    }
    pair_open(&pair, fd);
    must = how & CHANNEL_MUST;
    enter(WAITING);
    ev_timer_init(&timer, step_cb, 0, STEP_S);
    ev_timer_start(self.loop, &timer);
}

/* --- sending ------------------------------------------------------------- */

/* From here on the process makes no event, changes no counter and serves no
 * connection, so it may wait. */

static void
close_pair(void)
{
    pair_close(&pair);
}

static void
send_batch(void)
{
    if (pair.fd < 0 || pair_send_within(&pair, SEND_MS) == PAIR_DONE)
        return;
    log_error("the successor has ended, or does not read; the connections that "
              "it does not have are closed");
    close_pair();
}

/* Writes the session of a connection that cannot be moved, so that the
 * successor makes the event of its end. */
static void
put_gone(const struct conn *c)
{
    size_t      len;
    const char *name = registry_name(self.registry, c->session.entry, &len);

    fields_begin(&pair.out, "gone");
    fields_put_bytes(&pair.out, "identity", name, len);
    fields_put_u64(&pair.out, "self", c->self);
    fields_put_u64(&pair.out, "generation", c->generation);
    fields_put_str(&pair.out, "protocol", dialects[c->session.protocol].name);
    fields_end(&pair.out);
}

/* Sends an answer to the peer, if its socket has room. */
static void
turn_away(struct conn *c)
{
    struct buf  frame = BUF_INIT(512);
    struct wire w;

    if (c->state == CONN_OPEN && (c->busy == NULL || c->busy->out.len == 0) &&
        frame_put_close(&frame, &c->ws_bits, close_info[CLOSE_not_moved].status,
            close_info[CLOSE_not_moved].sentence) &&
        transport_of(c)->wrap(c, frame.p, frame.len, &w))
        send(c->io.fd, w.p, w.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_free(&frame);
    closed++;
}

static void
send_conn(struct conn *c)
{
    if (c->state != CONN_HANDSHAKE && c->state != CONN_OPEN &&
        c->state != CONN_CLOSING)
        return;
    if (pair.fd >= 0 && pair_full(&pair))
        send_batch();
    size_t at = pair.out.len;
    bool   fits = pair.fd >= 0 && pair_reserve(&pair, moving_bytes(c)) &&
        !(deferred_any() && deferred_has(c));
    if (fits && !same && c->state == CONN_OPEN)
        shm_state_write_entry(self.shm, c->session.entry, &pair.out);
    if (fits && moving_write(c, &pair.out)) {
        pair_pass(&pair, c->io.fd);
        moved++;
        return;
    }
    pair.out.len = at;
    if (pair.fd >= 0 && c->state == CONN_OPEN)
        put_gone(c);
    turn_away(c);
}

static void
put_slot(void)
{
    struct buf *out = &pair.out;

    fields_begin(out, "slot");
    fields_put_u64(out, "format", HANDOVER_FORMAT);
    fields_put_u64(out, "segment", handover_segment());
    fields_put_u64(out, "slot", self.slot);
    fields_end(out);
    claims_put(out);
    platform_write(out);
    verdicts_write(out);
    calls_put(out);
    tap_write(out);
    fields_begin(out, "go");
    fields_end(out);
    send_batch();
}

void
handover_go(void)
{
    if (phase != ASKED)
        return;
    uint64_t began_us = clock_mono_ns() / 1000u;

    ev_timer_stop(self.loop, &timer);
    redis_close();
    journal_close();
    master_link_flush(SEND_MS);
    put_slot();
    for (uint32_t i = 0; i < conn_high(); i++)
        send_conn(conn_at(i));
    if (pair.fd >= 0) {
        fields_begin(&pair.out, "end");
        fields_put_u64(&pair.out, "moved", moved);
        fields_put_u64(&pair.out, "closed", closed);
        fields_end(&pair.out);
        send_batch();
    }
    bool good = pair.fd >= 0;
    close_pair();
    log_info("handed over %llu connections within %llu ms, closed %llu",
        (unsigned long long)moved,
        (unsigned long long)(clock_mono_ns() / 1000u - began_us) / 1000,
        (unsigned long long)closed);
    up_handed_over(good);
}
