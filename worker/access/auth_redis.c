/* auth_redis: the credentials that Redis holds. See auth_redis.h. */
#include "access/auth_redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "clock.h"
#include "fleet/redis.h"
#include "fleet/shards.h"
#include "journal_line.h"
#include "log.h"
#include "net/conn.h"

/* A question to Redis. It exists until Redis has answered, even if the
 * handshake has ended before. */
struct ask {
    struct ask *next; /* in the order in which they were asked */
    uint64_t    number;
    uint32_t    conn; /* index of the connection */
    uint32_t    since_ms;
    bool        fence; /* the question is for the epoch, not for the key */
    uint8_t     len;
    char        name[IDENTITY_MAX + 1];
};

#define FENCE_MS 500 /* an opening handshake waits for the epoch */

/* A new key that is being sent, or was sent, to Redis. */
struct offer {
    struct offer   *next;
    cref            conn;
    struct auth_key key;
    bool            stored;
};

static struct ask   *asks, **asks_last = &asks;
static struct offer *offers;
static uint64_t      numbers;

/* --- what was shown before ----------------------------------------------- */

_Static_assert(sizeof(struct auth_key) == REGISTRY_PROOF, "");

static uint32_t
now_s(void)
{
    return (uint32_t)(clock_mono_ms() / 1000);
}

void
auth_redis_remember(uint32_t entry, const struct auth_key *key)
{
    registry_proof_put(self.registry, entry, key, now_s());
}

void
auth_redis_recall(uint32_t entry, struct auth_redis_answer *out)
{
    uint32_t when;

    *out = (struct auth_redis_answer){.word = KEYS_SILENT};
    out->entry.has_key = entry != REGISTRY_NONE &&
        registry_proof_get(self.registry, entry, &out->entry.key, &when) &&
        (uint64_t)(now_s() - when) * 1000 < self.conf.auth_remember;
}

/* Redis has answered, so a remembered key that Redis no longer holds is
 * forgotten.
 */
static void
revise(const char *name, size_t len, const struct auth_redis_answer *a)
{
    struct auth_key old;
    uint32_t when, entry = registry_find(self.registry, name, len, false);

    if (entry == REGISTRY_NONE ||
        !registry_proof_get(self.registry, entry, &old, &when))
        return;
    if (!(a->entry.has_key && auth_key_same(&a->entry.key, &old)) &&
        authfile_next_of(&a->entry, &old) == AUTHFILE_NEXT_MAX)
        registry_proof_clear(self.registry, entry);
}

/* --- connections -------------------------------------------------------- */

static bool
read_key(const char *text, size_t n, const char *identity, struct auth_key *key)
{
    if (n == 0)
        return false;
    if (auth_key_parse(text, n, key))
        return true;
    log_error("%s: its key in Redis is not sha256:SALT:HASH with 32 and 64 "
              "hexadecimal digits; set it with the function %s_auth",
        identity, self.conf.redis_prefix);
    return false;
}

/* Reads the fields of the hash: the key, and the new keys, which are separated
 * by blanks. */
static void
read_entry(
    const struct redis_value *v, const char *identity, struct authfile_entry *e)
{
    size_t      n, word;
    const char *p = redis_text(redis_at(v, 0), &n);

    e->has_key = read_key(p, n, identity, &e->key);
    p = redis_text(redis_at(v, 1), &n);
    for (; n > 0 && e->nexts < AUTHFILE_NEXT_MAX; p += word, n -= word) {
        const char *blank = memchr(p, ' ', n);
        word = blank != NULL ? (size_t)(blank - p) : n;
        if (read_key(p, word, identity, &e->next[e->nexts]))
            e->nexts++;
        word += blank != NULL;
    }
}

/* The connection whose handshake waits for the answer; NULL if none waits any
   more. */
static struct conn *
asker(const struct ask *a)
{
    struct conn *c = conn_at(a->conn);

    return c->state == CONN_HANDSHAKE && c->busy->handshake.asked == a->number
        ? c
        : NULL;
}

static void
hand_up(struct conn *c, struct auth_redis_answer *answer)
{
    c->busy->handshake.asked = 0;
    up_auth_answered(c, answer);
}

static void
take_out(struct ask *a)
{
    struct ask **p = &asks;

    while (*p != a)
        p = &(*p)->next;
    *p = a->next;
    if (a->next == NULL)
        asks_last = p;
}

static void
answered_cb(void *ctx, const struct redis_value *v)
{
    struct ask              *a = ctx;
    struct conn             *c = asker(a);
    struct auth_redis_answer answer = {.word = KEYS_SILENT};

    take_out(a);
    if (v != NULL && redis_error(v) == NULL) {
        read_entry(v, a->name, &answer.entry);
        answer.word =
            redis_text(redis_at(v, 0), NULL)[0] ? KEYS_FOUND : KEYS_NONE;
        revise(a->name, a->len, &answer);
    }
    free(a);
    if (c != NULL)
        hand_up(c, &answer);
}

