/* ship_journey: one journal on its way to Redis. See ship_journey.h. */
#include "fleet/ship_journey.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/self.h"
#include "fleet/redis.h"
#include "fleet/ship_age.h"
#include "fleet/ship_batch.h"
#include "fleet/ship_order.h"
#include "journal/journal.h"
#include "journal/journal_id.h"
#include "journal_dir.h"
#include "journal_line.h"
#include "log.h"

/* Bytes of one journal that are sent and not acknowledged. */
#define WINDOW_BYTES (2u << 20)
#define CHUNK_LINES 1024 /* lines read in one turn of the loop */
#define CHUNK_BYTES (1u << 20)
#define CHUNK_KEPT ((size_t)4 << 20) /* bytes of its memory that are kept */
#define GONE UINT32_MAX
/* Ms until the next try after an error; doubled with each further one. In a
 * cluster, a request fails whenever a slot begins or ends to move. */
#define PAUSE_MS 100
#define PAUSE_MAX_MS 1000

struct ship_sent { /* a batch; in order over all shards */
    struct ship_sent    *next;
    struct ship_journey *j;
    unsigned             shard;
    unsigned             round;
    uint64_t             first, last; /* numbers of the first and last event */
    uint64_t             first_ms;    /* time stamp of the first event */
    uint32_t             events, bytes;
};

/* Lines read from the files, before they are put into batches. Events of the
 * same shard are gathered, so that batches are large. */
static struct {
    struct buf text;
    unsigned   n;
    struct {
        size_t   at;
        uint32_t len;
        uint32_t shard;
        uint64_t number;
    } line[CHUNK_LINES];
} ck = {.text = {.max = CHUNK_BYTES + JOURNAL_LINE_MAX}};

/* The journal's name in Redis: NODE-ID/SLOT. */
static void
cursor_name(const struct ship_journey *j, char *out, size_t size)
{
    snprintf(out, size, "%s-%s/%u", self.shm->node, journal_id(), j->slot);
}

uint64_t
ship_journey_safe(const struct ship_journey *j)
{
    uint64_t n = j->read;

    for (const struct ship_sent *b = j->sent; b != NULL; b = b->next)
        if (b->first - 1 < n)
            n = b->first - 1;
    return n;
}

static void
remember(struct ship_journey *j)
{
    if (!j->going)
        return;
    j->hint.all = ship_journey_safe(j);
    for (unsigned i = 0; i < redis_shards(); i++)
        j->hint.of[i] = j->lanes[i].acked;
}

void
ship_journey_write_hint(struct ship_journey *j)
{
    remember(j);
    ship_hint_write(&j->hint);
}

/* --- sending ------------------------------------------------------------- */

void
ship_journey_stop(struct ship_journey *j, bool failed)
{
    remember(j);
    j->round++;
    j->going = j->asking = false;
    /* Another server may have fewer events than the one before, for example a
     * replica that lagged. Until the cursors are known, no event counts as
     * shipped, so events of other journals that must follow wait. */
    j->floor = 0;
    if (j->own)
        atomic_store(&self.mem->ship_floor, 0);
    j->failed = failed;
    j->failed_ms = self.now_ms;
    if (failed)
        j->pause_ms = j->pause_ms == 0       ? PAUSE_MS
            : j->pause_ms < PAUSE_MAX_MS / 2 ? 2 * j->pause_ms
                                             : PAUSE_MAX_MS;
    j->window = 0;
    if (j->sent != NULL)
        j->waiting_ms = j->sent->first_ms;
    /* Batches without an answer are freed when their answers come, and are not
       counted any more. */
    j->sent = NULL;
    j->sent_last = &j->sent;
    if (j->files != NULL)
        journal_dir_close(j->files);
    j->files = NULL;
}

