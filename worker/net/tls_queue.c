/* tls_queue: the TLS handshakes of this worker. See tls_queue.h. */
#include "net/tls_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/self.h"
#include "base/up.h"
#include "clock.h"
#include "heap.h"
#include "log.h"
#include "net/record_slab.h"
#include "net/tls_queue_private.h"
#include "net/transport_tls.h"

#define WIRE_MAX (256u * 1024)
/* Ms of silence after which a handshake in flight may be displaced by another
 * one. */
#define SILENT_MS 1000
/* Ms of silence after which a hand-over no longer waits for a handshake. */
#define UNDER_WAY_MS 5000

/* Each list is a ring; its head is not a job. */
static struct tls_job lists[FLYING + 1];
static unsigned       counts[FLYING + 1];
static unsigned       in_flight; /* handshakes with an SSL object */
static unsigned       peak;      /* tls_queue_peak() */

static struct tls_context *context;
static int                 bundle = -1;
static uint64_t            conf_version;
static ev_check            check;
static ev_idle             idle; /* active while a handshake is ready, so that
                                  * the loop does not wait */

/* --- lists --------------------------------------------------------------- */

static void
leave(struct tls_job *j)
{
    if (j->place == NOWHERE)
        return;
    j->prev->next = j->next;
    j->next->prev = j->prev;
    counts[j->place]--;
    if (j->place == READY && counts[READY] == 0)
        ev_idle_stop(self.loop, &idle);
    j->place = NOWHERE;
}

static void
enter(struct tls_job *j, enum place place)
{
    struct tls_job *head = &lists[place];

    if (j->place == place)
        return;
    leave(j);
    j->prev = head->prev;
    j->next = head;
    j->prev->next = j->next->prev = j;
    j->place = (uint8_t)place;
    if (counts[place]++ == 0 && place == READY)
        ev_idle_start(self.loop, &idle);
}

static struct tls_job *
first(enum place place)
{
    return counts[place] > 0 ? lists[place].next : NULL;
}

/* --- contexts ------------------------------------------------------------ */

static bool
load(int fd, struct buf *why)
{
    struct buf          notes = BUF_INIT(8192);
    struct tls_context *x = tls_context_load(&self.conf, fd, why, &notes);

    buf_free(&notes); /* the master has logged these warnings when it checked
                         the files */
    if (x == NULL)
        return false;
    tls_context_free(context);
    context = x;
    conf_version = self.conf_version;
    return true;
}

void
tls_queue_renew(int fd)
{
    struct buf why = BUF_INIT(8192);

    if (fd < 0)
        return;
    if (context == NULL || !load(fd, &why)) {
        if (context != NULL)
            log_error("TLS: the new certificates are not used: %.*s",
                (int)strcspn(buf_cstr(&why), "\n"), buf_cstr(&why));
        close(fd);
    } else {
        if (bundle >= 0)
            close(bundle);
        bundle = fd;
    }
    buf_free(&why);
}

/* --- a handshake --------------------------------------------------------- */

static void
landed(struct tls_job *j)
{
    if (j->h == NULL)
        return;
    leave(j);
    j->h = NULL;
    in_flight--;
    STAT_SET(self.st, tls_in_flight, in_flight);
    /* The free place goes to the handshake that has waited longest. */
    struct tls_job *next = first(PARKED);
    if (next != NULL)
        enter(next, READY);
}

static void
refuse(struct conn *c, enum tls_reason reason, const char *detail)
{
    char text[SHM_DETAIL_MAX];

    STAT_INC(self.st, tls_failures[reason]);
    snprintf(text, sizeof text, "%s: %s%s%s%s", tls_reason_word(reason),
        tls_reason_sentence(reason), detail[0] ? " (" : "", detail,
        detail[0] ? ")" : "");
    up_refused(c, REFUSE_tls, text);
    if (c->busy->handshake.tls != NULL && tls_reason_alert(reason) >= 0)
        tls_queue_alert(c, (enum record_alert)tls_reason_alert(reason));
}

void
tls_queue_alert(struct conn *c, enum record_alert alert)
{
    const struct tls_job *j = c->busy->handshake.tls;
    uint8_t               record[] = {
                      RECORD_ALERT, 3, 1, 0, 2, 2 /* fatal */, (uint8_t)alert};

    if (c->state == CONN_CLOSING && c->tls == 0 && (j == NULL || !j->spoken))
        conn_send_wire(c, record, sizeof record);
}

static void
failed(struct tls_job *j)
{
    char            detail[128];
    struct conn    *c = j->c;
    enum tls_reason reason = tls_why(j->h, detail, sizeof detail);

    if (tls_alert_received(j->h) >= 0)
        STAT_INC(self.st,
            tls_alerts_received[tls_alert_find(
                (unsigned)tls_alert_received(j->h))]);
    tls_abandon(j->h);
    landed(j);
    j->done = true;
    refuse(c, reason, detail);
    conn_settle(c);
}

