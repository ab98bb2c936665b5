/*
 * journal: the durable log of one worker, where every event is before
 * anything it acknowledges leaves (promise P1).
 *
 *     loop                                        helper thread
 *     ----                                        -------------
 *     n = journal_begin()                         sleeps
 *     (format the line)
 *     journal_append(n, line)  -> buffer
 *     end of the loop's turn   -- wake if idle -> takes all of the buffer
 *                                                 write, fdatasync
 *     up_committed(last n)     <----- ev_async -- reports how far it is
 *
 * What is appended while a commit runs goes with the next one: one
 * fdatasync for however many events came meanwhile (group commit).
 *
 * A process has one journal. All functions belong to the loop's thread;
 * nothing but up_committed() is called back, also on that thread.
 *
 * Files: STATE_DIR/journal/wSSS-NNNNNNNNNNNNNNNN.jsonl, as journal_line.h says.
 * A new process always begins a new segment; it never writes behind what
 * another one left.
 */
#ifndef WORKER_JOURNAL_JOURNAL_H
#define WORKER_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"
#include "journal_line.h"
#include "shm.h"
#include "base/up.h"

struct ev_loop;

/* A fair recover_max: some 250,000 events. Reading them takes 20 ms from the
 * page cache, besides what recover_line() takes. */
#define JOURNAL_RECOVER_MAX ((uint64_t)128 << 20)

struct journal_env {
    struct shm     *shm;
    unsigned        slot;
    struct ev_loop *loop;
    /* Read by the loop's thread, in journal_open() and journal_tick(); so a
     * reload takes effect with the next tick. Must outlive the journal. */
    const struct config *conf;

    /* One event that the journal holds already, oldest first, durable when
     * this is called. line ends before its line feed. May be NULL. */
    void (*recover_line)(
        void *ctx, uint64_t number, const char *line, size_t len);
    /* After that, if unfinished() is true: an event of another slot that has a
     * worker, likewise. May be NULL. */
    bool (*unfinished)(void *ctx);
    void (*neighbour_line)(
        void *ctx, uint64_t number, const char *line, size_t len);
    void    *ctx;
    uint64_t recover_max; /* bytes to read back, up to the newest event */
};

/* Calls line() for the slot's events on disk, at most max bytes of them, while
 * the journal is open. */
void journal_read_back(uint64_t max,
    void (*line)(void *ctx, uint64_t number, const char *line, size_t len),
    void *ctx);

/*
 * Makes the directories (0750), cuts a torn tail, makes what is left durable,
 * raises shm->sequence above every event number any slot's journal holds,
 * calls recover_line(), sets this worker's journal_floor, and starts the
 * thread. May take as long as reading recover_max bytes does.
 *
 * False: why holds a sentence for the operator (file, reason, remedy) and
 * nothing is left running. A full disk is no such error: recovery needs no
 * space, and the first commit finds out.
 */
bool journal_open(const struct journal_env *env, struct buf *why);

/*
 * Takes an event: draws its number, for the eventId the line begins with.
 * Must be followed, before the loop goes on, by journal_append() with that
 * number or by journal_abandon().
 */
uint64_t journal_begin(void);

/*
 * Puts the finished line into the buffer: a JSON object that begins as
 * journal_line_put_id() writes it, without a line feed at its end. Copied; a
 * line feed or NUL within it becomes a blank, so that an event is always one
 * line.
 *
 * False if the buffer is full (journal.buffer_size), memory is short or the
 * line longer than JOURNAL_LINE_MAX: the event will never be, the number is
 * given up, events_refused is counted, and nothing may be acknowledged.
 */
bool journal_append(uint64_t number, const char *line, size_t len);

/* The event will not be after all. */
void journal_abandon(uint64_t number);

/* Events up to here are durable: what up_committed() was last called with,
 * or what recovery found. 0 if there never was one. */
uint64_t journal_committed(void);

/* No event waits to become durable. */
bool journal_idle(void);

/* Of the last failure while commits do not succeed, with the words that were
 * logged; false while the journal works. For health and status. */
bool journal_failing(const char **words);

/* How long ago the journal last made an event durable, if any waits since;
 * else 0. It grows while the disk is full, fails or hangs. */
uint64_t journal_stalled_ms(void);

/* Once a second: takes over changed knobs, lets the thread close a segment
 * by age and remove what retention allows (one file at a time, never on the
 * loop's thread). Slot 0 does so for slots that no longer exist, too. */
void journal_tick(void);

/*
 * For a reader that must see everything, such as the shipper to Redis: no
 * segment of this slot is removed that may hold an event numbered number or
 * above. UINT64_MAX, the initial value, keeps nothing back; 0 everything. A
 * shipper calls it with 0 right after journal_open(), before it knows better.
 */
void journal_keep(unsigned slot, uint64_t number);

/*
 * Commits what is buffered, calls up_committed() for it, and stops the
 * thread. If the disk does not take it, it is tried once more and then lost
 * (nothing of it was acknowledged); the log says how many events.
 */
void journal_close(void);

#endif