static void
shipped_cb(void *ctx, const struct redis_value *v)
{
    struct ship_sent    *b = ctx;
    struct ship_journey *j = b->j;

    if (b->round != j->round) {
        free(b);
        return;
    }
    if (v != NULL && redis_error(v) == NULL &&
        redis_u64(redis_at(v, 0), 1) == 1) {
        /* Answers of several servers may overtake each other. */
        for (struct ship_sent **p = &j->sent; *p != NULL; p = &(*p)->next)
            if (*p == b) {
                *p = b->next;
                if (j->sent_last == &b->next)
                    j->sent_last = p;
                break;
            }
        j->window -= b->bytes;
        j->pause_ms = 0;
        STAT_ADD(self.st, shipped, b->events);
        STAT_ADD(self.st, shipped_bytes, b->bytes);
        j->lanes[b->shard].acked = b->last;
        if (j->sent == NULL) /* the next batch is not older */
            j->waiting_ms = b->first_ms;
        journal_keep(j->slot, ship_journey_safe(j) + 1);
        j->stirred = true;
    } else {
        bool error = v != NULL && redis_error(v) != NULL;
        if (v != NULL) {
            STAT_INC(self.st, ship_restarts);
            if (error)
                log_debug("shipping stops: %s", redis_error(v));
            else
                log_warn(
                    "shipping of journal %u to shard %u goes back to event "
                    "%016" PRIx64 ": Redis has another cursor",
                    j->slot, b->shard, redis_u64(redis_at(v, 1), UINT64_MAX));
        }
        ship_journey_stop(
            j, error); /* this batch counts as one that did not arrive */
    }
    free(b);
}

/* Sends the batch that was built. */
static bool
flush(struct ship_journey *j, unsigned shard)
{
    struct ship_lane            *lane = &j->lanes[shard];
    const struct ship_batch_sum *sum = ship_batch_sum();
    char                         journal[64];

    if (sum->events == 0)
        return true;
    struct ship_sent *b = calloc(1, sizeof *b);
    if (b == NULL)
        return false;
    *b = (struct ship_sent){.j = j,
        .shard = shard,
        .round = j->round,
        .first = sum->first,
        .last = sum->last,
        .first_ms = sum->first_ms,
        .events = sum->events,
        .bytes = sum->bytes};
    cursor_name(j, journal, sizeof journal);
    if (!ship_batch_send(shard, journal, lane->cursor, shipped_cb, b)) {
        free(b);
        return false;
    }
    lane->cursor = b->last;
    j->window += b->bytes;
    *j->sent_last = b;
    j->sent_last = &b->next;
    ship_batch_clear();
    return true;
}

static void
no_event(const struct ship_journey *j, uint64_t number)
{
    log_error("line %016" PRIx64
              " of journal %u is not an event and is not shipped",
        number, j->slot);
}

/* Reads the next lines that are not in the chunk yet. False if there is no
 * memory. */
static bool
read_chunk(struct ship_journey *j, uint64_t *last)
{
    uint64_t            below = j->own ? journal_committed() + 1 : UINT64_MAX;
    struct journal_line line;

    ck.n = 0;
    j->blocked = 0;
    if (ck.text.cap > CHUNK_KEPT)
        buf_free(&ck.text);
    buf_clear(&ck.text);
    *last = j->read;
    while (ck.n < CHUNK_LINES && ck.text.len < CHUNK_BYTES &&
        j->window + ck.text.len < WINDOW_BYTES &&
        journal_dir_next(j->files, below, &line)) {
        unsigned shard = 0;
        if (ship_order_waits(j->slot, j->own, &line)) {
            journal_dir_again(j->files);
            j->blocked = line.number;
            break;
        }
        if (!ship_batch_shard(line.p, line.len, &shard)) {
            no_event(j, line.number);
        } else if (line.number > j->lanes[shard].begin &&
            line.number > j->lanes[shard].cursor) {
            if (!buf_add(&ck.text, line.p, line.len))
                return false;
            ck.line[ck.n].at = ck.text.len - line.len;
            ck.line[ck.n].len = (uint32_t)line.len;
            ck.line[ck.n].shard = shard;
            ck.line[ck.n++].number = line.number;
        }
        *last = line.number;
    }
    return true;
}

