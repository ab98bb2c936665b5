/* inbox: entries from other gateways and the platform. See inbox.h. */
#include "fleet/inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "fleet/call_queue.h"
#include "fleet/claim.h"
#include "fleet/redis.h"
#include "fleet/shards.h"
#include "journal_line.h"
#include "log.h"
#include "number.h"

#define POLL_MS 100   /* ms between polls, in a cluster */
#define BLOCK_MS 5000 /* ms that an XREAD may wait, outside a cluster */
#define BATCH 200     /* entries of one XREAD */

/* The stream of one shard. */
struct inbox {
    char     last[48];   /* id of the last entry seen; "" before inbox_resume */
    uint32_t poll_round; /* the shard's round when a poll went out; 0: none */
    uint32_t poll_ms;    /* when that poll was sent */
};

struct poll {
    unsigned shard;
    uint32_t round;
};

static struct inbox *inboxes; /* by shard */
static bool          closed;

/* Empty if the entry has no such field. */
static const struct redis_value *
entry_value(const struct redis_value *fields, const char *name)
{
    size_t i = 0, n = redis_count(fields);

    while (i + 1 < n && !redis_is(redis_at(fields, i), name))
        i += 2;
    return redis_at(fields, i + 1 < n ? i + 1 : n);
}

static const char *
entry_field(const struct redis_value *fields, const char *name, size_t *len)
{
    return redis_text(entry_value(fields, name), len);
}

static void
handle_entry(const struct redis_value *fields)
{
    size_t       len, n;
    const char  *what = entry_field(fields, "what", &n);
    const char  *id = entry_field(fields, "identity", &len);
    struct conn *c = claim_find_conn(id, len);

    if (strcmp(what, "command") == 0) {
        if (c != NULL)
            call_queue_wake(c);
    } else if (strcmp(what, "replaced") == 0) {
        struct claim *claim = c ? claim_of(c) : NULL;
        uint64_t      epoch =
            redis_u64(entry_value(fields, "epoch"), JOURNAL_NUMBER_MAX);
        if (claim != NULL && claim->epoch != 0 && claim->epoch < epoch) {
            log_info("%.*s connected to gateway %s; its connection here ends",
                (int)len, id, entry_field(fields, "by", &n));
            claim->epoch = 0; /* another gateway has the session now: nothing to
                                 release */
            up_replaced(c);
        }
    } else if (strcmp(what, "answer") == 0) {
        const char *payload = entry_field(fields, "payload", &n);
        size_t      token_len;
        const char *token = entry_field(fields, "token", &token_len);
        up_platform_answered(token, payload, n);
    } else if (strcmp(what, "moved") == 0) {
        up_question_closed(
            entry_field(fields, "token", &n), QUESTION_CLOSED_MOVED, NULL, 0);
    }
}

/* The answer to XREAD: streams with their entries. */
static void
take_entries(const struct redis_value *v)
{
    for (size_t i = 0; i < redis_count(v); i++) {
        const struct redis_value *stream = redis_at(v, i),
                                 *entries = redis_at(stream, 1);
        size_t      n = redis_count(entries);
        const char *key = redis_text(redis_at(stream, 0), NULL);
        const char *at = strstr(key, ":events:");
        uint64_t    shard = 0;
        if (n == 0 ||
            (at != NULL &&
                !number_u64(
                    at + 8, number_digits(at + 8), redis_shards() - 1, &shard)))
            continue;
        snprintf(inboxes[shard].last, sizeof inboxes[shard].last, "%s",
            redis_text(redis_at(redis_at(entries, n - 1), 0), NULL));
        for (size_t k = 0; k < n; k++)
            handle_entry(redis_at(redis_at(entries, k), 1));
    }
}

