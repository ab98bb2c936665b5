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
/* The first segment of a slot, NULL if it has none; *n is the number of its
   segments. */
const struct journal_dir_id *journal_dir_of(
    const struct journal_dir_list *list, unsigned slot, size_t *n);

struct journal_dir_want {
    int      slot;          /* only this one; -1: all */
    uint64_t from;          /* only events numbered so or above; 0: all */
    uint64_t since_wall_ms; /* segments not written since then may be left
                               out (their events are older); 0: none */
};

struct journal_dir;

/* Appends the sentence for an errno of this directory: "cannot read the journal
 * in DIR: reason; remedy". */
void journal_dir_put_error(struct buf *why, const char *dir, int err);

/* Opens the directory, and begins the first round. NULL with such a sentence in
 * why. dir and want are copied. */
struct journal_dir *journal_dir_open(
    const char *dir, const struct journal_dir_want *want, struct buf *why);

/* Begins a round. False if the directory cannot be read; why has the reason,
 * and the caller may try again. */
bool journal_dir_refresh(struct journal_dir *s, struct buf *why);

/* The next event numbered below `below`, over all slots; false if there is
 * none in this round. *line is valid until the next call. */
bool journal_dir_next(
    struct journal_dir *s, uint64_t below, struct journal_line *line);

/* Makes journal_dir_next() return its last event once more. */
void journal_dir_again(struct journal_dir *s);

/* The slot of the event that journal_dir_next() returned last. */
unsigned journal_dir_slot(const struct journal_dir *s);

/* Called after journal_dir_next() returned false. True if an event with the
 * number `below` or higher was read already, so that asking for a new mark soon
 * makes sense. */
bool journal_dir_waiting(const struct journal_dir *s);

/* The number of damaged lines that were skipped so far. */
uint64_t journal_dir_bad(const struct journal_dir *s);

/* Describes a file that could not be read to its end, in a sentence, once for
 * each file. False if there is none left. */
bool journal_dir_trouble(struct journal_dir *s, struct buf *why);

/* Describes a damaged line and its place in a sentence, once for each line.
 * False if there is none left. After many lines one sentence counts the others.
 */
bool journal_dir_damaged(struct journal_dir *s, struct buf *why);

/* Closes its files and frees s. */
void journal_dir_close(struct journal_dir *s);

#endif