/* Sends the lines of one shard, from line i on. */
static bool
send_shard(struct ship_journey *j, unsigned i)
{
    unsigned shard = ck.line[i].shard;

    ship_batch_clear();
    for (; i < ck.n; i++) {
        if (ck.line[i].shard != shard)
            continue;
        ck.line[i].shard = GONE;
        if (ship_batch_full() && !flush(j, shard))
            return false;
        switch (ship_batch_add(
            ck.text.p + ck.line[i].at, ck.line[i].len, ck.line[i].number)) {
        case BATCH_ADDED:
            break;
        case BATCH_NO_EVENT:
            no_event(j, ck.line[i].number);
            break;
        case BATCH_NO_MEMORY:
            return false;
        }
    }
    return flush(j, shard);
}

bool
ship_journey_advance(struct ship_journey *j)
{
    struct buf why = BUF_INIT(1024);
    uint64_t   last = j->read;

    if (j->window >= WINDOW_BYTES || redis_troubled())
        return false;
    if (!journal_dir_refresh(j->files, &why)) {
        log_error("journal %u is not shipped to Redis: %s; trying again",
            j->slot, buf_cstr(&why));
        buf_free(&why);
        ship_journey_stop(j, true);
        return false;
    }
    bool ok = read_chunk(j, &last);
    for (unsigned i = 0; ok && i < ck.n; i++)
        if (ck.line[i].shard != GONE)
            ok = send_shard(j, i);
    if (!ok) {
        ship_journey_stop(
            j, true); /* lines that were read but not sent are read again */
        return false;
    }
    bool none = last == j->read;
    bool waits = j->blocked != 0;
    j->read = last;
    while (journal_dir_trouble(j->files, &why) ||
        journal_dir_damaged(j->files, &why)) {
        log_error("shipping journal %u: %s", j->slot, buf_cstr(&why));
        buf_clear(&why);
    }
    STAT_ADD(self.st, journal_damaged, journal_dir_bad(j->files) - j->damaged);
    j->damaged = journal_dir_bad(j->files);
    buf_free(&why);
    if (!none) {
        j->stirred = true;
    } else if (j->own && j->sent == NULL) {
        j->waiting_ms = 0;
    } else if (!j->own && j->sent == NULL && j->blocked == 0) {
        log_info(
            "the journal of slot %u, which has no worker any more, is shipped",
            j->slot);
        ship_journey_write_hint(j);
        ship_journey_stop(j, false);
        j->ended = true;
    }
    return waits;
}

/* --- cursors ------------------------------------------------------------- */

static void
begin(struct ship_journey *j)
{
    struct buf              why = BUF_INIT(1024);
    struct journal_dir_want want = {.slot = (int)j->slot, .from = UINT64_MAX};

    for (unsigned i = 0; i < redis_shards(); i++) {
        struct ship_lane *lane = &j->lanes[i];
        /* A shard without a cursor never had an event, or Redis has lost all
         * its data. */
        lane->acked = lane->cursor;
        if (lane->cursor == 0 && j->hint.unnamed) {
            lane->begin = j->hint.all;
        } else if (lane->cursor < j->hint.of[i]) {
            log_warn("Redis has lost events of shard %u behind %016" PRIx64
                     "; they are shipped again",
                i, lane->cursor);
            lane->begin = lane->cursor;
        } else {
            lane->begin =
                lane->cursor > j->hint.all ? lane->cursor : j->hint.all;
        }
        if (lane->begin + 1 < want.from)
            want.from = lane->begin + 1;
    }
    j->files = journal_dir_open(j->hint.dir, &want, &why);
    if (j->files == NULL) {
        log_error("journal %u is not shipped to Redis: %s; trying again",
            j->slot, buf_cstr(&why));
        ship_journey_stop(j, true);
    } else {
        j->going = true;
        j->damaged = 0;
        j->read = want.from - 1;
        journal_keep(j->slot, want.from);
        j->stirred = true;
        log_debug(
            "ships journal %u from event %016" PRIx64, j->slot, want.from);
    }
    buf_free(&why);
}