static void
read_inboxes(unsigned first, unsigned n, bool block)
{
    redis_begin("XREAD");
    redis_add("COUNT");
    redis_addu(BATCH);
    if (block) {
        redis_add("BLOCK");
        redis_addu(BLOCK_MS);
    }
    redis_add("STREAMS");
    for (unsigned i = first; i < first + n; i++)
        redis_key(i, "inbox", shards_owner());
    for (unsigned i = first; i < first + n; i++)
        redis_add(inboxes[i].last[0] ? inboxes[i].last : "$");
}

static void
waited_cb(void *ctx, const struct redis_value *v)
{
    (void)ctx;
    if (v == NULL)
        return; /* inbox_listen() is called when the connection is back */
    if (redis_error(v) == NULL)
        take_entries(v);
    inbox_listen();
}

static void
polled_cb(void *ctx, const struct redis_value *v)
{
    struct poll  *p = ctx;
    struct inbox *box = &inboxes[p->shard];

    if (box->poll_round == p->round) {
        box->poll_round = 0;
        if (v != NULL && redis_error(v) == NULL)
            take_entries(v);
    }
    free(p);
}

void
inbox_open(void)
{
    inboxes = calloc(redis_shards(), sizeof *inboxes);
    if (inboxes == NULL) {
        log_error("no memory for redis.shards = %u; this worker ends",
            redis_shards());
        exit(1);
    }
}

void
inbox_listen(void)
{
    if (redis_is_cluster() || closed)
        return;
    for (unsigned i = 0; i < redis_shards(); i++)
        if (inboxes[i].last[0] == '\0')
            return; /* inbox_resume() calls again */
    read_inboxes(0, redis_shards(), true);
    redis_send_waiting(waited_cb, NULL, BLOCK_MS);
}

void
inbox_tick(unsigned shard)
{
    struct inbox *box = &inboxes[shard];
    uint32_t      round = shards[shard].round;

    if (!redis_is_cluster() || closed || box->poll_round == round ||
        self.now_ms - box->poll_ms < POLL_MS)
        return;
    box->poll_ms = self.now_ms;
    struct poll *p = malloc(sizeof *p);
    if (p == NULL)
        return;
    *p = (struct poll){shard, round};
    read_inboxes(shard, 1, false);
    if (redis_send(shard, polled_cb, p))
        box->poll_round = round;
    else
        free(p);
}

/* True if stream id x is older than y. */
static bool
is_older(const char *x, const char *y)
{
    char              *xe, *ye;
    unsigned long long xm = strtoull(x, &xe, 10), ym = strtoull(y, &ye, 10);

    if (xm != ym)
        return xm < ym;
    return (*xe ? strtoull(xe + 1, NULL, 10) : 0) <
        (*ye ? strtoull(ye + 1, NULL, 10) : 0);
}

void
inbox_resume(unsigned shard, const char *last)
{
    struct inbox *box = &inboxes[shard];
    bool          first = box->last[0] == '\0';

    if (first || is_older(last, box->last))
        snprintf(box->last, sizeof box->last, "%s", last);
    if (first)
        inbox_listen();
}

void
inbox_close(void)
{
    closed = true;
}

/* --- the move to another process ----------------------------------------- */

void
inbox_put(struct buf *out)
{
    for (unsigned i = 0; i < redis_shards(); i++) {
        if (inboxes[i].last[0] == '\0')
            continue;
        fields_begin(out, "inbox");
        fields_put_u64(out, "shard", i);
        fields_put_str(out, "at", inboxes[i].last);
        fields_end(out);
    }
}

bool
inbox_take(struct fields *f)
{
    if (strcmp(f->word, "inbox") != 0)
        return false;
    uint64_t    i = fields_u64(f, "shard", UINT64_MAX, UINT64_MAX);
    const char *at = fields_str(f, "at", sizeof inboxes[0].last - 1);
    if (inboxes != NULL && i < redis_shards() &&
        at[strspn(at, "0123456789-")] == '\0')
        snprintf(inboxes[i].last, sizeof inboxes[i].last, "%s", at);
    return true;
}
