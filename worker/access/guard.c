/* guard: what a stranger, or many, may take. See guard.h. */
#include "access/guard.h"

#include <stdio.h>
#include <string.h>

#include "cidr.h"
#include "clock.h"
#include "address_count.h"
#include "denyfile.h"
#include "ensure.h"
#include "log.h"
#include "penalty.h"
#include "base/self.h"
#include "net/ws.h"

enum { KIND_ADDRESS, KIND_PREFIX, KIND_IDENTITY, KIND_FAILURES };

#define PROXIES_MAX 64
#define RETRY_S 30

/* Time as the rates count it: 64 us each; a difference means something for
 * 38 hours, and nothing is silent for longer than idle_timeout's day. */
#define UNIT_SHIFT 6
#define UNITS_S 15625u
#define AHEAD_MAX (120 * UNITS_S)

/* A lease, without the message it collects (ws.h). */
#define LEASE_BYTES (11u * 1024)

/* Buffers full for this many seconds: no more patience with those that let
 * something drip. */
#define FULL_PATIENCE_S 5

/* A newly read deny list is held against every connection in the round of
 * the sweep that follows. */
#define ROUND_MS 2500

static struct cidr proxies[PROXIES_MAX];
static unsigned    proxies_n;

static struct denyfile denied;
static uint64_t        deny_version;
static uint32_t        deny_ms; /* when it was read */
static bool            deny_round;
static bool            deny_stale; /* the last reading failed */

static uint64_t conf_version;
static uint32_t message_cost, message_ahead; /* units; cost 0: no limit */
static uint64_t byte_cost;                   /* units << 16 */
static uint32_t byte_ahead;

static uint32_t born_ms;
static uint64_t accept_credit; /* accepts << 16 */
static uint64_t accept_us;     /* when it was last added to */
static bool     accept_waits;

static unsigned full_s; /* how long the buffers have been full */
static uint32_t retry_s;

/* --- settings ------------------------------------------------------------ */

static uint32_t
units(uint64_t n, uint64_t rate)
{
    uint64_t u = n * UNITS_S / rate;

    return u < AHEAD_MAX ? (uint32_t)u : AHEAD_MAX;
}

static void
configure(void)
{
    const struct config *c = &self.conf;
    const char          *cursor = c->server_proxy_from;
    char                 item[CONF_LIST_MAX];

    proxies_n = 0;
    while (
        proxies_n < PROXIES_MAX && config_list_next(&cursor, item, sizeof item))
        if (cidr_parse(item, &proxies[proxies_n]))
            proxies_n++;

    message_cost = byte_cost = 0;
    if (c->limits_message_rate != 0) {
        message_cost = units(1, c->limits_message_rate);
        if (message_cost == 0)
            message_cost = 1;
        message_ahead = units(c->limits_message_burst, c->limits_message_rate);
    }
    if (c->limits_byte_rate != 0) {
        byte_cost = ((uint64_t)UNITS_S << 16) / c->limits_byte_rate + 1;
        byte_ahead = units(c->limits_byte_burst, c->limits_byte_rate);
    }
    conf_version = self.conf_version;
}

static void
load_denied(void)
{
    struct denyfile fresh = {0};
    struct buf      why = BUF_INIT(16384);
    char            path[DENYFILE_PATH_MAX];

    deny_version = self.shm->deny_version;
    denyfile_path(&self.conf, path);
    bool good = denyfile_read(&fresh, path, &why);
    bool any = fresh.ranges + fresh.names > 0;
    if (!good && !deny_stale)
        log_error("%.*s; %s", (int)strcspn(buf_cstr(&why), "\n"),
            buf_cstr(&why),
            any ? "the other lines of the deny list are in force"
                : "the deny list stays as it was; trying again "
                  "each second");
    deny_stale = !good && !any;
    if (!deny_stale) {
        denyfile_free(&denied);
        denied = fresh;
    }
    deny_ms = self.now_ms;
    deny_round = denied.ranges + denied.names > 0;
    buf_free(&why);
}

void
guard_open(void)
{
    born_ms = self.now_ms;
    accept_us = self.now_us;
    /* What is new is zero, and to look at it would give it its pages. */
    if (self.mem->incarnation > 1)
        address_count_clear(shm_crowd(self.shm), self.slot);
    configure();
    load_denied();
}

static void
count_registry_steps(void)
{
    static uint64_t counted;

    STAT_ADD(self.st, registry_steps, registry_steps - counted);
    counted = registry_steps;
}

void
guard_tick(void)
{
    count_registry_steps();
    if (conf_version != self.conf_version)
        configure();
    if (deny_stale || deny_version != self.shm->deny_version)
        load_denied();
    if (deny_round && self.now_ms - deny_ms > ROUND_MS)
        deny_round = false;

    /* At most: a lease may hold a whole message, most hold none. */
    uint64_t held = stat_get(&self.st->output_bytes) +
        (uint64_t)ws_pool_lent() *
            (LEASE_BYTES + self.conf.websocket_max_message_size);
    bool full = held > self.conf.limits_buffer_memory;
    if (full && full_s == 0)
        log_warn("buffers hold up to %llu MiB, limits.buffer_memory is %llu: "
                 "connections that hold some and do not move are closed",
            (unsigned long long)(held >> 20),
            (unsigned long long)(self.conf.limits_buffer_memory >> 20));
    full_s = full ? full_s + 1 : 0;
}

