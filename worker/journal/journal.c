/*
 * journal: the durable log of one worker. See journal.h for its shape.
 *
 * This file is the loop's side: numbers, the floor, and the reports of the
 * committer. The committer writes the files; before it starts, recovery reads
 * them.
 */
#include "journal/journal.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ensure.h"
#include "journal/committer.h"
#include "journal/recovery.h"
#include "journal/segment_writer.h"
#include "log.h"

/* Numbers are also drawn for what has no line in the journal: ids of messages,
 * reply tokens, and the events of commands that Redis publishes. After a start
 * of the daemon, none of those of its former life may be drawn again. Between
 * the last line and the end of that life there were fewer than so many. */
#define UNRECORDED ((uint64_t)1 << 20)

#define STALLED_MS 2000 /* of journal_stalled_ms(), until health shows it */

static struct {
    bool               open;
    struct journal_env env;
    struct shm_worker *mem;
    struct stats      *st;
    uint64_t           drawn;       /* number of an event that was begun and not
                                       appended; 0: none */
    uint64_t last;                  /* the number that was drawn last */
    uint64_t expected;              /* the floor of events of this turn of the
                                       loop, by journal_expect(); 0: none */
    uint64_t              reported; /* the last argument of up_committed() */
    unsigned              turns;    /* news.turns when it was last logged */
    bool                  failing;  /* the log has reported that commits fail */
    struct committer_news news;
    bool                  unwoken; /* appended since the thread was woken */
    uint64_t              waits_since_ms; /* since when an event waits without
                                             progress */
    ev_async   done;
    ev_prepare turn;
} jl;

static void
log_news(void)
{
    if (jl.news.turns != jl.turns) {
        if (jl.news.err != 0)
            log_error("journal: %s", jl.news.words);
        else if (jl.failing)
            log_warn("journal: works again, after %" PRIu64 " s; nothing was "
                     "lost, and the events that waited are durable now",
                (clock_mono_ms() - jl.news.failing_since) / 1000);
        jl.turns = jl.news.turns;
        jl.failing = jl.news.err != 0;
    }
    if (jl.news.done.step_ms != 0)
        log_warn("journal: the clock is %" PRId64 " s %s than the journal; "
                 "journal.retention follows the clock only when the "
                 "difference has lasted for a day",
            (jl.news.done.step_ms < 0 ? -jl.news.done.step_ms
                                      : jl.news.done.step_ms) /
                1000,
            jl.news.done.step_ms < 0 ? "earlier" : "later");
    if (jl.news.done.removed > 0)
        log_info("journal: removed %u segments older than journal.retention, "
                 "the last one %s",
            jl.news.done.removed, jl.news.done.last);
}

/* Publishes the committer's results. */
static void
take_news(void)
{
    /* Everything below pending is on disk: the committer's lock is between
     * its fdatasync and this store. A crash before the store leaves a floor
     * that is too low, until the successor has recovered. */
    atomic_store(&jl.mem->journal_floor, jl.news.pending);
    STAT_SET(jl.st, journal_backlog_bytes, jl.news.backlog);
    log_news();
    if (jl.news.pending == UINT64_MAX)
        jl.waits_since_ms = 0;
    else if (jl.news.durable > jl.reported || jl.waits_since_ms == 0)
        jl.waits_since_ms = clock_mono_ms();
    if (jl.news.durable > jl.reported) {
        jl.reported = jl.news.durable;
        up_committed(jl.reported);
    }
}

static void
done_cb(struct ev_loop *loop, ev_async *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    committer_look(&jl.news);
    take_news();
}

/* The loop is about to sleep: wakes the thread, so that all events of this turn
 * become one commit. */
static void
turn_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    jl.expected = 0;
    if (!jl.unwoken)
        return;
    jl.unwoken = false;
    committer_wake();
}

/* Each worker raises the sequence when it starts, so that no number is repeated
 * if the clock was set back. */
static void
raise_sequence(_Atomic uint64_t *sequence, uint64_t above)
{
    uint64_t seen = atomic_load(sequence);

    while (seen <= above &&
        !atomic_compare_exchange_weak(sequence, &seen, above + 1))
        ;
}

/* A stray store has made the sequence so high that readers would reject its
   numbers. */
