/* platform: the questions that wait for the platform's answer. See
 * platform.h. */
#include "session/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "hash.h"
#include "ocpp/dialect.h"

#define HASH_TOKEN UINT64_C(0x717565)
#define BUCKETS 4096 /* a power of two */

static struct question *bucket[BUCKETS]; /* by token */
static struct question *oldest, *newest;
static size_t           bytes; /* total size of all frames and answers */

/* The length of the token without its number: this part is the same when a
 * message is sent again. */
static size_t
stem_len(const char *token)
{
    const char *last = strrchr(token, '/');

    return (last != NULL ? (size_t)(last - token) : 0) +
        strcspn(last != NULL ? last : token, ".");
}

static struct question **
bucket_of(const char *token)
{
    return &bucket[hash_keyed(&self.registry->key, HASH_TOKEN, token,
                       stem_len(token)) &
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

/* Inserts q into its bucket, and at the end of the list by age. */
static void
enter(struct question *q)
{
    struct question **b = bucket_of(q->token);

    q->next = *b;
    *b = q;
    q->earlier = newest;
    if (newest != NULL)
        newest->later = q;
    else
        oldest = q;
    newest = q;
    STAT_INC(self.st, platform_waiting);
}

struct question *
platform_put(uint64_t number, const char *token, const struct conn *c,
    const char *frame, size_t len)
{
    struct question *q = calloc(1, sizeof *q);
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
    enter(q);
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
platform_find_same(const char *identity, size_t len, const char *token)
{
    struct question *q = *bucket_of(token);
    size_t           n = stem_len(token);

    while (q != NULL &&
        (stem_len(q->token) != n || memcmp(q->token, token, n) != 0 ||
            q->identity_len != len || memcmp(q->identity, identity, len) != 0))
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

/* --- the move to another process ----------------------------------------- */

/* The state is written as a number: the order of enum question_state. A close
 * that is in progress is asked for again. */
void
platform_write(struct buf *out)
{
    for (const struct question *q = oldest; q != NULL; q = q->later) {
        fields_begin(out, "question");
        fields_put_u64(out, "number", q->number);
        fields_put_str(out, "token", q->token);
        fields_put_u64(out, "since", q->since_us);
        fields_put_u64(out, "age", (uint32_t)(self.now_ms - q->since_ms));
        fields_put_u64(out, "state",
            q->state == QUESTION_CLOSING ? QUESTION_OPEN : q->state);
        fields_put_u64(out, "about_token", q->about_token);
        fields_put_u64(out, "starts", q->starts);
        fields_put_str(out, "protocol", dialects[q->protocol].name);
        fields_put_bytes(out, "identity", q->identity, q->identity_len);
        fields_put_u64(out, "conn", q->conn);
        fields_put_u64(out, "generation", q->generation);
        fields_put_list(out, "fingerprint", q->fingerprint, 2);
        fields_put_u64(out, "deviations", q->deviations);
        fields_put_bytes(out, "frame", q->frame, q->frame_len);
        if (q->answer != NULL)
            fields_put_bytes(out, "answer", q->answer, q->answer_len);
        fields_end(out);
    }
}

static bool
take_texts(struct question *q, struct fields *f)
{
    const struct field *frame = fields_find(f, "frame");
    const struct field *answer = fields_find(f, "answer");

    if (frame == NULL ||
        !copy(&q->frame, &q->frame_len, frame->value, frame->len))
        return false;
    if (answer != NULL &&
        !copy(&q->answer, &q->answer_len, answer->value, answer->len))
        return false;
    return (q->state != QUESTION_ANSWERED) == (answer == NULL);
}

static bool
fill(struct question *q, struct fields *f)
{
    const char         *protocol = fields_str(f, "protocol", 32);
    const struct field *identity = fields_find(f, "identity");

    while (q->protocol < DIALECTS &&
        strcmp(dialects[q->protocol].name, protocol) != 0)
        q->protocol++;
    if (q->protocol == DIALECTS || identity == NULL || identity->len == 0 ||
        identity->len > sizeof q->identity)
        return false;
    q->identity_len = (uint8_t)identity->len;
    memcpy(q->identity, identity->value, identity->len);
    q->entry = registry_find(self.registry, q->identity, q->identity_len, true);
    q->number = fields_u64(f, "number", 0, UINT64_MAX);
    q->since_us = fields_u64(f, "since", self.now_us, self.now_us);
    q->since_ms = self.now_ms - (uint32_t)fields_u64(f, "age", 0, UINT32_MAX);
    q->state = (uint8_t)fields_u64(f, "state", 0, QUESTION_OVER);
    q->about_token = fields_bool(f, "about_token", false);
    q->starts = fields_bool(f, "starts", false);
    q->conn = fields_u64(f, "conn", 0, UINT64_MAX);
    q->generation = fields_u64(f, "generation", 0, UINT64_MAX);
    q->deviations = fields_u64(f, "deviations", 0, UINT64_MAX);
    fields_list(f, "fingerprint", q->fingerprint, 2);
    snprintf(q->token, sizeof q->token, "%s",
        fields_str(f, "token", sizeof q->token - 1));
    return q->token[0] != '\0' && q->entry != REGISTRY_NONE &&
        take_texts(q, f) && f->bad == NULL;
}

bool
platform_read(struct fields *f)
{
    if (strcmp(f->word, "question") != 0)
        return false;
    struct question *q = calloc(1, sizeof *q);
    if (q != NULL && fill(q, f) && platform_find(q->token) == NULL) {
        enter(q);
        return true;
    }
    if (q != NULL) {
        bytes -= q->frame_len + q->answer_len;
        free(q->frame);
        free(q->answer);
        free(q);
    }
    return true;
}

void
platform_rename(cref former, cref name)
{
    for (struct question *q = oldest; q != NULL; q = q->later)
        if (q->conn == former)
            q->conn = name;
}

bool
platform_has(const struct conn *c)
{
    for (const struct question *q = oldest; q != NULL; q = q->later)
        if (q->conn == c->self)
            return true;
    return false;
}
