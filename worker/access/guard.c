/* guard: limits for clients, before and after they are known. See guard.h. */
#include "access/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/certificate.h"
#include "access/deny_list.h"
#include "access/rates.h"
#include "address.h"
#include "address_count.h"
#include "base/self.h"
#include "cidr.h"
#include "log.h"
#include "net/ws.h"
#include "penalty.h"

/* Kinds of names that are counted (address_count.h) or have penalties
   (penalty.h). */
enum {
    KIND_ADDRESS,
    KIND_PREFIX,
    KIND_IDENTITY = PENALTY_IDENTITY,
    KIND_FAILURES = PENALTY_ADDRESS,
    KIND_KEYS,
    KIND_HANDSHAKES,
    KIND_PREFIX_HANDSHAKES
};

/* An IPv6 host has at least a /64, and may use any address in it. */
#define ADDRESS_FOUR 32
#define ADDRESS_SIX 64
#define PREFIX_FOUR 24
#define PREFIX_SIX 64

#define PROXIES_MAX 64
#define RETRY_S 30

/* Bytes of a lease (ws.h), without the message that it collects. */
#define LEASE_BYTES (11u * 1024)

/* If the buffers are full for this many seconds, connections that send only a
 * little now and then are closed too. */
#define FULL_PATIENCE_S 5

static struct cidr proxies[PROXIES_MAX];
static unsigned    proxies_n;

static uint64_t conf_version;

static uint32_t born_ms;
static uint64_t accept_credit; /* accepts << 16 */
static uint64_t accept_us;     /* when it was last raised */
static bool     accept_waits;

static unsigned full_s; /* how long the buffers have been full */
static uint32_t retry_s;

/* --- settings ------------------------------------------------------------ */

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
    rates_configure();
    ws_pool_limit(c->limits_buffer_memory);
    conf_version = self.conf_version;
}