static void
done(struct tls_job *j)
{
    _Alignas(struct record) uint8_t memory[RECORD_SIZE_MAX];
    struct record                  *r = (struct record *)memory;
    struct conn                    *c = j->c;

    bool good = tls_detach(j->h, r, &j->peer);
    landed(j);
    j->done = true;
    if (good) {
        transport_tls_begin(c, r);
        good = c->tls != 0;
    }
    OPENSSL_cleanse(memory, sizeof memory);
    if (!good) {
        refuse(c, TLS_REASON_protocol, "its keys cannot be taken over");
        conn_settle(c);
        return;
    }
    STAT_INC(self.st, tls_handshakes[j->peer.suite]);
    if (j->peer.resumed)
        STAT_INC(self.st, tls_resumed);
    histogram_add(&self.st->tls_handshake_time,
        clock_mono_ns() / 1000u - c->busy->handshake.began_us);
    /* The deadline of the opening handshake counts from here. */
    c->opened_ms = self.now_ms;
    struct buf rest = j->in;
    j->in = BUF_INIT(TLS_IN_MAX);
    if (rest.len > 0)
        transport_of(c)->input(c, (uint8_t *)rest.p, rest.len);
    buf_free(&rest);
    conn_settle(c);
}

static void
step(struct tls_job *j)
{
    static struct buf wire = {.max = WIRE_MAX};
    struct conn      *c = j->c;
    size_t            used = 0;

    if (j->h == NULL) {
        if (in_flight >= self.conf.tls_handshakes) {
            enter(j, PARKED);
            return;
        }
        j->h = tls_begin(context);
        if (j->h == NULL) {
            refuse(c, TLS_REASON_protocol, "out of memory");
            conn_settle(c);
            return;
        }
        if (!buf_add(&j->raw, j->in.p, j->in.len))
            j->spoken = true; /* it cannot be moved */
        if (++in_flight > peak)
            peak = in_flight;
        STAT_SET(self.st, tls_in_flight, in_flight);
    }
    enter(j, FLYING);
    j->moved_ms = self.now_ms;
    buf_clear(&wire);
    enum tls_step s =
        tls_step(j->h, (const uint8_t *)j->in.p, j->in.len, &used, &wire);
    buf_consume(&j->in, used);
    if (wire.len > 0) {
        j->spoken = true;
        j->in.max = TLS_IN_MAX;
        buf_free(&j->raw);
    }
    if (wire.len > 0 && !conn_send_wire(c, wire.p, wire.len))
        return; /* the connection died, and tls_queue_drop() will follow */
    if (s == TLS_DONE)
        done(j);
    else if (s == TLS_FAILED)
        failed(j);
    else
        conn_settle(c);
}

static void
check_cb(struct ev_loop *loop, ev_check *w, int revents)
{
    uint64_t        until = 0;
    struct tls_job *j;

    (void)loop, (void)w, (void)revents;
    while ((j = first(READY)) != NULL) {
        uint64_t now = clock_mono_ns() / 1000000u;
        if (until == 0)
            until = now + self.conf.tls_handshake_budget;
        else if (now >= until)
            break;
        leave(j);
        step(j);
    }
}

static void
idle_cb(struct ev_loop *loop, ev_idle *w, int revents)
{
    (void)loop, (void)w, (void)revents;
}

/* --- what comes ---------------------------------------------------------- */

/* Answers a client that uses HTTP without TLS by an HTTP response. */
static void
refuse_bytes(struct conn *c, enum tls_reason reason)
{
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
        "Content-Type: text/plain\r\nContent-Length: 47\r\n\r\n"
        "This port speaks TLS: use wss:// (or https://).\n";

    if (reason == TLS_REASON_http &&
        !conn_send_wire(c, answer, sizeof answer - 2))
        return;
    refuse(c, reason, "");
}

struct tls_job *
tls_queue_job(struct conn *c)
{
    struct tls_job *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->c = c;
        j->in.max = j->raw.max = TLS_HELLO_MAX;
        c->busy->handshake.tls = j;
    }
    return j;
}

void
tls_queue_input(struct conn *c, const uint8_t *p, size_t n)
{
    struct tls_job *j = c->busy->handshake.tls;

    if (j == NULL && (j = tls_queue_job(c)) == NULL) {
        conn_broken(c, CLOSE_out_of_memory);
        return;
    }
    if (j->done)
        return; /* refused: further bytes are ignored */
    bool kept = j->h != NULL && !j->spoken; /* for a move */
    if (!buf_add(&j->in, p, n) || (kept && !buf_add(&j->raw, p, n))) {
        refuse(c, TLS_REASON_protocol, "too many bytes");
        return;
    }
    if (j->h == NULL) {
        enum tls_reason r =
            tls_first_bytes((const uint8_t *)j->in.p, j->in.len);
        if (r != TLS_REASON_none) {
            j->done = true;
            leave(j);
            refuse_bytes(c, r);
            return;
        }
    }
    if (j->place != PARKED)
        enter(j, READY);
}

