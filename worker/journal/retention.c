/* retention: which segments go, and when. See retention.h. */
#include "journal/retention.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "ensure.h"
#include "journal_dir.h"

/* Stored by the loop's thread, loaded by the one that removes; UINT64_MAX
 * minus what was asked for, so that zeroed memory holds nothing back. */
static _Atomic uint64_t wanted[JOURNAL_SLOTS];

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

/* One slot's segments are in order of time: the first that must stay ends
 * it. */
static unsigned
run_slot(const struct tail *t, const struct journal_dir_id *id, size_t n,
    uint64_t age_ms, unsigned most, struct retention_done *done)
{
    unsigned    removed = 0;
    uint64_t    now = clock_wall_ms();
    uint64_t    keep = UINT64_MAX - atomic_load(&wanted[id->slot]);
    struct stat st;
    char        name[JOURNAL_NAME_LEN + 1];

    for (size_t i = 0; i < n && removed < most; i++) {
        if (id[i].slot == t->slot && t->fd >= 0 && id[i].first >= t->first)
            break; /* being written */
        if (keep != UINT64_MAX && (i + 1 == n || id[i + 1].first > keep))
            break; /* still wanted */
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
    for (size_t i = 0, n; i < list.n && removed < most; i += n) {
        unsigned slot = list.v[i].slot;
        journal_dir_of(&list, slot, &n);
        if (slot == t->slot || (t->slot == 0 && slot >= slots))
            removed += run_slot(t, &list.v[i], n, age_ms, most - removed, done);
    }
    free(list.v);
    return removed;
}