struct question {
    struct ship_journey *j;
    unsigned             shard, round;
};

/* Shipping tries again each second; the reason is logged once a minute. */
static void
log_cursor(unsigned slot, unsigned shard)
{
    static uint64_t logged_ms;

    if (logged_ms != 0 && self.now_ms - logged_ms < 60000)
        return;
    logged_ms = self.now_ms;
    log_error("the cursor of journal %u in shard %u of Redis is not the number "
              "of an event; nothing is shipped from there until the key "
              "{%s:events:%u}:cursor:... is repaired or deleted",
        slot, shard, self.conf.redis_prefix, shard);
}

static void
cursor_cb(void *ctx, const struct redis_value *v)
{
    struct question     *q = ctx;
    struct ship_journey *j = q->j;

    if (q->round == j->round) {
        uint64_t *cursor = &j->lanes[q->shard].cursor;
        if (v == NULL || redis_error(v) != NULL) {
            ship_journey_stop(j, true);
        } else if (!redis_number(v, JOURNAL_NUMBER_MAX, cursor)) {
            log_cursor(j->slot, q->shard);
            ship_journey_stop(j, true);
        } else {
            if (--j->missing == 0) {
                j->asking = false;
                begin(j);
            }
        }
    }
    free(q);
}

void
ship_journey_ask(struct ship_journey *j)
{
    char name[64];

    for (unsigned i = 0; i < redis_shards(); i++)
        if (!redis_ready(i))
            return;
    cursor_name(j, name, sizeof name);
    j->asking = true;
    j->failed = false;
    j->missing = redis_shards();
    for (unsigned i = 0; i < redis_shards(); i++) {
        struct question *q = malloc(sizeof *q);
        redis_begin("GET");
        redis_key(i, "cursor", name);
        if (q == NULL) {
            ship_journey_stop(j, true);
            return;
        }
        *q = (struct question){j, i, j->round};
        if (!redis_send(i, cursor_cb, q)) {
            free(q);
            ship_journey_stop(j, true);
            return;
        }
    }
}

/* The age of events that waited before this worker started. */
static void
age_cb(void *ctx, uint64_t ms)
{
    struct ship_journey *j = ctx;

    if (!j->going && (j->waiting_ms == 0 || ms < j->waiting_ms))
        j->waiting_ms = ms;
}

struct ship_journey *
ship_journey_new(const char *dir, unsigned slot, bool own)
{
    struct ship_journey *j = calloc(1, sizeof *j);

    if (j == NULL ||
        (j->lanes = calloc(redis_shards(), sizeof *j->lanes)) == NULL ||
        !ship_hint_open(&j->hint, dir, slot)) {
        log_error("no memory for shipping journal %u: its events wait there "
                  "until this worker is started again",
            slot);
        if (j != NULL)
            free(j->lanes);
        free(j);
        return NULL;
    }
    j->slot = slot;
    j->own = own;
    j->sent_last = &j->sent;
    journal_keep(slot, 0);
    if (!own || journal_committed() > j->hint.all)
        ship_age_find(dir, slot, j->hint.all + 1, age_cb, j);
    return j;
}

uint64_t
ship_journey_lag_ms(const struct ship_journey *j)
{
    uint64_t all = j->going ? ship_journey_safe(j) : j->hint.all;
    uint64_t oldest = j->sent ? j->sent->first_ms : j->waiting_ms;

    if (j->own ? journal_committed() <= all : oldest == 0)
        return 0;
    return oldest != 0 && self.wall_ms > oldest ? self.wall_ms - oldest : 1;
}
