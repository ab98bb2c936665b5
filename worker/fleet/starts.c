/* starts: the StartTransactions that the gateways of a fleet have answered.
 * See starts.h. */
#include "fleet/starts.h"

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "fleet/redis.h"
#include "fleet/shards.h"
#include "hash.h"
#include "ocpp/tape.h"

#define HEADS 256
#define ASKED_MAX 20000 /* entries; beyond, Redis counts as unreachable */
/* ms to wait for a reply before the CALL is answered without it */
#define PATIENCE_MS 500

struct asked {
    struct asked       *next; /* in its chain */
    uint64_t            key[2];
    uint32_t            asked_ms;
    bool                given_up; /* in no chain: the reply frees it */
    enum starts_found   found;
    struct starts_reply reply;
};

static struct asked *heads[HEADS];
static unsigned      asked_n;
static ev_prepare    turn; /* active while there are new replies */

/* Makes the key of an identity and a fingerprint. */
static void
make_key(
    uint64_t key[2], const char *identity, size_t len, const uint64_t fp[2])
{
    key[0] = hash_sum(identity, len, fp[0]);
    key[1] = hash_sum(identity, len, fp[1]);
}

static struct asked **
find(const uint64_t key[2])
{
    struct asked **at = &heads[key[0] % HEADS];

    while (*at != NULL && memcmp((*at)->key, key, sizeof(*at)->key) != 0)
        at = &(*at)->next;
    return at;
}

static void
drop(struct asked **at)
{
    struct asked *a = *at;

    *at = a->next;
    free(a);
    asked_n--;
}

bool
starts_possible(const char *identity, size_t len)
{
    if (!redis_on())
        return false;
    unsigned shard = redis_shard(identity, len);
    return redis_ready(shard) && shards[shard].alive && !redis_troubled() &&
        asked_n < ASKED_MAX;
}

enum starts_found
starts_look(const char *identity, size_t len, const uint64_t fp[2],
    struct starts_reply *reply)
{
    uint64_t key[2];

    make_key(key, identity, len, fp);
    struct asked **at = find(key);
    if (*at == NULL)
        return STARTS_NONE;
    struct asked     *a = *at;
    enum starts_found found = a->found;
    if (found != STARTS_PENDING) {
        *reply = a->reply;
        drop(at);
    } else if (self.now_ms - a->asked_ms >= PATIENCE_MS) {
        found = STARTS_UNREACHABLE;
        *reply = a->reply;
        *at = a->next;
        a->given_up = true;
    }
    return found;
}

static bool
ask(const char *identity, size_t len, const uint64_t fp[2], const char *answer,
    size_t n, bool left, redis_fn *fn, void *ctx)
{
    unsigned shard = redis_shard(identity, len);
    char     text[33];

    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, fp[0], fp[1]);
    redis_begin("FCALL");
    redis_name("start", "2");
    redis_identity(shard, identity, len);
    redis_add(text);
    redis_addn(answer, n);
    if (left)
        redis_add("left");
    return redis_send(shard, fn, ctx);
}

static void
drop_replied(void)
{
    for (unsigned i = 0; i < HEADS; i++)
        for (struct asked **at = &heads[i]; *at != NULL;)
            if ((*at)->found != STARTS_PENDING)
                drop(at);
            else
                at = &(*at)->next;
}

static void
turn_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)revents;
    ev_prepare_stop(loop, w);
    up_starts_replied();
    drop_replied();
}

/* True if the text can be sent and stored unchanged: a valid JSON object on one
 * line. */
static bool
is_answer(const char *text, size_t len)
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    bool         good = json_scan(tape, text, len) && tape->deviations == 0 &&
        !tape->newline && tape->tok[0].type == JSON_OBJECT;

    tape_return(tape);
    return good;
}

static void
replied_cb(void *ctx, const struct redis_value *v)
{
    struct asked *a = ctx;

    if (a->given_up) {
        asked_n--;
        free(a);
        return;
    }
    if (!ev_is_active(&turn)) {
        ev_prepare_init(&turn, turn_cb);
        /* This watcher runs before that of the journal, so that the events are
         * in this commit. */
        ev_set_priority(&turn, EV_MAXPRI);
        ev_prepare_start(self.loop, &turn);
    }
    if (v == NULL || redis_error(v) != NULL) {
        a->found = STARTS_UNREACHABLE;
        return;
    }
    const struct redis_value *state = redis_at(v, 0);
    if (redis_is(state, "new")) {
        a->found = STARTS_NEW;
        return;
    }
    if (redis_is(state, "stopped")) {
        a->found = STARTS_STOPPED;
        return;
    }
    size_t      n;
    const char *answer = redis_text(redis_at(v, 1), &n);
    /* Another version of the gateway may have stored a longer answer. */
    if (n == 0 || n > REGISTRY_ANSWER_MAX || !is_answer(answer, n)) {
        a->found = STARTS_UNREACHABLE;
        return;
    }
    memcpy(a->reply.answer, answer, n);
    a->reply.len = n;
    a->found = redis_is(state, "known") ? STARTS_KNOWN : STARTS_DRAFT;
}

bool
starts_ask(const char *identity, size_t len, const uint64_t fp[2],
    const char *proposal, size_t n, bool left)
{
    struct asked *a = calloc(1, sizeof *a);

    if (a == NULL || n > REGISTRY_ANSWER_MAX) {
        free(a);
        return false;
    }
    make_key(a->key, identity, len, fp);
    a->found = STARTS_PENDING;
    a->asked_ms = self.now_ms;
    if (n > 0)
        memcpy(a->reply.answer, proposal, n);
    a->reply.len = n;
    if (!ask(identity, len, fp, proposal, n, left, replied_cb, a)) {
        free(a);
        return false;
    }
    struct asked **at = find(a->key);
    a->next = *at; /* a key is in its chain once: starts_look() has found
                    * none */
    *at = a;
    asked_n++;
    return true;
}

static void
noted_cb(void *ctx, const struct redis_value *v)
{
    (void)ctx;
    (void)v;
}

void
starts_stopped(const char *identity, size_t len, int32_t id)
{
    char text[16];

    if (!starts_possible(identity, len))
        return;
    unsigned shard = redis_shard(identity, len);
    snprintf(text, sizeof text, "%" PRId32, id);
    redis_begin("FCALL");
    redis_name("stopped", "2");
    redis_identity(shard, identity, len);
    redis_add(text);
    redis_send(shard, noted_cb, NULL);
}
