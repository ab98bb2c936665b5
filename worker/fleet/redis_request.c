/* redis_request: a request to Redis, argument by argument. See
 * redis_request.h. */
#include "fleet/redis_request.h"

#include <inttypes.h>
#include <string.h>

#include "base/self.h"
#include "buf.h"
#include "fleet/redis_link.h"

#define ARGS_MAX 4096 /* arguments of one request */

static struct {
    const char *argv[ARGS_MAX];
    size_t      len[ARGS_MAX];
    /* Offset of each argument in text; SIZE_MAX: the argument is the caller's
     * bytes. */
    size_t     at[ARGS_MAX];
    int        n;
    bool       overflow;
    struct buf text;
} rq = {.text = {.max = 1 << 20}};

void
redis_begin(const char *command)
{
    rq.n = 0;
    rq.overflow = false;
    buf_clear(&rq.text);
    redis_add(command);
}

void
redis_addn(const void *p, size_t n)
{
    if (rq.n == ARGS_MAX) {
        rq.overflow = true;
        return;
    }
    rq.argv[rq.n] = p;
    rq.at[rq.n] = SIZE_MAX;
    rq.len[rq.n++] = n;
}

void
redis_add(const char *text)
{
    redis_addn(text, strlen(text));
}

/* Makes the text since `from` one argument. Its address is computed when the
 * request is sent, because text may move. */
static void
add_text(size_t from)
{
    redis_addn("", rq.text.len - from);
    rq.at[rq.n - 1] = from;
}

void
redis_addu(uint64_t number)
{
    size_t from = rq.text.len;

    buf_addf(&rq.text, "%" PRIu64, number);
    add_text(from);
}

void
redis_name(const char *function, const char *keys)
{
    size_t from = rq.text.len;

    buf_addf(&rq.text, "%s_%s", self.conf.redis_prefix, function);
    add_text(from);
    redis_add(keys);
}

static void
add_stream(unsigned shard)
{
    size_t from = rq.text.len;

    buf_addf(&rq.text, "%s:events:%u", self.conf.redis_prefix, shard);
    add_text(from);
}

/* A function touches several keys of its hash slot, and none of them may lie on
 * another node. So two keys are declared: one that never exists, and the
 * stream. While the slot moves to another node, one of a pair is always missing
 * and Redis answers TRYAGAIN, on both nodes, until all keys have moved. With a
 * single key it would run the function where the others are not. */
void
redis_stream(unsigned shard)
{
    add_stream(shard);
    redis_key(shard, "never", "there");
}

void
redis_key(unsigned shard, const char *what, const char *name)
{
    size_t from = rq.text.len;

    buf_addf(&rq.text, "{%s:events:%u}:%s:%s", self.conf.redis_prefix, shard,
        what, name);
    add_text(from);
}

void
redis_identity(unsigned shard, const char *identity, size_t len)
{
    size_t from = rq.text.len;

    buf_addf(&rq.text, "{%s:events:%u}", self.conf.redis_prefix, shard);
    buf_add(&rq.text, identity, len);
    add_text(from);
    add_stream(shard);
}

/* From here on the text does not move. */
static void
point_at_text(void)
{
    for (int i = 0; i < rq.n; i++)
        if (rq.at[i] != SIZE_MAX)
            rq.argv[i] = rq.text.p + rq.at[i];
}

bool
redis_issue(redisAsyncContext *ac, redisCallbackFn *fn, void *data)
{
    if (rq.overflow || rq.text.overflow)
        return false;
    point_at_text();
    return redisAsyncCommandArgv(ac, fn, data, rq.n, rq.argv, rq.len) ==
        REDIS_OK;
}

bool
redis_format(char **text, int *len)
{
    if (rq.overflow || rq.text.overflow)
        return false;
    point_at_text();
    *len = (int)redisFormatCommandArgv(text, rq.n, rq.argv, rq.len);
    return *len > 0;
}
