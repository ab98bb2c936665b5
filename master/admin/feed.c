/*
 * feed: events of the journal for a client of the HTTP API. See http.h.
 *
 * The cursor is the number at the beginning of an event's id, 16 hexadecimal
 * digits. No event with a number below the mark can be added any more, so a
 * client that continues after the last number it has received misses no event,
 * even if any of the programs was restarted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/http.h"
#include "base/master.h"
#include "clock.h"
#include "event.h"
#include "journal_dir.h"
#include "near.h"
#include "since.h"
#include "writer.h"

/* us by which a cursor may be ahead of the clock and of all events. */
#define AHEAD_US 3600000000u
#define LOOK_MS 200 /* between two looks at the journal */
#define CHUNK (64u << 10)
/* A reader that always has more to read must take SLOW_BYTES in SLOW_MS;
 * otherwise the feed ends. */
#define SLOW_MS 10000
#define SLOW_BYTES (SLOW_MS / 1000 * 16 * 1024)

struct feed {
    const struct shm   *shm;
    struct journal_dir *dir;
    struct buf          out;
    size_t              at;
    uint64_t            beat_ms;
    uint64_t            mark;
    uint64_t            behind_ms; /* when events began to wait for the reader;
                                    * 0: none wait */
    size_t behind;                 /* bytes that the reader has taken since
                                    * then */
    uint64_t   last;               /* number of the last event in out */
    bool       sse, follow, begun, slow;
    char       type[64];
    struct buf cp;                           /* with its quotes; empty: any */
    char       since[CLOCK_RFC3339_LEN + 1]; /* empty: any time */
};

struct feed *
feed_open(const struct shm *s, const char *after, const char *since,
    const char *type, const char *cp, bool sse, bool follow, struct buf *why)
{
    struct journal_dir_want want = {.slot = -1};
    char                    path[CONF_TEXT_MAX + 16];

    if (after != NULL && strcmp(after, "now") == 0) {
        want.from = journal_dir_mark(s);
    } else if (after != NULL) {
        size_t digits = strspn(after, "0123456789abcdefABCDEF");
        want.from = strtoull(after, NULL, 16);
        want.from += want.from < UINT64_MAX;
        uint64_t mark = journal_dir_mark(s), now = clock_wall_ms() * 1000;
        if (digits == 0 || digits > 16 || !strchr("-", after[digits])) {
            buf_adds(why,
                "after: give the eventId of an event, its first 16 digits, or "
                "now");
            return NULL;
        }
        if (want.from > (mark > now ? mark : now) + AHEAD_US) {
            buf_adds(why,
                "after: the cursor is ahead of all events by more than an "
                "hour; give the eventId of an event of this gateway, "
                "or now");
            return NULL;
        }
    }
    if (type != NULL && event_by_type(type) == EVENTS) {
        struct near n = near_to(type);
        for (unsigned i = 0; i < EVENTS; i++)
            near_try(&n, event_info[i].type);
        buf_addf(why, "type: %s: there is no such type of event; ", type);
        if (n.word != NULL)
            buf_addf(why, "is it %s?", n.word);
        else
            event_put_types(why);
        return NULL;
    }
    if (since != NULL && !since_parse(since, &want.since_wall_ms)) {
        buf_adds(why, "since: " SINCE_FORM);
        return NULL;
    }
    struct feed *f = calloc(1, sizeof *f);
    if (f == NULL) {
        buf_adds(why, "no memory");
        return NULL;
    }
    snprintf(
        path, sizeof path, "%s/" JOURNAL_DIR, master.config.server_state_dir);
    f->dir = journal_dir_open(path, &want, why);
    if (f->dir == NULL) {
        free(f);
        return NULL;
    }
    f->shm = s;
    if (since != NULL)
        clock_rfc3339(f->since, want.since_wall_ms);
    f->out = BUF_INIT(JOURNAL_LINE_MAX + (1u << 20));
    f->sse = sse;
    f->follow = follow || sse;
    f->beat_ms = clock_mono_ms();
    /* The type is compared with the quotes that it has in the line. */
    snprintf(f->type, sizeof f->type, type ? "\"%s\"" : "%s", type ? type : "");
    f->cp = BUF_INIT(4096);
    if (cp != NULL)
        writer_quote(&f->cp, cp, strlen(cp));
    return f;
}

