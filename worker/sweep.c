/* sweep: the periodic work on connections. See sweep.h. */
#include "sweep.h"

#include <malloc.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "access/auth.h"
#include "access/auth_redis.h"
#include "access/certificate.h"
#include "access/guard.h"
#include "base/loop_memory.h"
#include "base/master_link.h"
#include "base/self.h"
#include "drain.h"
#include "ensure.h"
#include "fleet/claims.h"
#include "fleet/redis.h"
#include "fleet/ship.h"
#include "fleet/transaction_ids.h"
#include "heap.h"
#include "helper.h"
#include "journal/journal.h"
#include "log_writer.h"
#include "net/tls_queue.h"
#include "net/transport_tls.h"
#include "session/accept.h"
#include "session/answers.h"
#include "session/calls.h"
#include "session/former.h"
#include "session/handshake.h"
#include "session/outcomes.h"
#include "session/recovered.h"
#include "session/refusals.h"
#include "session/session.h"
#include "session/transactions.h"

#define RECOVERED_KEPT_S 60
#define TRIM_ABOVE ((size_t)256 << 10) /* bytes of free heap */
#define TRIM_BURST 256    /* messages and clients in a second: a burst */
#define TRIM_HANDSHAKES 6 /* handshakes that have TRIM_ABOVE together */
#define TRIM_QUIET_S 3    /* seconds without a burst, or ... */
#define TRIM_LATEST_S 30  /* ... seconds altogether */

/* A walk over the slab. A round takes `period`, even if ticks are irregular:
 * each millisecond adds a share of the slab to the connections that must be
 * visited. */
struct walk {
    uint32_t cursor;
    uint64_t owed; /* connections times milliseconds */
};

static struct walk deadlines, pings;
static ev_io       timer; /* watches a timerfd, see sweep_start() */
static uint32_t    last_ms, second_ms, seconds;
static uint64_t    output_bytes; /* the sum in this round */

static uint32_t
due(struct walk *w, uint32_t elapsed_ms, uint64_t period_ms)
{
    w->owed += (uint64_t)conn_high() * elapsed_ms;
    uint64_t n = w->owed / period_ms;
    w->owed %= period_ms;
    /* After a stall not more than one round is walked. */
    return n < conn_high() ? (uint32_t)n : conn_high();
}

/* The walk of the pings takes longer if the table grows meanwhile. So its
 * period is a little shorter than the interval. The walk of the deadlines,
 * which visits each connection every second, enforces the interval as the upper
 * bound. */
#define PING_MARGIN_MS 2000

static uint64_t
ping_period(void)
{
    uint64_t interval = self.conf.websocket_ping_interval;

    return interval >= 4 * PING_MARGIN_MS ? interval - PING_MARGIN_MS
                                          : interval;
}

static void
ping(struct conn *c)
{
    if (conn_ping(c))
        STAT_INC(self.st, pings);
    else if (c->state == CONN_OPEN)
        STAT_INC(self.st, pings_skipped);
}

/* Ms since the last ping, or since the connection became OPEN. */
static uint32_t
unpinged_ms(const struct conn *c)
{
    uint32_t pinged = self.now_ms - c->pinged_ms;
    uint64_t open = session_age_ms(c);

    return pinged < open ? pinged : (uint32_t)open;
}

static void
check(struct conn *c)
{
    const struct config *conf = &self.conf;
    uint32_t             age = self.now_ms - c->opened_ms;

    switch (c->state) {
    case CONN_HANDSHAKE:
        if (c->kind == LISTENER_TLS && c->tls == 0) {
            if (age >= conf->tls_handshake_timeout)
                tls_queue_timed_out(c);
        } else if (age >= conf->websocket_handshake_timeout) {
            handshake_refuse(c, REFUSE_timed_out, 0, NULL);
            conn_settle(c);
        }
        break;
    case CONN_OPEN: {
        uint32_t silent = self.now_ms - c->last_in_ms;
        if (!registry_holds(self.registry, c->session.entry, c->self)) {
            session_end(c, CLOSE_replaced, NULL);
            conn_settle(c);
            break;
        }
        session_note(c);
        enum close_reason limit = guard_check(c);
        if (limit == CLOSE_REASONS && c->kind == LISTENER_TLS)
            limit = transport_tls_check(c);
        if (limit == CLOSE_REASONS)
            limit = certificate_tick(c);
        if (limit != CLOSE_REASONS) {
            session_end(c, limit, NULL);
            conn_settle(c);
            break;
        }
        if (silent >= conf->websocket_idle_timeout) {
            session_end(c, CLOSE_idle, NULL);
            conn_settle(c);
            break;
        }
        if (ping_period() < self.conf.websocket_ping_interval &&
            unpinged_ms(c) >= ping_period())
            ping(c);
        claims_check(c);
        if (c->busy == NULL)
            break;
        output_bytes += c->busy->out.len;
        if (c->busy->out.len > 0 &&
            self.now_ms - c->busy->stuck_ms >= conf->websocket_idle_timeout) {
            session_end(c, CLOSE_slow_reader, NULL);
            conn_kill(c);
            break;
        }
        if (c->busy->session.calls != NULL)
            calls_tick(c);
        conn_settle(c);
        break;
    }
    case CONN_CLOSING:
        if (age >= conf->websocket_close_timeout ||
            ((c->flags & CONN_REFUSED) && age >= HANDSHAKE_LINGER_MS))
            conn_kill(c);
        break;
    default:
        break;
    }
}