/* --- accepting ----------------------------------------------------------- */

bool
guard_may_accept(void)
{
    uint64_t rate = self.conf.limits_accept_rate;
    uint64_t slow = self.conf.limits_slow_start;
    uint32_t age = self.now_ms - born_ms;

    if (rate == 0)
        return true;
    rate <<= 16;
    if (age < slow)
        rate = rate / 4 + rate * 3 / 4 * age / slow;
    uint64_t passed = self.now_us - accept_us;
    if (passed > 1000000)
        passed = 1000000;
    accept_us = self.now_us;
    accept_credit += rate * passed / 1000000;
    if (accept_credit > rate / 4 + 65536)
        accept_credit = rate / 4 + 65536; /* a quarter second's worth at once */
    if (accept_credit < 65536) {
        if (!accept_waits)
            STAT_INC(self.st, accepts_delayed);
        accept_waits = true;
        return false;
    }
    accept_waits = false;
    return true;
}

void
guard_accepted(void)
{
    accept_credit -= accept_credit < 65536 ? accept_credit : 65536;
}

bool
guard_from_proxy(const uint64_t addr[2])
{
    if (conf_version != self.conf_version)
        configure();
    for (unsigned i = 0; i < proxies_n; i++)
        if (cidr_has(&proxies[i], addr))
            return true;
    return false;
}

static uint32_t
now_s(void)
{
    return (uint32_t)(self.now_us / 1000000);
}

static uint32_t
most_s(void)
{
    return (uint32_t)(self.conf.limits_max_penalty / 1000);
}

uint32_t
guard_retry_s(void)
{
    return retry_s;
}

enum refuse_reason
guard_enter(struct conn *c, bool proxied, const char **detail)
{
    const struct config  *conf = &self.conf;
    struct address_count *w = shm_crowd(self.shm);
    const uint64_t       *addr = c->busy->handshake.addr;
    struct cidr           net = cidr_around(addr, 24, 64);

    retry_s = RETRY_S;
    /* The datagram about it may be behind this one. */
    if (deny_version != self.shm->deny_version)
        load_denied();
    if (denyfile_has_address(&denied, addr)) {
        *detail = "the address";
        return REFUSE_denied;
    }
    c->access.places[0] = address_count_find(w, KIND_ADDRESS, addr);
    c->access.places[1] = address_count_find(w, KIND_PREFIX, net.addr);
    address_count_enter(w, self.slot, c->access.places[0]);
    address_count_enter(w, self.slot, c->access.places[1]);
    c->access.counted = true;
    /* Whoever is on this machine is no stranger; a load balancer here says
     * who it comes from. */
    if (proxied || !cidr_is_loopback(addr)) {
        uint32_t wait = conf->limits_failure_rate == 0
            ? 0
            : penalty_waits(
                  shm_penalty(self.shm), KIND_FAILURES, addr, 16, now_s());
        if (wait > 0) {
            retry_s = wait;
            return REFUSE_failing;
        }
        if (conf->limits_address_connections != 0 &&
            shm_crowd_count(self.shm, c->access.places[0]) >
                conf->limits_address_connections) {
            *detail = proxied ? NULL
                              : "behind a load balancer, "
                                "server.proxy_from tells who is meant";
            return REFUSE_crowded;
        }
        if (conf->limits_prefix_connections != 0 &&
            shm_crowd_count(self.shm, c->access.places[1]) >
                conf->limits_prefix_connections)
            return REFUSE_crowded_prefix;
    }
    if (conf->limits_handshakes != 0 &&
        shm_handshaking(self.shm) > conf->limits_handshakes)
        return REFUSE_handshakes_full;
    return REFUSE_REASONS;
}

enum refuse_reason
guard_identity(const char *name, size_t len, const char **detail)
{
    uint64_t limit = self.conf.limits_identity_rate;

    retry_s = RETRY_S;
    if (denyfile_has_name(&denied, name, len)) {
        *detail = "the identity";
        return REFUSE_denied;
    }
    if (limit == 0)
        return REFUSE_REASONS;
    struct penalty *t = shm_penalty(self.shm);
    bool     waited = penalty_waits(t, KIND_IDENTITY, name, len, now_s()) > 0;
    uint32_t wait = penalty_count(
        t, KIND_IDENTITY, name, len, now_s(), (uint32_t)limit, most_s());
    if (wait == 0)
        return REFUSE_REASONS;
    if (!waited) {
        STAT_INC(self.st, penalties);
        log_warn("%.*s: connected more than %llu times in a minute; refused "
                 "for %u s",
            (int)len, name, (unsigned long long)limit, wait);
    }
    retry_s = wait;
    return REFUSE_flapping;
}

