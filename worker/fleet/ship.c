/* ship: sends the journal's events to Redis. See ship.h. */
#include "fleet/ship.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/self.h"
#include "fleet/redis.h"
#include "fleet/ship_batch.h"
#include "fleet/ship_hint.h"
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
#define RETRY_MS 1000 /* ms after an error */
#define AGAIN_S 0.002 /* the first look at an event that waits */
#define AGAIN_MAX_S 0.1
#define HINT_MS 5000 /* ms between writes of the hint */

struct sent { /* a batch; in order over all shards */
    struct sent    *next;
    struct journey *j;
    unsigned        shard;
    unsigned        round;
    uint64_t        first, last; /* numbers of the first and last event */
    uint64_t        first_ms;    /* time stamp of the first event */
    uint32_t        events, bytes;
};

/* The state of one journal and one shard's stream. */
struct lane {
    uint64_t cursor; /* last event sent */
    uint64_t acked;  /* last event that Redis has acknowledged */
    uint64_t begin;  /* events up to this number are in Redis already */
};

/* A journal that is being shipped. */
struct journey {
    struct journey *next;
    unsigned        slot;
    bool            own;    /* this worker's journal, which is still written */
    bool            asking; /* it waits for the cursors */
    bool            going;  /* the cursors are known */
    bool            ended;  /* a journal without a worker, all of which is in
                               Redis */
    unsigned round;         /* raised at each restart: answers of earlier
                               rounds are ignored */
    unsigned            missing; /* number of cursors that are not known yet */
    uint32_t            failed_ms;
    bool                failed;
    struct journal_dir *files;
    uint64_t            read; /* last event taken from the files */
    struct ship_hint    hint; /* the file with the events up to which it is
                                 shipped */
    uint64_t blocked;         /* the event that waits for another slot */
    uint64_t floor;           /* all events below are in Redis; other workers
                                 rely on it */
    uint64_t acked_ms;        /* time stamp of the newest event that Redis has
                                 acknowledged */
    uint64_t     damaged;     /* damaged lines of its files that were counted */
    uint32_t     window;      /* bytes sent and unanswered */
    struct sent *sent, **sent_last;
    struct lane *lanes; /* by shard */
};

static struct journey *journeys;

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

static char       dir[CONF_TEXT_MAX + 16];
static bool       poked;
static uint32_t   hint_ms;
static ev_prepare turn;
static ev_timer   again; /* an event waits for another slot */

/* The journal's name in Redis: NODE-ID/SLOT. */
static void
cursor_name(const struct journey *j, char *out, size_t size)
{
    snprintf(out, size, "%s-%s/%u", self.shm->node, journal_id(), j->slot);
}

/* The number up to which all events are acknowledged. */
static uint64_t
safe(const struct journey *j)
{
    uint64_t n = j->read;

    for (const struct sent *b = j->sent; b != NULL; b = b->next)
        if (b->first - 1 < n)
            n = b->first - 1;
    return n;
}

static void
remember(struct journey *j)
{
    if (!j->going)
        return;
    j->hint.all = safe(j);
    for (unsigned i = 0; i < redis_shards(); i++)
        j->hint.of[i] = j->lanes[i].acked;
}

static void
write_hint(struct journey *j)
{
    remember(j);
    ship_hint_write(&j->hint);
}

/* --- sending ------------------------------------------------------------- */