void
tls_queue_timed_out(struct conn *c)
{
    struct tls_job *j = c->busy->handshake.tls;

    refuse(c, TLS_REASON_timeout,
        j == NULL                ? "nothing has arrived"
            : j->place == PARKED ? "it waited for a place, tls.handshakes"
                                 : "");
    conn_settle(c);
}

bool
tls_queue_is_silent(const struct conn *c)
{
    const struct tls_job *j = c->busy->handshake.tls;

    return j == NULL ||
        (j->place == FLYING && self.now_ms - j->moved_ms >= SILENT_MS);
}

void
tls_queue_broken(struct conn *c)
{
    /* A connection that has sent nothing is not counted as a handshake, because
     * load balancers test in this way whether the port is open. */
    if (c->busy->handshake.tls == NULL)
        up_refused(c, REFUSE_gave_up, NULL);
    else
        refuse(c, TLS_REASON_reset, "");
}

void
tls_queue_drop(struct conn *c)
{
    struct tls_job *j = c->busy->handshake.tls;

    if (j == NULL)
        return;
    c->busy->handshake.tls = NULL;
    if (j->h != NULL) {
        struct tls_handshake *h = j->h;
        landed(j);
        tls_abandon(h);
    }
    leave(j);
    buf_free(&j->in);
    buf_free(&j->raw);
    free(j);
}

const struct tls_peer *
tls_queue_peer(const struct conn *c)
{
    const struct tls_job *j = c->busy == NULL ? NULL : c->busy->handshake.tls;

    return j != NULL && j->done && c->tls != 0 ? &j->peer : NULL;
}

/* --- time ---------------------------------------------------------------- */

/* The oldest silent handshake of the address that has the most handshakes in
   flight. */
static struct tls_job *
find_silent(void)
{
    struct tls_job *victim = NULL;
    unsigned        most = 0;

    for (struct tls_job *j = lists[FLYING].next; j != &lists[FLYING];
         j = j->next) {
        if (self.now_ms - j->moved_ms < SILENT_MS)
            continue;
        unsigned n = 0;
        for (struct tls_job *o = lists[FLYING].next; o != &lists[FLYING];
             o = o->next)
            n += o->c->busy->handshake.addr[0] ==
                    j->c->busy->handshake.addr[0] &&
                o->c->busy->handshake.addr[1] == j->c->busy->handshake.addr[1];
        if (n > most) {
            most = n;
            victim = j;
        }
        if (n > counts[FLYING] / 2)
            break;
    }
    return victim;
}

void
tls_queue_tick(void)
{
    if (context == NULL)
        return;
    if (counts[PARKED] > 0 && in_flight >= self.conf.tls_handshakes) {
        struct tls_job *j = find_silent();
        if (j != NULL) {
            struct conn *c = j->c;
            refuse(c, TLS_REASON_crowded, "");
            conn_kill(c);
        }
    } else {
        /* There is a free place if a reload has raised the cap. */
        struct tls_job *parked = first(PARKED);
        if (parked != NULL)
            enter(parked, READY);
    }
    /* A reload may have changed settings without changing the files. */
    if (conf_version != self.conf_version) {
        struct buf why = BUF_INIT(8192);
        conf_version = self.conf_version;
        if (!load(bundle, &why))
            log_error("TLS: the new settings are not used: %.*s",
                (int)strcspn(buf_cstr(&why), "\n"), buf_cstr(&why));
        buf_free(&why);
    }
}

bool
tls_queue_open(uint32_t capacity, int fd, struct buf *why)
{
    for (int i = 0; i <= FLYING; i++)
        lists[i].next = lists[i].prev = &lists[i];
    if (!record_init()) {
        buf_adds(why, "OpenSSL lacks a cipher of TLS");
        return false;
    }
    tls_tickets_at(&self.shm->tickets);
    if (!record_slab_init(capacity)) {
        buf_adds(why, "there is no address space for the keys");
        return false;
    }
    bundle = fd;
    if (!load(fd, why))
        return false;
    /* Gives back the memory that was needed to parse the files. */
    heap_trim();
    ev_check_init(&check, check_cb);
    ev_set_priority(&check, EV_MINPRI);
    ev_check_start(self.loop, &check);
    ev_idle_init(&idle, idle_cb);
    ev_set_priority(&idle, EV_MINPRI);
    return true;
}

/* --- state --------------------------------------------------------------- */

bool
tls_queue_on(void)
{
    return context != NULL;
}

unsigned
tls_queue_in_flight(void)
{
    return in_flight;
}

unsigned
tls_queue_peak(void)
{
    unsigned most = peak;

    peak = in_flight;
    return most;
}

bool
tls_queue_under_way(void)
{
    for (struct tls_job *j = lists[FLYING].next;
         counts[FLYING] > 0 && j != &lists[FLYING]; j = j->next)
        if (j->spoken && self.now_ms - j->moved_ms < UNDER_WAY_MS)
            return true;
    return false;
}