void
guard_refused(const struct conn *c, enum refuse_reason reason)
{
    uint64_t limit = self.conf.limits_failure_rate;

    /* Our own state is nobody's fault, and those who wait already wait. */
    switch (reason) {
    case REFUSE_full:
    case REFUSE_identities_full:
    case REFUSE_draining:
    case REFUSE_auth_down:
    case REFUSE_crowded:
    case REFUSE_crowded_prefix:
    case REFUSE_handshakes_full:
    case REFUSE_flapping:
    case REFUSE_failing:
    case REFUSE_gave_up: /* health checks do so */
        return;
    default:
        break;
    }
    const uint64_t *addr = c->busy->handshake.addr;
    if (limit == 0 || !c->access.counted ||
        (cidr_is_loopback(addr) && !c->busy->handshake.proxied))
        return;
    uint32_t wait = penalty_count(shm_penalty(self.shm), KIND_FAILURES, addr,
        16, now_s(), (uint32_t)limit, most_s());
    if (wait > 0) {
        char from[SHM_ADDR_LEN];
        shm_addr_text(from, addr, c->busy->handshake.port);
        STAT_INC(self.st, penalties);
        log_warn("%s: refused more than %llu times in a minute, the last time "
                 "because %s; not listened to for %u s",
            from, (unsigned long long)limit, refuse_info[reason].sentence,
            wait);
    }
}

void
guard_leave(struct conn *c)
{
    if (!c->access.counted)
        return;
    address_count_leave(shm_crowd(self.shm), self.slot, c->access.places[0]);
    address_count_leave(shm_crowd(self.shm), self.slot, c->access.places[1]);
    c->access.counted = false;
}

/* --- rates --------------------------------------------------------------- */

static uint32_t
now_units(void)
{
    return (uint32_t)(self.now_us >> UNIT_SHIFT);
}

/* By how much `until' is ahead. Nobody is ever further than take() lets it:
 * what looks so is a time never set, or one so old that the clock wrapped. */
static uint32_t
ahead_of(uint32_t until)
{
    uint32_t ahead = until - now_units();

    return ahead > 2 * AHEAD_MAX ? 0 : ahead;
}

/* True if it is ahead by more than it may. */
static bool
take(uint32_t *until, uint32_t cost, uint32_t may)
{
    uint32_t now = now_units();
    int32_t  ahead = (int32_t)ahead_of(*until);

    ahead += (int32_t)cost;
    if (ahead > (int32_t)(2 * AHEAD_MAX))
        ahead = (int32_t)(2 * AHEAD_MAX);
    *until = now + (uint32_t)ahead;
    return ahead > (int32_t)may;
}

static void
slow_down(struct conn *c)
{
    if (c->flags & CONN_SLOWED)
        return;
    STAT_INC(self.st, slowed);
    conn_slow(c, true);
}

void
guard_bytes(struct conn *c, size_t n)
{
    if (byte_cost != 0 &&
        take(&c->access.bytes_until, (uint32_t)((n * byte_cost) >> 16),
            byte_ahead))
        slow_down(c);
}

void
guard_message(struct conn *c)
{
    if (message_cost != 0 &&
        take(&c->access.messages_until, message_cost, message_ahead))
        slow_down(c);
}

static void
check_speed(struct conn *c)
{
    if (!(c->flags & CONN_SLOWED)) {
        if (c->access.slow_s > 0)
            c->access.slow_s--;
        return;
    }
    if (c->access.slow_s < UINT8_MAX)
        c->access.slow_s++;
    /* It was heard, as far as we let it. */
    c->last_in_ms = self.now_ms;
    if ((message_cost == 0 ||
            ahead_of(c->access.messages_until) <= message_ahead) &&
        (byte_cost == 0 || ahead_of(c->access.bytes_until) <= byte_ahead))
        conn_slow(c, false);
}

enum close_reason
guard_check(struct conn *c)
{
    if (deny_round) {
        struct registry_entry *e = registry_at(self.registry, c->session.entry);
        uint64_t               addr[2] = {e->addr[0], e->addr[1]};
        if (denyfile_has_name(&denied, e->name, e->name_len) ||
            denyfile_has_address(&denied, addr))
            return CLOSE_denied;
    }
    if ((c->flags & CONN_SLOWED) || c->access.slow_s > 0)
        check_speed(c);
    if (c->access.slow_s * 1000u >= self.conf.limits_rate_patience &&
        c->access.slow_s > 0)
        return CLOSE_too_fast;
    if (full_s > 0 && (c->ws != NULL || conn_output_waits(c)) &&
        (self.now_ms - c->last_in_ms >= 1000 || full_s > FULL_PATIENCE_S))
        return CLOSE_buffers_full;
    return CLOSE_REASONS;
}

bool
guard_is_quiet(const struct conn *c)
{
    return c->access.slow_s == 0;
}