/* After a burst of messages, of clients or of TLS handshakes the free memory in
 * the heap is released to the system. That requires a walk over the heap, so
 * it waits while many messages or clients arrive, and is not done if there was
 * no burst. It also waits for TLS handshakes in flight, whose objects are
 * spread over the heap and are freed when they end. If it has waited for
 * TRIM_LATEST_S and is done before their end, it is done again afterwards. */
static void
trim(void)
{
    static uint64_t seen, trimmed;
    static unsigned quiet_s, waited_s;
    static unsigned flown; /* the most handshakes since it was last done */
    static bool     under_way;

    uint64_t now =
        stat_get(&self.st->messages_in) + stat_get(&self.st->accepted);
    unsigned flying = tls_queue_in_flight(), most = tls_queue_peak();
    quiet_s = now - seen < TRIM_BURST && flying == 0 ? quiet_s + 1 : 0;
    seen = now;
    flown = most > flown ? most : flown;
    if (under_way) {
        under_way = !heap_trim_step();
        return;
    }
    bool burst =
        now - trimmed >= TRIM_BURST || flown - flying >= TRIM_HANDSHAKES;
    if (!burst || stat_get(&self.st->answers_held) > 0 ||
        (quiet_s < TRIM_QUIET_S && ++waited_s < TRIM_LATEST_S))
        return;
    waited_s = 0;
    trimmed = now;
    flown = flying;
    loop_memory_trim();
    certificate_trim();
    if (mallinfo2().fordblks > TRIM_ABOVE)
        under_way = !heap_trim_step();
}

/* The gauges decide whether a connection is admitted. If a stray store has
 * written an impossible value, they are counted again. */
static void
check_gauges(void)
{
    uint64_t n[CONN_DEAD + 1] = {0};

    if (stat_get(&self.st->connections) <= conn_high() &&
        stat_get(&self.st->handshaking) <= conn_high() &&
        stat_get(&self.st->closing) <= conn_high())
        return;
    for (uint32_t i = 0; i < conn_high(); i++)
        n[conn_at(i)->state]++;
    STAT_SET(self.st, connections, n[CONN_OPEN]);
    STAT_SET(self.st, handshaking, n[CONN_HANDSHAKE]);
    STAT_SET(self.st, closing, n[CONN_CLOSING]);
}

/* Counts helper threads that are late. */
static void
watch_helpers(void)
{
    static uint64_t lost;
    uint64_t        now = log_writer_lost();

    STAT_ADD(self.st, log_lines_lost, now - lost);
    lost = now;
    STAT_SET(self.st, helpers_late, helper_tick() + log_writer_late(2000));
}

static void
each_second(void)
{
    trim();
    check_gauges();
    STAT_SET(self.st, leases, ws_pool_lent());
    STAT_SET(self.st, leases_pooled, ws_pool_idle());
    STAT_ADD(self.st, compressed_in, ws_take_inflated());
    watch_helpers();
    accept_tick();
    journal_tick();
    outcomes_tick();
    former_tick();
    master_link_tick();
    if (self.conf_version != self.shm->config_version)
        self_read_config();
    auth_tick();
    tls_queue_tick();
    guard_tick();
    refusals_tick();
    transactions_tick();
    if (++seconds == RECOVERED_KEPT_S)
        recovered_forget();
}

static void
tick(void)
{
    uint32_t elapsed = self.now_ms - last_ms;

    last_ms = self.now_ms;
    self.mem->alive_ms = self.now_us / 1000;
    accept_resume();
    handshake_tick();
    for (uint32_t n = due(&deadlines, elapsed, 1000); n > 0; n--) {
        if (deadlines.cursor >= conn_high()) {
            deadlines.cursor = 0;
            STAT_SET(self.st, output_bytes, output_bytes);
            output_bytes = 0;
        }
        check(conn_at(deadlines.cursor++));
    }
    redis_tick();
    auth_redis_tick();
    claims_tick();
    answers_tick();
    ship_tick();
    transaction_ids_tick();
    for (uint32_t n = due(&pings, elapsed, ping_period()); n > 0; n--) {
        if (pings.cursor >= conn_high())
            pings.cursor = 0;
        struct conn *c = conn_at(pings.cursor++);
        /* The walk of the deadlines may just have sent a ping. */
        if (c->state == CONN_OPEN && unpinged_ms(c) >= ping_period() / 2)
            ping(c);
    }
    if (self.now_ms - second_ms >= 1000) {
        second_ms = self.now_ms;
        each_second();
    }
    if (self.draining && drain_tick())
        ev_break(self.loop, EVBREAK_ALL);
}

static void
timer_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)revents;
    uint64_t expirations; /* not used: tick() reads the clock */

    if (read(w->fd, &expirations, sizeof expirations) > 0)
        tick();
}

/* With a timer of libev, each epoll_wait(2) would have a timeout, and the
 * kernel would have to set a timer for every message. */
void
sweep_start(void)
{
    struct itimerspec each = {.it_interval.tv_nsec = SWEEP_TICK_MS * 1000000,
        .it_value.tv_nsec = SWEEP_TICK_MS * 1000000};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

    ensure(fd >= 0 && timerfd_settime(fd, 0, &each, NULL) == 0);
    last_ms = second_ms = self.now_ms;
    ev_io_init(&timer, timer_cb, fd, EV_READ);
    ev_io_start(self.loop, &timer);
}
