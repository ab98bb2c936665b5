/* inherit: the receiver's side of a hand-over. See inherit.h. */
#include "move/inherit.h"

#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/master_link.h"
#include "base/self.h"
#include "clock.h"
#include "fleet/claims.h"
#include "log.h"
#include "move/handover.h"
#include "move/moving.h"
#include "move/pair.h"
#include "session/asking.h"
#include "session/calls.h"
#include "session/platform.h"
#include "session/session.h"
#include "session/tap.h"
#include "session/verdicts.h"
#include "shm_state.h"

/* The most lines that are read from one source in a turn of the loop. Open
 * connections are served between the turns. */
#define PER_TURN 256
/* The most bytes of lines that belong to a slot. */
#define SLOT_MAX ((size_t)256 << 20)

/* A worker that sends connections. */
struct source {
    ev_io        io;
    struct pair  pair;
    bool         same; /* it has the same shared memory */
    bool         slot; /* it is the former process of this slot */
    uint64_t     began_us, taken, lost;
    uint32_t     entry;    /* where the last entry line was inserted */
    struct conn *arriving; /* more lines of this connection may follow */
    bool         whole;    /* the last line has come */
    void (*all_here)(bool whole);
};

static struct source *former; /* from inherit_wait() to inherit_start() */
static struct buf     lines = {.max = SLOT_MAX}; /* lines that belong to the
                                                    slot */
static char incarnation[24];

static void
say_hello(struct source *s)
{
    fields_begin(&s->pair.out, "hello");
    fields_put_u64(&s->pair.out, "format", HANDOVER_FORMAT);
    fields_put_u64(&s->pair.out, "segment", handover_segment());
    fields_end(&s->pair.out);
    pair_send(&s->pair);
}

static struct source *
source_new(int fd)
{
    struct source *s = calloc(1, sizeof *s);

    if (s == NULL) {
        close(fd);
        return NULL;
    }
    pair_open(&s->pair, fd);
    say_hello(s);
    return s;
}

/* --- the slot's own lines ------------------------------------------------ */

static void
take_head(struct source *s, struct fields *f)
{
    s->same = fields_u64(f, "segment", 0, UINT64_MAX) == handover_segment();
    s->slot = fields_u64(f, "slot", UINT64_MAX, UINT64_MAX) == self.slot;
    s->began_us = clock_mono_ns() / 1000u;
}

/* Keeps a line that belongs to the slot. False if it was the last one. */
static bool
keep_line(struct source *s, char *line, size_t len)
{
    struct fields f;
    size_t        at = lines.len;

    /* Parsing changes the line, so it is copied first. */
    if (!buf_add(&lines, line, len)) {
        log_error("no memory for a line of the former process; it is lost");
        return true;
    }
    if (!fields_parse(&f, line, len)) {
        lines.len = at;
        return true;
    }
    if (strcmp(f.word, "slot") == 0)
        take_head(s, &f);
    else if (strcmp(f.word, "fleet") == 0)
        snprintf(incarnation, sizeof incarnation, "%s",
            fields_str(&f, "incarnation", sizeof incarnation - 1));
    return strcmp(f.word, "go") != 0;
}

enum inherit_result
inherit_wait(int fd)
{
    struct source *s = source_new(fd);
    char          *line;
    size_t         len;
    pid_t          master = getppid();

    if (s == NULL)
        return INHERIT_NONE;
    former = s;
    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        switch (pair_line(&s->pair, &line, &len)) {
        case PAIR_ENDED:
            return INHERIT_NONE;
        case PAIR_WAITS:
            if (getppid() != master)
                return INHERIT_NONE;
            poll(&poller, 1, 1000);
            break;
        case PAIR_DONE:
            if (len >= 4 && memcmp(line, "keep", 4) == 0)
                return INHERIT_KEPT;
            if (!keep_line(s, line, len))
                return INHERIT_SLOT;
            break;
        }
    }
}

const char *
inherit_incarnation(void)
{
    return incarnation;
}

/* When there are fewer slots, a running worker takes over the lines of another
 * slot, except its position in the inbox of Redis. */
static void
take_slot_line(struct source *s, struct fields *f)
{
    if (!s->slot && strcmp(f->word, "inbox") == 0)
        return;
    if (claims_take(f) || platform_read(f) || calls_read(NULL, f))
        return;
    if (s->same && (verdicts_read(f) || tap_read(f)))
        return;
}

void
inherit_slot(void)
{
    struct fields f;

    for (size_t at = 0; at < lines.len;) {
        char  *line = lines.p + at;
        char  *end = memchr(line, '\n', lines.len - at);
        size_t len = (size_t)(end - line) + 1;
        at += len;
        if (fields_parse(&f, line, len))
            take_slot_line(former, &f);
    }
    buf_free(&lines);
    asking_inherited();
}