static void
lower_sequence(_Atomic uint64_t *sequence, uint64_t to)
{
    uint64_t seen = atomic_load(sequence);

    while (seen >= JOURNAL_NUMBER_MAX &&
        !atomic_compare_exchange_weak(sequence, &seen, to))
        ;
}

static void
lower_floor(void)
{
    if (atomic_load_explicit(&jl.mem->journal_floor, memory_order_relaxed) ==
        UINT64_MAX)
        atomic_store(
            &jl.mem->journal_floor, atomic_load(&jl.env.shm->sequence));
}

void
journal_expect(bool event)
{
    ensure(jl.open);
    if (event) {
        lower_floor();
        jl.expected = atomic_load(&jl.env.shm->sequence);
    } else {
        jl.expected = 0;
        ev_async_send(jl.env.loop, &jl.done); /* the report raises the floor */
    }
}

uint64_t
journal_begin(void)
{
    _Atomic uint64_t *sequence = &jl.env.shm->sequence;

    ensure(jl.open && jl.drawn == 0);
    /* Store the floor before drawing the number. Otherwise a reader could see
     * a sequence beyond the new number while the floor still says that
     * nothing is pending. The floor stays while anything waits. */
    lower_floor();
    if (atomic_load_explicit(&jl.mem->ship_floor, memory_order_relaxed) ==
        UINT64_MAX)
        atomic_store(&jl.mem->ship_floor, atomic_load(sequence));
    jl.drawn = atomic_fetch_add(sequence, 1);
    /* Numbers must grow. If a stray store has set the sequence back, the clock
     * is used, which is ahead of all numbers that were drawn. */
    while (jl.drawn <= jl.last || jl.drawn >= JOURNAL_NUMBER_MAX) {
        uint64_t now = clock_wall_us();
        uint64_t above =
            now > jl.last && now < JOURNAL_NUMBER_MAX ? now : jl.last;
        ensure(above < JOURNAL_NUMBER_MAX - 1);
        if (jl.drawn >= JOURNAL_NUMBER_MAX)
            lower_sequence(sequence, above + 1);
        else
            raise_sequence(sequence, above);
        jl.drawn = atomic_fetch_add(sequence, 1);
    }
    jl.last = jl.drawn;
    return jl.drawn;
}

bool
journal_append(uint64_t number, const char *line, size_t len)
{
    bool busy;

    ensure(number != 0 && jl.drawn == number);
    ensure(len >= JOURNAL_LINE_MIN);
    uint64_t floor = jl.expected != 0 ? jl.expected : number;
    if (!committer_put(number, floor, line, len, &busy)) {
        STAT_INC(jl.st, events_refused);
        journal_abandon(number);
        return false;
    }
    jl.drawn = 0;
    if (jl.waits_since_ms == 0)
        jl.waits_since_ms = clock_mono_ms();
    STAT_INC(jl.st, events);
    STAT_ADD(jl.st, event_bytes, len + 1);
    STAT_ADD(jl.st, journal_backlog_bytes, len + 1);
    jl.unwoken = !busy;
    if (busy)
        committer_wake();
    return true;
}

void
journal_abandon(uint64_t number)
{
    ensure(number != 0 && jl.drawn == number);
    jl.drawn = 0;
    atomic_store(&jl.mem->complete_from, number + 1);
    /* If nothing else waits, the floor is raised with the next report.
     * up_committed() is not called here, because the caller does not expect an
     * up-call. */
    ev_async_send(jl.env.loop, &jl.done);
}

uint64_t
journal_committed(void)
{
    return jl.reported;
}

/* journal_begin() lowers the floor; the report that nothing waits raises it.
 */
bool
journal_idle(void)
{
    return jl.drawn == 0 &&
        atomic_load_explicit(&jl.mem->journal_floor, memory_order_relaxed) ==
        UINT64_MAX;
}

bool
journal_failing(const char **words)
{
    if (words != NULL)
        *words = jl.failing ? jl.news.words : "";
    return jl.failing;
}

uint64_t
journal_stalled_ms(void)
{
    return jl.waits_since_ms ? clock_mono_ms() - jl.waits_since_ms : 0;
}

void
journal_tick(void)
{
    STAT_SET(jl.st, journal_stalled, journal_stalled_ms() >= STALLED_MS);
    committer_tick();
}

