/* redis_value: an answer of Redis, or a part of one. See redis_value.h. */
#include "fleet/redis_value.h"

#include <stdio.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/self.h"
#include "log.h"
#include "number.h"

/* struct redis_value is hiredis' reply under another name, so that no other
 * file needs the header of hiredis.
 */
static const redisReply *
reply_of(const struct redis_value *v)
{
    return (const redisReply *)v;
}

const char *
redis_error(const struct redis_value *v)
{
    const redisReply *r = reply_of(v);

    return r->type == REDIS_REPLY_ERROR ? r->str : NULL;
}

const char *
redis_text(const struct redis_value *v, size_t *len)
{
    const redisReply *r = reply_of(v);
    bool              text = r->type == REDIS_REPLY_STRING ||
        r->type == REDIS_REPLY_STATUS || r->type == REDIS_REPLY_ERROR;

    if (len != NULL)
        *len = text ? r->len : 0;
    return text ? r->str : "";
}

bool
redis_is(const struct redis_value *v, const char *text)
{
    return strcmp(redis_text(v, NULL), text) == 0;
}

/* Reports a value in Redis that is out of range; logged at most once a
 * minute. */
static bool
unusable(const redisReply *r, uint64_t max)
{
    static uint64_t logged_ms;
    char            text[24];

    STAT_INC(self.st, redis_unusable);
    if (logged_ms != 0 && self.now_ms - logged_ms < 60000)
        return false;
    logged_ms = self.now_ms;
    snprintf(text, sizeof text, "%lld", r->integer);
    log_warn("redis: %.40s is not a number from 0 to %llu; it is "
             "ignored",
        r->type == REDIS_REPLY_INTEGER ? text
            : r->str                   ? r->str
                                       : "nothing",
        (unsigned long long)max);
    return false;
}

bool
redis_number(const struct redis_value *v, uint64_t max, uint64_t *out)
{
    const redisReply *r = reply_of(v);
    size_t            len;
    const char       *text = redis_text(v, &len);

    *out = 0;
    if (r->type == REDIS_REPLY_NIL)
        return true;
    if (r->type != REDIS_REPLY_INTEGER)
        return number_u64(text, len, max, out) || unusable(r, max);
    if (r->integer < 0 || (uint64_t)r->integer > max)
        return unusable(r, max);
    *out = (uint64_t)r->integer;
    return true;
}

uint64_t
redis_u64(const struct redis_value *v, uint64_t max)
{
    uint64_t n;

    redis_number(v, max, &n);
    return n;
}

size_t
redis_count(const struct redis_value *v)
{
    return reply_of(v)->type == REDIS_REPLY_ARRAY ? reply_of(v)->elements : 0;
}

const struct redis_value *
redis_at(const struct redis_value *v, size_t i)
{
    static const redisReply nil = {.type = REDIS_REPLY_NIL};
    const redisReply       *r = reply_of(v);

    if (r->type != REDIS_REPLY_ARRAY || i >= r->elements)
        return (const struct redis_value *)&nil;
    return (const struct redis_value *)r->element[i];
}