static void
stop(struct journey *j, bool failed)
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
    j->window = 0;
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
    struct sent    *b = ctx;
    struct journey *j = b->j;

    if (b->round != j->round) {
        free(b);
        return;
    }
    if (v != NULL && redis_error(v) == NULL &&
        redis_u64(redis_at(v, 0), 1) == 1) {
        /* Answers of several servers may overtake each other. */
        for (struct sent **p = &j->sent; *p != NULL; p = &(*p)->next)
            if (*p == b) {
                *p = b->next;
                if (j->sent_last == &b->next)
                    j->sent_last = p;
                break;
            }
        j->window -= b->bytes;
        STAT_ADD(self.st, shipped, b->events);
        STAT_ADD(self.st, shipped_bytes, b->bytes);
        j->lanes[b->shard].acked = b->last;
        if (b->first_ms > j->acked_ms)
            j->acked_ms = b->first_ms;
        journal_keep(j->slot, safe(j) + 1);
        poked = true;
    } else {
        bool error = v != NULL && redis_error(v) != NULL;
        if (v != NULL) {
            STAT_INC(self.st, ship_restarts);
            if (error)
                log_debug("shipping stops: %s", redis_error(v));
            else
                log_warn(
                    "shipping of journal %u to shard %u goes back to event %016" PRIx64
                    ": Redis has another cursor",
                    j->slot, b->shard, redis_u64(redis_at(v, 1), UINT64_MAX));
        }
        stop(j, error); /* this batch counts among those that did not arrive */
    }
    free(b);
}