void
guard_open(bool inherits)
{
    born_ms = self.now_ms;
    accept_us = self.now_us;
    /* New memory is zero already; clearing it would make the kernel allocate
       its pages. */
    if (self.mem->incarnation > 1 && !inherits)
        address_count_clear(shm_crowd(self.shm), self.slot);
    configure();
    deny_list_open();
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
    deny_list_tick();

    uint64_t held = stat_get(&self.st->output_bytes) + ws_pool_bytes() +
        (uint64_t)ws_pool_lent() * LEASE_BYTES;
    bool full = held > self.conf.limits_buffer_memory / 8 * 7;
    if (full && full_s == 0)
        log_warn("buffers hold %llu of the %llu MiB of limits.buffer_memory: "
                 "connections whose buffered bytes do not move are closed",
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
        accept_credit = rate / 4 + 65536; /* at most the accepts of a quarter of
                                           * a second */
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

/* Addresses of this machine itself are not limited, unless a load balancer on
 * it reported them. */
static bool
is_limited(const struct conn_handshake *h)
{
    return h->proxied || !cidr_is_loopback(h->addr);
}

static void
enter_places(struct conn *c, const uint64_t addr[2], unsigned kind_address,
    unsigned kind_prefix)
{
    struct address_count *w = shm_crowd(self.shm);
    struct cidr           one = cidr_around(addr, ADDRESS_FOUR, ADDRESS_SIX);
    struct cidr           net = cidr_around(addr, PREFIX_FOUR, PREFIX_SIX);

    guard_leave(c);
    c->access.places[0] = address_count_find(w, kind_address, one.addr);
    c->access.places[1] = address_count_find(w, kind_prefix, net.addr);
    address_count_enter(w, self.slot, c->access.places[0]);
    address_count_enter(w, self.slot, c->access.places[1]);
    c->access.counted = true;
}

static bool
above(uint64_t limit, struct address_count_place p)
{
    return limit != 0 && shm_crowd_count(self.shm, p) > limit;
}

static bool
above_sum(
    uint64_t limit, struct address_count_place p, struct address_count_place q)
{
    return limit != 0 &&
        shm_crowd_count(self.shm, p) + shm_crowd_count(self.shm, q) > limit;
}

enum refuse_reason
guard_enter(struct conn *c, const char **detail)
{
    const struct config         *conf = &self.conf;
    const struct conn_handshake *h = &c->busy->handshake;

    retry_s = RETRY_S;
    if (deny_list_has_address(h->addr)) {
        *detail = "the address";
        return REFUSE_denied;
    }
    enter_places(c, h->addr, KIND_HANDSHAKES, KIND_PREFIX_HANDSHAKES);
    if (is_limited(h)) {
        if (above(conf->limits_address_connections, c->access.places[0])) {
            *detail = "all of them in their opening handshake";
            return REFUSE_crowded;
        }
        if (above(conf->limits_prefix_connections, c->access.places[1])) {
            *detail = "all of them in their opening handshake";
            return REFUSE_crowded_prefix;
        }
    }
    if (conf->limits_handshakes != 0 &&
        shm_handshaking(self.shm) > conf->limits_handshakes)
        return REFUSE_handshakes_full;
    return REFUSE_REASONS;
}

void
guard_in_handshake(
    const struct conn *c, uint64_t *of_address, uint64_t *of_network)
{
    *of_address = *of_network = 0;
    if (!c->access.counted)
        return; /* its address is not known yet */
    *of_address = shm_crowd_count(self.shm, c->access.places[0]);
    *of_network = shm_crowd_count(self.shm, c->access.places[1]);
}

bool
guard_share_limit(
    const struct conn *a, const struct conn *b, enum refuse_reason reason)
{
    unsigned at = reason == REFUSE_crowded_prefix;

    if (reason == REFUSE_handshakes_full)
        return true;
    return a->access.counted && b->access.counted &&
        memcmp(&a->access.places[at], &b->access.places[at],
            sizeof a->access.places[at]) == 0;
}

/* The name of the penalty for wrong keys: one identity from one address. */
static size_t
keys_name(const struct conn_handshake *h, const char *name, size_t len,
    uint8_t out[16 + IDENTITY_MAX])
{
    struct cidr one = cidr_around(h->addr, ADDRESS_FOUR, ADDRESS_SIX);

    memcpy(out, one.addr, sizeof one.addr);
    memcpy(out + sizeof one.addr, name, len);
    return sizeof one.addr + len;
}

enum refuse_reason
guard_before_key(const struct conn *c, const char *name, size_t len)
{
    const struct conn_handshake *h = &c->busy->handshake;
    uint8_t                      key[16 + IDENTITY_MAX];

    retry_s = RETRY_S;
    if (self.conf.limits_failure_rate == 0 || !is_limited(h))
        return REFUSE_REASONS;
    uint32_t wait = penalty_waits(shm_penalty(self.shm), KIND_KEYS, key,
        keys_name(h, name, len, key), now_s());
    if (wait == 0)
        return REFUSE_REASONS;
    retry_s = wait;
    return REFUSE_failing;
}

/* True if the connection that this one replaces comes from the same address. */
static bool
replaces_one_of(const uint64_t addr[2], unsigned four, unsigned six,
    const struct registry_entry *former)
{
    if (former == NULL || former->owner == 0)
        return false;
    uint64_t    had[2] = {former->addr[0], former->addr[1]};
    struct cidr net = cidr_around(addr, four, six);
    return cidr_has(&net, had);
}

/* Connections in their opening handshake count too, including this one. */
static bool
is_crowded(const struct conn_handshake *h, const struct registry_entry *former,
    struct address_count_place handshakes, unsigned kind, unsigned four,
    unsigned six, uint64_t limit)
{
    struct cidr                net = cidr_around(h->addr, four, six);
    struct address_count_place p =
        address_count_find(shm_crowd(self.shm), kind, net.addr);

    return above_sum(limit, p, handshakes) &&
        !replaces_one_of(h->addr, four, six, former);
}

static enum refuse_reason
check_identity_rate(const char *name, size_t len)
{
    uint64_t limit = self.conf.limits_identity_rate;

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
        log_warn("%.*s: connected more than %llu times in a minute "
                 "(limits.identity_rate); refused for %u s",
            (int)len, name, (unsigned long long)limit, wait);
    }
    retry_s = wait;
    return REFUSE_flapping;
}

enum refuse_reason
guard_identity(const struct conn *c, const char *name, size_t len,
    const struct registry_entry *former, const char **detail)
{
    const struct config         *conf = &self.conf;
    const struct conn_handshake *h = &c->busy->handshake;

    retry_s = RETRY_S;
    if (deny_list_has_name(name, len)) {
        *detail = "the identity";
        return REFUSE_denied;
    }
    if (deny_list_us() > h->began_us && deny_list_has_address(h->addr)) {
        *detail = "the address";
        return REFUSE_denied;
    }
    if (is_limited(h)) {
        if (is_crowded(h, former, c->access.places[0], KIND_ADDRESS,
                ADDRESS_FOUR, ADDRESS_SIX, conf->limits_address_connections)) {
            if (!h->proxied)
                *detail = "if that is a load balancer, list it in "
                          "server.proxy_from";
            return REFUSE_crowded;
        }
        if (is_crowded(h, former, c->access.places[1], KIND_PREFIX, PREFIX_FOUR,
                PREFIX_SIX, conf->limits_prefix_connections))
            return REFUSE_crowded_prefix;
    }
    return check_identity_rate(name, len);
}

void
guard_opened(struct conn *c)
{
    enter_places(c, c->busy->handshake.addr, KIND_ADDRESS, KIND_PREFIX);
}

/* True for refusals that the client has caused. False for refusals that the
 * state of the gateway has caused, and for refusals of a client that already
 * has a penalty. */
static bool
is_failure(enum refuse_reason reason)
{
    switch (reason) {
    case REFUSE_full:
    case REFUSE_identities_full:
    case REFUSE_registry_busy:
    case REFUSE_draining:
    case REFUSE_auth_down:
    case REFUSE_crowded:
    case REFUSE_crowded_prefix:
    case REFUSE_handshakes_full:
    case REFUSE_flapping:
    case REFUSE_failing:
    case REFUSE_gave_up: /* health checks connect and send nothing */
        return false;
    default:
        return true;
    }
}

enum refuse_reason
guard_refuses(const struct conn *c, enum refuse_reason reason, const char *name,
    size_t len)
{
    const struct conn_handshake *h = &c->busy->handshake;
    struct penalty              *t = shm_penalty(self.shm);
    uint32_t limit = (uint32_t)self.conf.limits_failure_rate;
    uint8_t  key[16 + IDENTITY_MAX];
    char     from[ADDRESS_LEN];

    if (limit == 0 || !is_failure(reason) || !is_limited(h))
        return reason;
    struct cidr one = cidr_around(h->addr, ADDRESS_FOUR, ADDRESS_SIX);
    if (reason == REFUSE_wrong_key)
        penalty_count(t, KIND_KEYS, key, keys_name(h, name, len, key), now_s(),
            limit, most_s());
    uint32_t waits = penalty_waits(t, KIND_FAILURES, one.addr, 16, now_s());
    if (waits > 0) {
        retry_s = waits;
        return REFUSE_failing;
    }
    uint32_t wait =
        penalty_count(t, KIND_FAILURES, one.addr, 16, now_s(), limit, most_s());
    if (wait > 0) {
        address_text(from, h->addr, h->port);
        STAT_INC(self.st, penalties);
        log_warn("%s: more than %u handshakes refused in a minute "
                 "(limits.failure_rate), the last one because %s; further "
                 "refusals in the next %u s have the status 429",
            from, limit, refuse_info[reason].sentence, wait);
    }
    return reason;
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

/* --- open connections ---------------------------------------------------- */

enum close_reason
guard_check(struct conn *c)
{
    if (deny_list_is_new()) {
        struct registry_entry *e = registry_at(self.registry, c->session.entry);
        uint64_t               addr[2] = {e->addr[0], e->addr[1]};
        size_t                 len;
        const char *name = registry_name(self.registry, c->session.entry, &len);
        if (deny_list_has_name(name, len) || deny_list_has_address(addr))
            return CLOSE_denied;
    }
    if (!rates_check(c))
        return CLOSE_too_fast;
    if (full_s > 0 && (c->ws != NULL || conn_output_waits(c)) &&
        (self.now_ms - c->last_in_ms >= 1000 || full_s > FULL_PATIENCE_S))
        return CLOSE_buffers_full;
    return CLOSE_REASONS;
}

bool
guard_is_quiet(const struct conn *c)
{
    return c->access.slow_s == 0 && !c->access.awaits_boot;
}

/* --- the move to another process ----------------------------------------- */

void
guard_write(const struct conn *c, struct buf *out)
{
    fields_put_u64(out, "counted", c->access.counted);
    fields_put_u64(out, "messages_until", c->access.messages_until);
    fields_put_u64(out, "bytes_until", c->access.bytes_until);
    if (c->access.slow_s != 0)
        fields_put_u64(out, "slow", c->access.slow_s);
    if (c->access.expires)
        fields_put_u64(out, "expires", 1);
    certificate_write(c, out);
}

bool
guard_read(struct conn *c, struct fields *f, const uint64_t addr[2])
{
    bool counted = fields_bool(f, "counted", false);

    c->access.messages_until =
        (uint32_t)fields_u64(f, "messages_until", 0, UINT32_MAX);
    c->access.bytes_until =
        (uint32_t)fields_u64(f, "bytes_until", 0, UINT32_MAX);
    c->access.slow_s = (uint8_t)fields_u64(f, "slow", 0, UINT8_MAX);
    c->access.expires = fields_bool(f, "expires", false);
    if (counted && c->state == CONN_HANDSHAKE)
        enter_places(c, addr, KIND_HANDSHAKES, KIND_PREFIX_HANDSHAKES);
    else if (counted && c->state == CONN_OPEN)
        enter_places(c, addr, KIND_ADDRESS, KIND_PREFIX);
    return certificate_read(c, f);
}

void
guard_inherit(void)
{
    address_count_clear(shm_crowd(self.shm), self.slot);
}
