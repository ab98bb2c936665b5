/* releases: the ends of sessions that Redis must have. See releases.h. */
#include "fleet/releases.h"

#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "fleet/redis.h"
#include "fleet/shards.h"
#include "identity.h"

/* A session whose end must be reported to Redis. */
struct leaving {
    struct leaving *next;
    uint64_t        epoch;
    uint16_t        shard;
    uint8_t         reason;
    uint8_t         len;
    char            identity[IDENTITY_MAX];
};

static struct leaving *leaving;
static uint64_t        out; /* releases without an answer */

static void released_cb(void *ctx, const struct redis_value *v);

static void
release(struct leaving *l)
{
    redis_begin("FCALL");
    redis_name("release", "2");
    redis_identity(l->shard, l->identity, l->len);
    redis_addu(l->epoch);
    redis_add(close_info[l->reason].word);
    redis_add(self.shm->node);
    if (shards[l->shard].alive && redis_send(l->shard, released_cb, l)) {
        out++;
        return;
    }
    l->next = leaving;
    leaving = l;
}

static void
released_cb(void *ctx, const struct redis_value *v)
{
    struct leaving *l = ctx;

    out--;
    if (v != NULL && redis_error(v) == NULL) {
        free(l);
        return;
    }
    l->next = leaving; /* Redis is not ready; the session is released when it
                        * is */
    leaving = l;
}

void
releases_add(const char *identity, size_t len, unsigned shard, uint64_t epoch,
    enum close_reason reason)
{
    struct leaving *l = malloc(sizeof *l);

    if (l == NULL)
        return; /* no memory: the session in Redis ends when the charge point
                 * connects again */
    *l = (struct leaving){.epoch = epoch,
        .shard = (uint16_t)shard,
        .reason = (uint8_t)reason,
        .len = (uint8_t)len};
    memcpy(l->identity, identity, len);
    release(l);
}

void
releases_tick(void)
{
    struct leaving *l = leaving;

    leaving = NULL;
    while (l != NULL) {
        struct leaving *next = l->next;
        release(l);
        l = next;
    }
}

bool
releases_busy(void)
{
    return out > 0 || leaving != NULL;
}

void
releases_put(struct buf *to)
{
    for (const struct leaving *l = leaving; l != NULL; l = l->next) {
        fields_begin(to, "leaving");
        fields_put_bytes(to, "identity", l->identity, l->len);
        fields_put_u64(to, "epoch", l->epoch);
        fields_put_str(to, "reason", close_info[l->reason].word);
        fields_end(to);
    }
}

static enum close_reason
reason_of(const char *word)
{
    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        if (strcmp(close_info[i].word, word) == 0)
            return (enum close_reason)i;
    return CLOSE_peer_vanished;
}

bool
releases_take(struct fields *f)
{
    if (strcmp(f->word, "leaving") != 0)
        return false;
    const char *identity = fields_str(f, "identity", IDENTITY_MAX);
    uint64_t    epoch = fields_u64(f, "epoch", 0, UINT64_MAX);
    if (redis_on() && identity[0] != '\0' && epoch != 0)
        releases_add(identity, strlen(identity),
            redis_shard(identity, strlen(identity)), epoch,
            reason_of(fields_str(f, "reason", 64)));
    return true;
}
