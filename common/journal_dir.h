/*
 * journal_dir: the journal's directory, and its events in order.
 *
 * Event numbers are drawn from one sequence for all workers, so a merge by
 * number puts the events of all slots into one order. While the daemon runs
 * that order is final only below the mark: a worker may have drawn a number
 * whose event is not on disk yet. A round of reading is therefore
 *
 *     mark = journal_dir_mark() or the daemon's answer to journal-mark
 *     journal_dir_refresh()
 *     while (journal_dir_next(s, mark, &line)) ...
 *
 * in this order. Without a daemon the mark is UINT64_MAX. A reader takes no
 * locks and disturbs no writer; segments may be removed under it. One thread at
 * a time.
 */
#ifndef COMMON_JOURNAL_DIR_H
#define COMMON_JOURNAL_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "journal_line.h"

struct shm;

/* Every event with a lower number is durable, or will never be. */
uint64_t journal_dir_mark(const struct shm *shm);

struct journal_dir_id {
    unsigned slot;
    uint64_t first; /* number of its first event */
};

/* The segments in a directory, sorted by slot and number. */
struct journal_dir_list {
    struct journal_dir_id *v;
    size_t                 n;
};

/* Fills *list (to be freed with free(list->v)); 0 or an errno. */
int journal_dir_find(int dir_fd, struct journal_dir_list *list);
/* Where those of a slot begin, NULL if there are none; *n is how many. */
const struct journal_dir_id *journal_dir_of(
    const struct journal_dir_list *list, unsigned slot, size_t *n);

struct journal_dir_want {
    int      slot;          /* only this one; -1: all */
    uint64_t from;          /* only events numbered so or above; 0: all */
    uint64_t since_wall_ms; /* segments not written since then may be left
                               out (their events are older); 0: none */
};

struct journal_dir;

/* NULL: why holds a sentence (directory, reason, remedy). */
struct journal_dir *journal_dir_open(
    const char *dir, const struct journal_dir_want *want, struct buf *why);

/* Begins a round. False: the directory cannot be read (any more), with the
 * reason in why; it may be called again. */
bool journal_dir_refresh(struct journal_dir *s, struct buf *why);

/* The next event numbered below `below`, over all slots; false if there is
 * none in this round. *line is valid until the next call. */
bool journal_dir_next(
    struct journal_dir *s, uint64_t below, struct journal_line *line);

/* The event that journal_dir_next() returned last comes again. */
void journal_dir_again(struct journal_dir *s);

/* Of the event journal_dir_next() returned last. */
unsigned journal_dir_slot(const struct journal_dir *s);

/* An event numbered `below` or higher is there already: it is worth asking
 * for the mark again soon. After journal_dir_next() returned false. */
bool journal_dir_waiting(const struct journal_dir *s);

/* Damaged lines, left out so far. */
uint64_t journal_dir_bad(const struct journal_dir *s);

/* A file that could not be read to its end: a sentence, once each; false if
 * there is none (left). */
bool journal_dir_trouble(struct journal_dir *s, struct buf *why);

/* A damaged line: a sentence with its place, once each; false if there are no
 * (more). After many, one sentence counts the rest. */
bool journal_dir_damaged(struct journal_dir *s, struct buf *why);

void journal_dir_close(struct journal_dir *s);

#endif
