/*
 * journal: the durable log of one worker. An event is in it before the answer
 * that the event acknowledges is sent (promise P1).
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
 * Events that are appended while a commit runs belong to the next one: one
 * fdatasync for all events that came meanwhile (group commit).
 *
 * A process has one journal. All functions are called in the loop's thread. The
 * only up-call is up_committed(), in the same thread.
 *
 * Files: STATE_DIR/journal/wSSS-NNNNNNNNNNNNNNNN.jsonl, in the form of
 * journal_line.h. A new process always begins a new segment; it never appends
 * to one of another process.
 */
#ifndef WORKER_JOURNAL_JOURNAL_H
#define WORKER_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/up.h"
#include "buf.h"
#include "config.h"
#include "journal_line.h"
#include "shm.h"

struct ev_loop;

/* The usual recover_max, in bytes: about 250,000 events. Reading them takes 20
 * ms from the page cache, besides the time of recover_line(). */
#define JOURNAL_RECOVER_MAX ((uint64_t)128 << 20)

struct journal_env {
    struct shm     *shm;
    unsigned        slot;
    struct ev_loop *loop;
    /* Read by the loop's thread, in journal_open() and journal_tick(); so a
     * reload takes effect with the next tick. Must outlive the journal. */
    const struct config *conf;

    /* Called for each event that the journal holds already, oldest first. The
     * event is durable. line is without its line feed. May be NULL. */
    void (*recover_line)(
        void *ctx, uint64_t number, const char *line, size_t len);
    /* Called after that, if unfinished() returns true, for each event of the
     * other slots that have a worker. May be NULL. */
    bool (*unfinished)(void *ctx);
    void (*neighbour_line)(
        void *ctx, uint64_t number, const char *line, size_t len);
    void    *ctx;
    uint64_t recover_max; /* the most bytes to read back; the newest ones are
                             read */
};

/* Calls line() for the slot's events on disk, at most max bytes of them, while
 * the journal is open. */
void journal_read_back(uint64_t max,
    void (*line)(void *ctx, uint64_t number, const char *line, size_t len),
    void *ctx);

/*
 * Makes the directories (mode 0750), cuts off a torn tail, makes the rest
 * durable, raises shm->sequence above the event numbers of all slots at the
 * first start of the slot, calls
 * recover_line(), sets this worker's journal_floor, and starts the thread. May
 * take as long as reading recover_max bytes does.
 *
 * False: why has a sentence for the operator (file, reason, remedy), and no
 * thread is left running. A full disk is not such an error: recovery needs no
 * space, and the first commit reports it.
 */
bool journal_open(const struct journal_env *env, struct buf *why);

/* Lowers journal_floor (shm.h) for events that begin in this turn of the loop,
 * before this worker does what another process may notice. Numbers that are
 * drawn from now on, such as the generation of a session, are not below the
 * floor until these events are durable. With false, no event follows. */
void journal_expect(bool event);

/*
 * Begins an event: draws its number, which is part of the eventId. In the same
 * turn of the loop, journal_append() with that number or journal_abandon() must
 * follow.
 */
uint64_t journal_begin(void);

/*
 * Copies the finished line into the buffer: a JSON object that begins with the
 * text of journal_line_put_id(), without a line feed at its end. A line feed or
 * NUL within it becomes a blank, so that an event is always one line.
 *
 * False if the buffer is full (journal.buffer_size), memory is out or the line
 * is longer than JOURNAL_LINE_MAX. Then the event does not exist, its number
 * stays unused, events_refused is counted, and nothing may be acknowledged.
 */
bool journal_append(uint64_t number, const char *line, size_t len);

/* Gives up an event that was begun. */
void journal_abandon(uint64_t number);

/* Events up to this number are durable: the last argument of up_committed(), or
 * the last event that recovery found. 0 if there is none. */
uint64_t journal_committed(void);

/* True if no event waits to become durable. */
bool journal_idle(void);

/* True while commits fail; *words is the sentence that was logged. For the
 * unit tests. */
bool journal_failing(const char **words);

/* Milliseconds since the last event became durable, if one waits since then;
 * else 0. It grows while the disk is full, fails or hangs. */
uint64_t journal_stalled_ms(void);

/* Called once a second: takes over changed knobs, and lets the thread close an
 * old segment and remove segments that retention allows (one file at a time,
 * never on the loop's thread). Slot 0 also does this for slots that no longer
 * exist. */
void journal_tick(void);

/*
 * For a reader that must see all events, such as the shipper to Redis: no
 * segment of this slot is removed that may hold an event with this number or a
 * higher one. UINT64_MAX, the initial value, keeps no segment; 0 keeps all. A
 * shipper calls it with 0 right after journal_open(), until it has read its
 * cursor.
 */
void journal_keep(unsigned slot, uint64_t number);

/*
 * Commits the buffered events, calls up_committed() for them, and stops the
 * thread. If the disk fails, the commit is tried once more; then the events are
 * lost (none of them was acknowledged) and their number is logged.
 */
void journal_close(void);

#endif