/* Sends the batch that was built. */
static bool
flush(struct journey *j, unsigned shard)
{
    struct lane                 *lane = &j->lanes[shard];
    const struct ship_batch_sum *sum = ship_batch_sum();
    char                         journal[64];

    if (sum->events == 0)
        return true;
    struct sent *b = calloc(1, sizeof *b);
    if (b == NULL)
        return false;
    *b = (struct sent){.j = j,
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
no_event(const struct journey *j, uint64_t number)
{
    log_error("line %016" PRIx64
              " of journal %u is not an event and is not shipped",
        number, j->slot);
}

/* True if the events of a slot with numbers below this one are in Redis. Other
 * journals do not wait for a slot that stays down, whose journal is shipped
 * when it works again. */
static bool
is_shipped(unsigned slot, uint64_t below)
{
    if (slot >= self.shm->slots)
        return atomic_load(&self.shm->orphans_floor) >= below;
    const struct shm_worker *w = shm_worker(self.shm, slot);
    return atomic_load(&w->ship_floor) >= below ||
        atomic_load(&w->state) == SHM_WORKER_FAILED;
}

/* True if the event must wait for one of another journal that is not in Redis
 * yet. That one has a lower number, so the lowest of all events that are not
 * shipped never waits. */
static bool
must_wait(const struct journey *j, const struct journal_line *line)
{
    unsigned slot;
    uint64_t number;

    if (!journal_line_after(line, &slot, &number) || number > line->number)
        return false;
    if (slot != JOURNAL_AFTER_ALL)
        return slot != j->slot && !is_shipped(slot, number + 1);
    /* All events below the number. It may be the line's own: the first number
     * that the start of the daemon has drawn. */
    for (slot = 0; slot <= self.shm->slots; slot++)
        if (slot != j->slot && !(slot == self.shm->slots && !j->own) &&
            !is_shipped(slot, number))
            return true;
    return false;
}

/* Publishes the floor on which other workers rely. */
static void
store_floors(void)
{
    uint64_t orphans = UINT64_MAX;

    for (struct journey *j = journeys; j != NULL; j = j->next) {
        if (j->going)
            j->floor =
                j->sent == NULL && j->blocked != 0 ? j->blocked : safe(j) + 1;
        if (!j->own && !j->ended && j->floor < orphans)
            orphans = j->floor;
        if (j->own && j->going)
            atomic_store(&self.mem->ship_floor,
                j->sent == NULL && j->read >= journal_committed() &&
                        self.mem->journal_floor == UINT64_MAX
                    ? UINT64_MAX
                    : j->floor);
    }
    if (self.slot == 0)
        atomic_store(&self.shm->orphans_floor, orphans);
}

static void
again_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
    poked = true;
}

/* An event waits for another slot, whose events may take long. same: it waited
 * at the last look, too. */
static void
look_again(bool same)
{
    static double after_s;

    if (ev_is_active(&again))
        return;
    after_s = !same             ? AGAIN_S
        : after_s < AGAIN_MAX_S ? after_s * 2
                                : AGAIN_MAX_S;
    /* A timer that has expired keeps no time of its own. */
    ev_timer_set(&again, after_s, 0);
    ev_timer_start(self.loop, &again);
}

/* Reads the next lines that are not there yet. False without memory. */
static bool
read_chunk(struct journey *j, uint64_t *last)
{
    uint64_t            below = j->own ? journal_committed() + 1 : UINT64_MAX;
    uint64_t            blocked = j->blocked;
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
        if (must_wait(j, &line)) {
            journal_dir_again(j->files);
            j->blocked = line.number;
            look_again(line.number == blocked);
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
send_shard(struct journey *j, unsigned i)
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

/* Reads more lines and sends them, as far as the window allows. */
static void
advance(struct journey *j)
{
    struct buf why = BUF_INIT(1024);
    uint64_t   last = j->read;

    if (j->window >= WINDOW_BYTES || redis_troubled())
        return;
    if (!journal_dir_refresh(j->files, &why)) {
        log_error("cannot ship: %s", buf_cstr(&why));
        buf_free(&why);
        stop(j, true);
        return;
    }
    bool ok = read_chunk(j, &last);
    for (unsigned i = 0; ok && i < ck.n; i++)
        if (ck.line[i].shard != GONE)
            ok = send_shard(j, i);
    if (!ok) {
        stop(j, true); /* lines that were read and not sent are read again */
        return;
    }
    bool none = last == j->read;
    j->read = last;
    while (journal_dir_trouble(j->files, &why) ||
        journal_dir_damaged(j->files, &why)) {
        log_error("shipping: %s", buf_cstr(&why));
        buf_clear(&why);
    }
    STAT_ADD(self.st, journal_damaged, journal_dir_bad(j->files) - j->damaged);
    j->damaged = journal_dir_bad(j->files);
    buf_free(&why);
    if (!none) {
        poked = true;
    } else if (j->own && j->sent == NULL) {
        j->acked_ms = self.wall_ms; /* nothing waits */
    } else if (!j->own && j->sent == NULL && j->blocked == 0) {
        log_info(
            "the journal of slot %u, which has no worker any more, is shipped",
            j->slot);
        write_hint(j);
        stop(j, false);
        j->ended = true;
    }
}

/* --- cursors ------------------------------------------------------------- */

static void
begin(struct journey *j)
{
    struct buf              why = BUF_INIT(1024);
    struct journal_dir_want want = {.slot = (int)j->slot, .from = UINT64_MAX};

    for (unsigned i = 0; i < redis_shards(); i++) {
        struct lane *lane = &j->lanes[i];
        /* A shard without a cursor never had an event, or Redis has lost
           all. */
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
    j->files = journal_dir_open(dir, &want, &why);
    if (j->files == NULL) {
        log_error("cannot ship: %s", buf_cstr(&why));
        stop(j, true);
    } else {
        j->going = true;
        j->damaged = 0;
        j->read = want.from - 1;
        journal_keep(j->slot, want.from);
        poked = true;
        log_debug(
            "ships journal %u from event %016" PRIx64, j->slot, want.from);
    }
    buf_free(&why);
}

struct question {
    struct journey *j;
    unsigned        shard, round;
};

/* Shipping tries again each second; once a minute it says why. */
static void
log_cursor(unsigned slot, unsigned shard)
{
    static uint64_t logged_ms;

    if (logged_ms != 0 && self.now_ms - logged_ms < 60000)
        return;
    logged_ms = self.now_ms;
    log_error("Redis has a cursor of journal %u in shard %u that is no number "
              "of an event; nothing is shipped from there until the key "
              "{%s:events:%u}:cursor:... is repaired or deleted",
        slot, shard, self.conf.redis_prefix, shard);
}

static void
cursor_cb(void *ctx, const struct redis_value *v)
{
    struct question *q = ctx;
    struct journey  *j = q->j;

    if (q->round == j->round) {
        uint64_t *cursor = &j->lanes[q->shard].cursor;
        if (v == NULL || redis_error(v) != NULL) {
            stop(j, true);
        } else if (!redis_number(v, JOURNAL_NUMBER_MAX, cursor)) {
            log_cursor(j->slot, q->shard);
            stop(j, true);
        } else {
            if (--j->missing == 0) {
                j->asking = false;
                begin(j);
            }
        }
    }
    free(q);
}

static void
ask(struct journey *j)
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
            stop(j, true);
            return;
        }
        *q = (struct question){j, i, j->round};
        if (!redis_send(i, cursor_cb, q)) {
            free(q);
            stop(j, true);
            return;
        }
    }
}

/* --- the whole ----------------------------------------------------------- */

static struct journey *
add_journey(unsigned slot, bool own)
{
    struct journey *j = calloc(1, sizeof *j);

    if (j == NULL ||
        (j->lanes = calloc(redis_shards(), sizeof *j->lanes)) == NULL ||
        !ship_hint_open(&j->hint, dir, slot)) {
        log_error("no memory for shipping journal %u", slot);
        if (j != NULL)
            free(j->lanes);
        free(j);
        return NULL;
    }
    j->slot = slot;
    j->own = own;
    j->sent_last = &j->sent;
    j->next = journeys;
    journeys = j;
    journal_keep(slot, 0);
    return j;
}

static void
add_orphans(void)
{
    struct journal_dir_list list;
    int                     fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (journal_dir_find(fd, &list) == 0) {
        for (size_t i = 0; i < list.n; i++) {
            unsigned slot = list.v[i].slot;
            if (slot >= self.shm->slots &&
                (i == 0 || list.v[i - 1].slot != slot))
                add_journey(slot, false);
        }
        free(list.v);
    }
    close(fd);
}

static void
turn_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    if (!poked)
        return;
    poked = false;
    for (struct journey *j = journeys; j != NULL; j = j->next)
        if (j->going)
            advance(j);
    store_floors();
}