void
journal_keep(unsigned slot, uint64_t number)
{
    retention_keep(slot, number);
}

static void
progress(void)
{
    ev_async_send(jl.env.loop, &jl.done);
}

void
journal_read_back(uint64_t max, recovery_fn *line, void *ctx)
{
    struct recovery r = {0};
    char            dir[CONF_TEXT_MAX + sizeof "/" JOURNAL_DIR];

    snprintf(dir, sizeof dir, "%s/" JOURNAL_DIR, jl.env.conf->server_state_dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        log_error(
            "journal: cannot read the directory %s: %s; sessions that have not "
            "arrived from the old program get no end",
            dir, strerror(errno));
        return;
    }
    recovery_own(fd, dir, jl.env.slot, max, line, ctx, &r);
    close(fd);
}

bool
journal_open(const struct journal_env *env, struct buf *why)
{
    struct recovery r, orphans = {0};
    struct tail     tail;

    ensure(!jl.open);
    memset(&jl, 0, sizeof jl);
    jl.env = *env;
    jl.mem = shm_worker(env->shm, env->slot);
    jl.st = &jl.mem->stats;
    retention_keep_nothing();

    if (!segment_writer_open(
            &tail, env->conf->server_state_dir, env->slot, why))
        return false;
    /* Read the journals of slots without a worker first: sessions and commands
     * that they left open may have ended in this slot's journal. */
    if (env->recover_line != NULL)
        recovery_orphans(tail.dir_fd, tail.dir, env->slot, env->shm->slots,
            env->recover_max, env->recover_line, env->ctx, &orphans);
    if (!recovery_run(tail.dir_fd, tail.dir, env->slot, env->recover_max,
            env->recover_line, env->ctx, &r, why)) {
        segment_writer_close(&tail);
        return false;
    }
    struct recovery neighbours = {0};
    if (env->neighbour_line != NULL && env->unfinished(env->ctx))
        recovery_neighbours(tail.dir_fd, tail.dir, env->slot, env->shm->slots,
            env->recover_max, env->neighbour_line, env->ctx, &neighbours);
    uint64_t above =
        r.last_any > orphans.last_any ? r.last_any : orphans.last_any;
    /* If this slot has served, the sequence is above all numbers that were
     * drawn from it. Higher ones are of the new program of an upgrade, which
     * draws them from its own sequence. */
    if (!jl.mem->served)
        raise_sequence(
            &env->shm->sequence, above != 0 ? above + UNRECORDED : 0);
    atomic_store(&jl.mem->complete_from, atomic_load(&env->shm->sequence));
    jl.reported = jl.last = r.last;
    atomic_store(&jl.mem->journal_errno, 0);
    STAT_ADD(jl.st, journal_damaged, r.bad);

    ev_async_init(&jl.done, done_cb);
    ev_prepare_init(&jl.turn, turn_cb);
    ev_async_start(env->loop, &jl.done);
    ev_prepare_start(env->loop, &jl.turn);
    if (!committer_start(&(struct committer_env){.mem = jl.mem,
                             .slots = env->shm->slots,
                             .durable = r.last,
                             .conf = env->conf,
                             .progress = progress},
            &tail, why)) {
        ev_async_stop(env->loop, &jl.done);
        ev_prepare_stop(env->loop, &jl.turn);
        return false;
    }
    /* The events of this slot's former worker are durable now, or lost. */
    atomic_store(&jl.mem->journal_floor, UINT64_MAX);
    jl.open = true;
    log_debug("journal: slot %u of %s is open, last event %016" PRIx64
              ", %" PRIu64 " events read back",
        env->slot, tail.dir, r.last, r.lines + orphans.lines);
    return true;
}

void
journal_close(void)
{
    if (!jl.open)
        return;
    ensure(jl.drawn == 0);
    committer_stop(&jl.news);
    ev_async_stop(jl.env.loop, &jl.done);
    ev_prepare_stop(jl.env.loop, &jl.turn);
    if (jl.news.lost > 0)
        log_error("journal: stopped with %" PRIu64 " events that could not be "
                  "made durable; nothing was acknowledged for them",
            jl.news.lost);
    jl.news.pending = UINT64_MAX; /* lost events will never become durable */
    take_news();
    jl.open = false;
}