static struct ask *
add_ask(struct conn *c, const char *name, size_t len, bool fence)
{
    struct ask *a = malloc(sizeof *a);

    if (a == NULL)
        return NULL;
    *a = (struct ask){.number = ++numbers,
        .conn = conn_index(c),
        .since_ms = self.now_ms,
        .fence = fence,
        .len = (uint8_t)len};
    memcpy(a->name, name, len);
    *asks_last = a;
    asks_last = &a->next;
    return a;
}

bool
auth_redis_ask(struct conn *c, const char *name, size_t len)
{
    unsigned    shard = redis_shard(name, len);
    struct ask *a = redis_ready(shard) ? add_ask(c, name, len, false) : NULL;

    if (a == NULL)
        return false;
    redis_begin("HMGET");
    redis_key(shard, "auth", a->name);
    redis_add("key");
    redis_add("next");
    if (!redis_send(shard, answered_cb, a)) {
        take_out(a);
        free(a);
        return false;
    }
    c->busy->handshake.asked = a->number;
    STAT_INC(self.st, auth_asked);
    return true;
}

/* --- the fence ----------------------------------------------------------- */

static void
fenced_cb(void *ctx, const struct redis_value *v)
{
    struct ask  *a = ctx;
    struct conn *c = asker(a);

    take_out(a);
    free(a);
    if (v != NULL && redis_error(v) == NULL)
        shards_pass(redis_u64(v, JOURNAL_NUMBER_MAX));
    if (c != NULL)
        hand_up(c, NULL);
}

bool
auth_redis_fence(struct conn *c, const char *name, size_t len)
{
    unsigned    shard = redis_shard(name, len);
    struct ask *a;

    if (c->busy->handshake.fenced || !redis_on() || !redis_ready(shard) ||
        redis_troubled())
        return false;
    c->busy->handshake.fenced = true;
    a = add_ask(c, name, len, true);
    if (a == NULL)
        return false;
    redis_begin("HGET");
    redis_key(shard, "cp", a->name);
    redis_add("epoch");
    if (!redis_send(shard, fenced_cb, a)) {
        take_out(a);
        free(a);
        return false;
    }
    c->busy->handshake.asked = a->number;
    return true;
}

void
auth_redis_tick(void)
{
    struct auth_redis_answer answer = {.word = KEYS_SILENT};

    for (struct ask *a = asks; a != NULL; a = a->next) {
        if (self.now_ms - a->since_ms <
            (a->fence ? FENCE_MS : self.conf.auth_timeout))
            continue;
        struct conn *c = asker(a);
        if (c != NULL)
            hand_up(c, a->fence ? NULL : &answer);
    }
}

/* --- a new key ----------------------------------------------------------- */

static const char *const words[] = {
    [CHANNEL_KEY_OFFERED] = "offered",
    [CHANNEL_KEY_WITHDRAWN] = "withdrawn",
    [CHANNEL_KEY_ACCEPTED] = "accepted",
    [CHANNEL_KEY_USED] = "used",
};

static bool
report_key(enum channel_key what, const char *name, size_t len,
    const struct auth_key *key, redis_fn *fn, void *ctx)
{
    unsigned shard = redis_shard(name, len);
    char     text[AUTH_KEY_TEXT];

    if (!redis_ready(shard))
        return false;
    auth_key_text(key, text);
    redis_begin("FCALL");
    redis_name("key", "2");
    redis_identity(shard, name, len);
    redis_add(words[what]);
    redis_add(text);
    return redis_send(shard, fn, ctx);
}

static void
drop(struct offer *o)
{
    for (struct offer **p = &offers; *p != NULL; p = &(*p)->next)
        if (*p == o) {
            *p = o->next;
            free(o);
            return;
        }
}

static void
offered_cb(void *ctx, const struct redis_value *v)
{
    struct offer *o = ctx;
    struct conn  *c = conn_find(o->conn);

    o->stored = v != NULL && redis_error(v) == NULL;
    if (o->stored && c != NULL)
        up_auth_offered(c);
    /* The offer was used, or the command has ended. If Redis has failed, the
     * command makes a new offer. */
    drop(o);
}

bool
auth_redis_offer(
    struct conn *c, const char *name, size_t len, const struct auth_key *key)
{
    struct offer *o = offers;

    while (o != NULL && (o->conn != c->self || !auth_key_same(&o->key, key)))
        o = o->next;
    if (o != NULL)
        return o->stored;
    o = malloc(sizeof *o);
    if (o == NULL)
        return false;
    *o = (struct offer){.next = offers, .conn = c->self, .key = *key};
    if (report_key(CHANNEL_KEY_OFFERED, name, len, key, offered_cb, o))
        offers = o;
    else
        free(o);
    return false;
}

static void
reported_cb(void *ctx, const struct redis_value *v)
{
    (void)ctx, (void)v;
}

void
auth_redis_notify(enum channel_key what, const char *name, size_t len,
    const struct auth_key *key)
{
    report_key(what, name, len, key, reported_cb, NULL);
}
