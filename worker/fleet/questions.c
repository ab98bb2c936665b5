/* questions: the state in Redis of questions to the platform. See
 * questions.h. */
#include "fleet/questions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/up.h"
#include "fleet/redis.h"
#include "fleet/shards.h"

bool
questions_reachable(const char *identity, size_t len)
{
    if (!redis_on())
        return false;
    unsigned shard = redis_shard(identity, len);
    return redis_ready(shard) && shards[shard].alive;
}

void
questions_token(char *out, size_t size, const char *id)
{
    snprintf(out, size, "%s/%s/%s", shards_owner(), shards_incarnation(), id);
}

static void
begin(const char *function, const char *identity, size_t len, const char *token)
{
    redis_begin("FCALL");
    redis_name(function, "2");
    redis_identity(redis_shard(identity, len), identity, len);
    redis_add(token);
}

static void
closed_cb(void *ctx, const struct redis_value *v)
{
    char  *token = ctx;
    size_t len = 0;

    if (v == NULL || redis_error(v) != NULL) {
        up_question_closed(token, QUESTION_CLOSED_UNREACHED, NULL, 0);
    } else {
        const char *payload = redis_text(redis_at(v, 1), &len);
        up_question_closed(token,
            redis_is(redis_at(v, 0), "taken") ? QUESTION_CLOSED_TAKEN
                : redis_is(redis_at(v, 0), "moved")
                ? QUESTION_CLOSED_MOVED
                : QUESTION_CLOSED_UNANSWERED,
            payload, len);
    }
    free(token);
}

bool
questions_close(const char *identity, size_t len, const char *token)
{
    char *mine = strdup(token);

    if (mine == NULL)
        return false;
    begin("close", identity, len, token);
    if (redis_send(redis_shard(identity, len), closed_cb, mine))
        return true;
    free(mine);
    return false;
}

static void
reopened_cb(void *ctx, const struct redis_value *v)
{
    (void)ctx;
    (void)v;
}

void
questions_reopen(
    const char *identity, size_t len, const char *token, const char *why)
{
    begin("reopen", identity, len, token);
    redis_add(why);
    redis_send(redis_shard(identity, len), reopened_cb, NULL);
}
