/* retention: removes old segments. See retention.h. */
#include "journal/retention.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "ensure.h"
#include "journal_dir.h"

/* Stored by the loop's thread, loaded by the committer's thread. Holds
 * UINT64_MAX minus the argument of retention_keep(), so that zeroed memory
 * keeps no segment. */
static _Atomic uint64_t wanted[JOURNAL_SLOTS];

#define STEP_MS 60000 /* a smaller difference is not a step of a clock */
/* ms: a gap in the journal up to this long is not a step of the clock. */
#define FRESH_MS (2 * 3600 * 1000)

/* Used by the committer's thread only. */
static struct retention_clock believed;

void
retention_keep(unsigned slot, uint64_t number)
{
    ensure(slot < JOURNAL_SLOTS);
    atomic_store(&wanted[slot], UINT64_MAX - number);
}

void
retention_keep_nothing(void)
{
    for (unsigned i = 0; i < JOURNAL_SLOTS; i++)
        atomic_store(&wanted[i], 0);
}

/* True if a difference of the clocks is too small to be a step. */
static bool
near(int64_t a, int64_t b)
{
    return a - b < STEP_MS && b - a < STEP_MS;
}

uint64_t
retention_now(struct retention_clock *k, uint64_t wall_ms, uint64_t mono_ms,
    uint64_t newest_ms, int64_t *step_ms)
{
    int64_t offset = (int64_t)wall_ms - (int64_t)mono_ms;

    *step_ms = 0;
    if (!k->set) {
        k->set = true;
        k->offset = newest_ms != 0 && newest_ms + FRESH_MS < wall_ms
            ? (int64_t)newest_ms - (int64_t)mono_ms
            : offset;
    }
    bool stays = k->since_ms != 0 && near(offset, k->candidate);
    if (near(offset, k->offset) ||
        (stays && mono_ms - k->since_ms >= RETENTION_BELIEF_MS)) {
        k->offset = offset;
        k->since_ms = 0;
    } else if (!stays) {
        k->candidate = offset;
        k->since_ms = mono_ms + (mono_ms == 0);
        *step_ms = offset - k->offset;
    }
    uint64_t now = (uint64_t)((int64_t)mono_ms + k->offset);
    return now < wall_ms ? now : wall_ms;
}

/* The time of the newest write to any segment; 0 if there is none. */
static uint64_t
newest(const struct tail *t, const struct journal_dir_list *list)
{
    uint64_t    last = 0;
    struct stat st;
    char        name[JOURNAL_NAME_LEN + 1];

    for (size_t i = 0; i < list->n; i++) {
        journal_line_file_name(name, list->v[i].slot, list->v[i].first);
        if (fstatat(t->dir_fd, name, &st, 0) == 0 &&
            (uint64_t)st.st_mtim.tv_sec * 1000 > last)
            last = (uint64_t)st.st_mtim.tv_sec * 1000;
    }
    return last;
}

/* The segments of a slot are in order of time, so removing stops at the first
 * one that must stay. */
static unsigned
run_slot(const struct tail *t, const struct journal_dir_id *id, size_t n,
    uint64_t now, uint64_t age_ms, unsigned most, struct retention_done *done)
{
    unsigned    removed = 0;
    uint64_t    keep = UINT64_MAX - atomic_load(&wanted[id->slot]);
    struct stat st;
    char        name[JOURNAL_NAME_LEN + 1];

    for (size_t i = 0; i < n && removed < most; i++) {
        if (id[i].slot == t->slot && t->fd >= 0 && id[i].first >= t->first)
            break; /* being written */
        if (keep != UINT64_MAX && (i + 1 == n || id[i + 1].first > keep))
            break; /* a reader still needs it */
        journal_line_file_name(name, id[i].slot, id[i].first);
        if (fstatat(t->dir_fd, name, &st, 0) != 0)
            continue;
        uint64_t written = (uint64_t)st.st_mtim.tv_sec * 1000 +
            (uint64_t)st.st_mtim.tv_nsec / 1000000;
        if (written + age_ms >= now)
            break;
        if (unlinkat(t->dir_fd, name, 0) != 0)
            continue;
        removed++;
        done->removed++;
        memcpy(done->last, name, sizeof name);
    }
    return removed;
}

unsigned
retention_run(const struct tail *t, unsigned slots, uint64_t age_ms,
    unsigned most, struct retention_done *done)
{
    struct journal_dir_list list;
    unsigned                removed = 0;

    if (t->dir_fd < 0 || journal_dir_find(t->dir_fd, &list) != 0)
        return 0;
    uint64_t now = retention_now(&believed, clock_wall_ms(), clock_mono_ms(),
        believed.set ? 0 : newest(t, &list), &done->step_ms);
    for (size_t i = 0, n; i < list.n && removed < most; i += n) {
        unsigned slot = list.v[i].slot;
        journal_dir_of(&list, slot, &n);
        if (slot == t->slot || (t->slot == 0 && slot >= slots))
            removed +=
                run_slot(t, &list.v[i], n, now, age_ms, most - removed, done);
    }
    free(list.v);
    return removed;
}