static bool
is(const struct journal_line *line, const char *key, const char *want)
{
    const char *v;
    size_t      n;

    return want[0] == '\0' ||
        (journal_line_field(line->p, line->len, key, &v, &n) &&
            n == strlen(want) && memcmp(v, want, n) == 0);
}

/* All timestamps have one form, so their order as texts is that of their
 * times. */
static bool
is_since(const struct journal_line *line, const char *since)
{
    const char *v;
    size_t      n;

    return since[0] == '\0' ||
        (journal_line_field(line->p, line->len, "timestamp", &v, &n) &&
            n == CLOCK_RFC3339_LEN + 2 &&
            memcmp(v + 1, since, CLOCK_RFC3339_LEN) >= 0);
}

static void
put(struct feed *f, const struct journal_line *line)
{
    if (f->sse)
        buf_addf(&f->out, "id: %016" PRIx64 "\ndata: ", line->number);
    f->last = line->number;
    buf_add(&f->out, line->p, line->len);
    buf_adds(&f->out, f->sse ? "\n\n" : "\n");
}

/* Gathers some events; false if there are none now. */
static bool
look(struct feed *f)
{
    struct journal_line line;
    struct buf          why = BUF_INIT(4096);

    f->mark = journal_dir_mark(f->shm);
    journal_dir_refresh(f->dir, &why);
    while (f->out.len < CHUNK && journal_dir_next(f->dir, f->mark, &line))
        if (is(&line, "eventType", f->type) &&
            is(&line, "chargePointId", buf_cstr(&f->cp)) &&
            is_since(&line, f->since))
            put(f, &line);
    buf_free(&why);
    return f->out.len > 0;
}

/* True if the reader is too slow. It is then sent the cursor at which it can
 * continue. */
static bool
too_slow(struct feed *f)
{
    uint64_t now = clock_mono_ms();

    if (f->behind_ms == 0 || now - f->behind_ms < SLOW_MS)
        return false;
    bool slow = f->behind < SLOW_BYTES;
    f->behind_ms = now;
    f->behind = 0;
    if (!slow)
        return false;
    f->slow = true;
    buf_addf(&f->out,
        f->sse ? "event: slow\ndata: {\"after\":\"%016" PRIx64 "\"}\n\n"
               : "{\"slow\":true,\"after\":\"%016" PRIx64 "\"}\n",
        f->last);
    return true;
}

long
feed_read(struct feed *f, char *p, size_t max)
{
    while (f->at == f->out.len) {
        f->behind += f->at;
        buf_clear(&f->out);
        f->at = 0;
        if (f->slow)
            return -1;
        if (too_slow(f))
            break;
        if (!f->begun) {
            f->begun = true;
            if (f->sse)
                buf_adds(&f->out, ": events\n\n");
        }
        if (look(f) || f->out.len > 0) {
            if (f->behind_ms == 0)
                f->behind_ms = clock_mono_ms();
            break;
        }
        f->behind_ms = 0; /* the reader has all events */
        f->behind = 0;
        if (!f->follow)
            return -1;
        uint64_t now = clock_mono_ms();
        if (now > f->beat_ms + HTTP_HEARTBEAT_MS) {
            f->beat_ms = now;
            /* A blank line is not an event, in either form. */
            buf_adds(&f->out, f->sse ? ":\n\n" : "\n");
            break;
        }
        nanosleep(&(struct timespec){0, LOOK_MS * 1000000L}, NULL);
    }
    size_t n = f->out.len - f->at;
    if (n > max)
        n = max;
    memcpy(p, f->out.p + f->at, n);
    f->at += n;
    return (long)n;
}

void
feed_close(struct feed *f)
{
    journal_dir_close(f->dir);
    buf_free(&f->out);
    buf_free(&f->cp);
    free(f);
}