void
ship_open(void)
{
    if (!redis_on())
        return;
    snprintf(dir, sizeof dir, "%s/%s", self.conf.server_state_dir, JOURNAL_DIR);
    if (journal_id()[0] == '\0')
        return; /* reported when the worker started */
    if (self.slot == 0)
        add_orphans();
    add_journey(self.slot, true);
    store_floors();
    ev_init(&again, again_cb);
    ev_prepare_init(&turn, turn_cb);
    ev_prepare_start(self.loop, &turn);
}

void
ship_poke(void)
{
    poked = true;
}

void
ship_lost(void)
{
    for (struct journey *j = journeys; j != NULL; j = j->next)
        if (j->going || j->asking)
            stop(j, false);
}

void
ship_tick(void)
{
    uint64_t lag_ms = 0;

    for (struct journey *j = journeys; j != NULL; j = j->next) {
        if (j->ended)
            continue;
        if (!j->going && !j->asking &&
            (!j->failed || self.now_ms - j->failed_ms >= RETRY_MS))
            ask(j);
        if (self.now_ms - hint_ms >= HINT_MS)
            write_hint(j);
        if (!j->own)
            continue;
        uint64_t all = j->going ? safe(j) : j->hint.all;
        if (journal_committed() > all) {
            uint64_t oldest = j->sent ? j->sent->first_ms : j->acked_ms;
            if (oldest == 0)
                oldest = j->acked_ms = self.wall_ms; /* the age is counted from
                                                        now */
            lag_ms = self.wall_ms > oldest ? self.wall_ms - oldest : 0;
        }
    }
    if (self.now_ms - hint_ms >= HINT_MS)
        hint_ms = self.now_ms;
    STAT_SET(self.st, ship_lag_ms, lag_ms);
    poked = true;
}

bool
ship_idle(void)
{
    for (struct journey *j = journeys; j != NULL; j = j->next)
        if (j->own &&
            (!j->going || j->sent != NULL || j->read < journal_committed()))
            return false;
    return true;
}
