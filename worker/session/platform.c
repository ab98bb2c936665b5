/* platform: the questions that wait for the platform's answer. See
 * platform.h. */
#include "session/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "base/self.h"

#define HASH_TOKEN UINT64_C(0x717565)
#define BUCKETS 4096 /* a power of two */

static struct question *bucket[BUCKETS]; /* by token */
static struct question *oldest, *newest;
static size_t           bytes; /* of all frames and answers */

static struct question **
bucket_of(const char *token)
{
    return &bucket[hash_keyed(
                       &self.registry->key, HASH_TOKEN, token, strlen(token)) &
        (BUCKETS - 1)];
}

static bool
copy(char **out, size_t *out_len, const char *p, size_t len)
{
    if (bytes + len - *out_len > self.conf.limits_buffer_memory)
        return false;
    char *mine = malloc(len + 1);
    if (mine == NULL)
        return false;
    memcpy(mine, p, len);
    bytes += len - *out_len;
    free(*out);
    *out = mine;
    *out_len = len;
    return true;
}

static void
set_conn(struct question *q, const struct conn *c)
{
    q->conn = c->self;
    q->generation = c->generation;
    q->protocol = c->session.protocol;
}

struct question *
platform_put(uint64_t number, const char *token, const struct conn *c,
    const char *frame, size_t len)
{
    struct question *q = calloc(1, sizeof *q), **b = bucket_of(token);
    size_t           name_len;

    if (q == NULL)
        return NULL;
    if (!copy(&q->frame, &q->frame_len, frame, len)) {
        free(q);
        return NULL;
    }
    const char *name =
        registry_name(self.registry, c->session.entry, &name_len);
    memcpy(q->identity, name, name_len);
    q->identity_len = (uint8_t)name_len;
    q->number = number;
    q->since_us = self.now_us;
    q->since_ms = self.now_ms;
    q->entry = c->session.entry;
    set_conn(q, c);
    snprintf(q->token, sizeof q->token, "%s", token);
    q->next = *b;
    *b = q;
    q->earlier = newest;
    if (newest != NULL)
        newest->later = q;
    else
        oldest = q;
    newest = q;
    STAT_INC(self.st, platform_waiting);
    return q;
}

bool
platform_replace(
    struct question *q, const struct conn *c, const char *frame, size_t len)
{
    if (!copy(&q->frame, &q->frame_len, frame, len))
        return false;
    set_conn(q, c);
    return true;
}

bool
platform_keep(struct question *q, const char *answer, size_t len)
{
    return copy(&q->answer, &q->answer_len, answer, len);
}

struct question *
platform_find(const char *token)
{
    struct question *q = *bucket_of(token);

    while (q != NULL && strcmp(q->token, token) != 0)
        q = q->next;
    return q;
}

struct question *
platform_oldest(void)
{
    return oldest;
}

struct question *
platform_next(const struct question *q)
{
    return q->later;
}

void
platform_remove(struct question *q)
{
    struct question **p = bucket_of(q->token);

    while (*p != q)
        p = &(*p)->next;
    *p = q->next;
    *(q->earlier ? &q->earlier->later : &oldest) = q->later;
    *(q->later ? &q->later->earlier : &newest) = q->earlier;
    bytes -= q->frame_len + q->answer_len;
    free(q->frame);
    free(q->answer);
    free(q);
    STAT_DEC(self.st, platform_waiting);
}
