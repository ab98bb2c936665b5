/* redis_value: an answer of Redis, or a part of one. See redis_value.h. */
#include "fleet/redis_value.h"

#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

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

int64_t
redis_int(const struct redis_value *v)
{
    const redisReply *r = reply_of(v);

    if (r->type == REDIS_REPLY_INTEGER)
        return r->integer;
    return strtoll(redis_text(v, NULL), NULL, 10);
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