/* --- connections --------------------------------------------------------- */

/* Called when all lines of the last connection were read. */
static void
arrived(struct source *s)
{
    struct conn *c = s->arriving;

    s->arriving = NULL;
    if (c == NULL)
        return;
    s->taken++;
    moving_arrived(c);
}

static void
take_conn(struct source *s, struct fields *f)
{
    int fd = pair_take(&s->pair);

    arrived(s);
    if (fd >= 0)
        s->arriving = moving_read(f, fd, s->same, s->entry);
    if (s->arriving == NULL) {
        log_error("a connection that was handed over cannot be used%s%s",
            f->bad != NULL ? ": its record has a wrong value of " : "",
            f->bad != NULL ? f->bad : "");
        s->lost++;
    }
}

/* Reads the registry entry of the connection that follows, if the sender has
 * other shared memory.
 */
static void
take_entry(struct source *s, struct fields *f)
{
    arrived(s);
    if (s->same || shm_state_read_entry(self.shm, f, &s->entry) != REGISTRY_OK)
        s->entry = REGISTRY_NONE;
}

/* Makes the event for a connection that the former process closed when it could
   not make events any more. */
static void
take_gone(struct source *s, struct fields *f)
{
    const struct field *identity = fields_find(f, "identity");
    cref                owner = fields_u64(f, "self", 0, UINT64_MAX);
    uint64_t            generation = fields_u64(f, "generation", 0, UINT64_MAX);

    arrived(s);
    s->lost++;
    uint32_t entry = identity == NULL
        ? REGISTRY_NONE
        : registry_find(self.registry, identity->value, identity->len, true);
    if (entry == REGISTRY_NONE)
        return;
    struct registry_entry *e = registry_at(self.registry, entry);
    if (s->same && !registry_release(self.registry, entry, owner))
        return; /* a newer connection has ended it */
    session_bury(e, generation, CLOSE_not_moved);
    e->closed_at = (uint32_t)(self.wall_ms / 1000);
    e->close_reason = CLOSE_not_moved;
}

static void
finish(struct source *s)
{
    void (*all_here)(bool) = s->all_here;
    bool whole = s->whole;

    arrived(s);
    ev_io_stop(self.loop, &s->io);
    log_info("took over %llu connections within %llu ms, lost %llu",
        (unsigned long long)s->taken,
        (unsigned long long)(clock_mono_ns() / 1000u - s->began_us) / 1000,
        (unsigned long long)s->lost);
    master_link_inherited(s->taken, s->lost);
    pair_close(&s->pair);
    free(s);
    if (all_here != NULL)
        all_here(whole);
}

/* Handles a line of a connection. False if it was the last line. */
static bool
take_line(struct source *s, char *line, size_t len)
{
    struct fields f;

    if (!fields_parse(&f, line, len)) {
        log_error("a line of a hand-over cannot be read and is skipped");
        return true;
    }
    if (strcmp(f.word, "conn") == 0)
        take_conn(s, &f);
    else if (strcmp(f.word, "entry") == 0)
        take_entry(s, &f);
    else if (strcmp(f.word, "gone") == 0)
        take_gone(s, &f);
    else if (strcmp(f.word, "slot") == 0)
        take_head(s, &f);
    else if (strcmp(f.word, "end") == 0)
        return !(s->whole = true);
    else if (!moving_read_part(s->arriving, &f))
        take_slot_line(s, &f);
    return true;
}

static void
source_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    struct source *s = w->data;
    char          *line;
    size_t         len;

    (void)loop, (void)revents;
    for (int i = 0; i < PER_TURN; i++) {
        switch (pair_line(&s->pair, &line, &len)) {
        case PAIR_WAITS:
            return;
        case PAIR_ENDED:
            finish(s);
            return;
        case PAIR_DONE:
            if (!take_line(s, line, len)) {
                finish(s);
                return;
            }
            break;
        }
    }
    /* Lines that were read from the socket may wait here while the socket is
     * not readable. */
    ev_feed_event(self.loop, &s->io, EV_READ);
}

static void
start(struct source *s)
{
    ev_io_init(&s->io, source_cb, s->pair.fd, EV_READ);
    s->io.data = s;
    ev_io_start(self.loop, &s->io);
    ev_feed_event(self.loop, &s->io, EV_READ);
}

void
inherit_start(void (*all_here)(bool whole))
{
    former->all_here = all_here;
    start(former);
    former = NULL;
}

void
inherit_more(int fd)
{
    struct source *s = source_new(fd);

    if (s == NULL) {
        master_link_inherited(0, 0);
        return;
    }
    s->began_us = clock_mono_ns() / 1000u;
    s->same = true;
    start(s);
}
