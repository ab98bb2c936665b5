/*
 * supervise: how worker processes start and end. See supervise.h.
 *
 * A dead worker costs its own connections and nothing else: its listeners stay
 * open in the master, its counters stay in shared memory, and its successor
 * uses both.
 */
#include "workers/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/master.h"
#include "base/up.h"
#include "clock.h"
#include "ensure.h"
#include "log.h"
#include "worker/worker.h"
#include "workers/adoption.h"
#include "workers/child.h"
#include "workers/hints.h"
#include "workers/slot.h"
#include "workers/slot_private.h"
#include "workers/supervise_private.h"
#include "workers/tls_keeper.h"
#include "workers/watch.h"

/* Ms that are added to the drain time and the close timeout. */
#define DRAIN_GRACE_MS 5000
#define DEATH_WORDS 160 /* bytes of a worker's last message in `status` */
#define START_TRIES 5   /* deaths before the first readiness */

/* --- start --------------------------------------------------------------- */

static void
close_channel(struct slot *s)
{
    if (s->channel < 0)
        return;
    ev_io_stop(master.loop, &s->io);
    close(s->channel);
    s->channel = -1;
}

static void
channel_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct slot *s = w->data;
    int          channel = s->channel;

    (void)events;
    /* If up_receive() is false, the other end is closed, and ev_child reports
     * the death. A datagram that was received may have made this channel that
     * of the former process; then w watches the channel of the successor. */
    if (!up_receive(s->n, channel) && s->channel == channel)
        ev_io_stop(loop, w);
}

static void
respawn_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)events;
    supervise_start_one(w->data);
}

static void
start_later(struct slot *s, uint64_t ms)
{
    ev_timer_stop(master.loop, &s->respawn);
    ev_timer_set(&s->respawn, (double)ms / 1000, 0);
    ev_timer_start(master.loop, &s->respawn);
}

static void run_child(struct slot *s, int channel, int inherit)
    __attribute__((noreturn));

static void
run_child(struct slot *s, int channel, int inherit)
{
    struct worker_boot boot = {.shm = master.shm,
        .slot = s->n,
        .channel = channel,
        .listeners = s->listeners.at,
        .n_listeners = s->listeners.n,
        .tls_bundle = tls_keeper_bundle(),
        .inherit = inherit,
        .held = hints_frozen()};

    worker_main(&boot);
}

static void died_cb(struct ev_loop *loop, ev_child *w, int events);

pid_t
supervise_fork(unsigned slot, int channel, int inherit)
{
    struct slot *s = slot_at(slot);
    int          keep[LISTEN_ADDRESSES + 5];
    size_t       n = 0;

    keep[n++] = channel;
    keep[n++] = inherit;
    keep[n++] = master.memfd;
    keep[n++] = master.lockfd;
    keep[n++] = tls_keeper_bundle();
    for (unsigned i = 0; i < s->listeners.n; i++)
        keep[n++] = s->listeners.at[i].fd;
    pid_t pid = child_fork(keep, n);
    if (pid == 0)
        run_child(s, channel, inherit);
    return pid;
}

void
supervise_start_one(struct slot *s)
{
    struct shm_worker *w = slot_shared(s);
    int                ends[2];

    ensure(s->pid == 0);
    if (s->former.pid != 0) { /* the former process still has the journal */
        start_later(s, 20);
        return;
    }
    if (!channel_pair(ends)) {
        log_error("worker %u: cannot make its channel: %s; trying again%s",
            s->n, strerror(errno),
            errno == EMFILE || errno == ENFILE
                ? " (raise LimitNOFILE of the unit, or `ulimit -n`)"
                : "");
        start_later(s, child_backoff(&s->backoff_ms, 0));
        return;
    }
    /* These words are stored before the fork, because the process may be ready
     * at once. */
    memset(w->words, 0, sizeof w->words);
    atomic_store(&w->alive_ms, clock_mono_ms());
    atomic_store(&w->started_ms, clock_mono_ms());
    /* An heir takes over sessions that were claimed by former processes, so
     * none of them counts as dead. */
    s->born = s->inherit >= 0 ? 0 : atomic_load(&master.shm->sequence);
    atomic_store(&w->born, s->born);
    atomic_fetch_add(&w->incarnation, 1);
    slot_set_state(s, SHM_WORKER_STARTING);

    pid_t pid = supervise_fork(s->n, ends[1], s->inherit);
    close(ends[1]);
    if (s->inherit >= 0)
        close(s->inherit);
    s->inherit = -1;
    if (pid < 0) {
        log_error(
            "worker %u: cannot start its process: %s; trying again (raise "
            "TasksMax= of the unit or `ulimit -u`, or give it memory)",
            s->n, strerror(errno));
        close(ends[0]);
        slot_set_state(s, SHM_WORKER_DOWN);
        start_later(s, child_backoff(&s->backoff_ms, 0));
        return;
    }
    atomic_store(&w->pid, pid);
    s->pid = pid;
    s->channel = ends[0];
    s->started_ms = clock_mono_ms();
    s->ready_ms = s->kill_ms = 0;
    s->stuck = s->owed = 0;
    s->restart = false;
    ev_io_set(&s->io, s->channel, EV_READ);
    ev_io_start(master.loop, &s->io);
    ev_child_init(&s->child, died_cb, pid, 0);
    s->child.data = s;
    ev_child_start(master.loop, &s->child);
    log_debug("worker %u: started, pid %d", s->n, (int)pid);
}

void
supervise_ready(unsigned n)
{
    struct slot *s = slot_at(n);

    if (slot_state(n) != SHM_WORKER_STARTING)
        return; /* the worker is being drained */
    s->ready_ms = clock_mono_ms();
    slot_set_state(s, SHM_WORKER_READY);
    log_info("worker %u: ready, pid %d, after %" PRIu64 " ms", n, (int)s->pid,
        s->ready_ms - s->started_ms);
    if (master.phase != MASTER_STARTING)
        return;
    for (unsigned i = 0; i < master.slots; i++)
        if (slot_at(i)->ready_ms == 0)
            return;
    up_is_ready();
}

/* --- death --------------------------------------------------------------- */

static bool
any_left(void)
{
    for (unsigned i = 0; i < master.slots; i++)
        if (slot_at(i)->pid != 0 || slot_has_other(slot_at(i)))
            return true;
    return false;
}

void
supervise_ended(void)
{
    if (master.phase >= MASTER_DRAINING && !any_left())
        up_end();
}

static void
log_death(struct slot *s, int status, uint64_t lived)
{
    char end[CHILD_END_LEN], age[CLOCK_DURATION_LEN], words[SHM_WORDS_MAX];
    char death[sizeof slot_shared(s)->death];
    bool expected = master.phase == MASTER_STOPPING ||
        (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_DONE &&
            (s->restart || s->leaving || master.phase == MASTER_DRAINING));

    child_end_text(end, status);
    clock_duration(age, lived);
    slot_last_words(s, words);
    log_line(expected ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
        "worker %u: pid %d %s after %s, with %" PRIu64 " connections%s%s", s->n,
        (int)s->pid, end, age, stat_get(&slot_shared(s)->stats.connections),
        words[0] ? "; its last words: " : "", words);
    if (expected)
        return;
    snprintf(death, sizeof death, "%s%s%.*s", end, words[0] ? ": " : "",
        DEATH_WORDS, words);
    slot_count_death(s->n, death);
}

static bool
has_more(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

void
supervise_receive_rest(unsigned slot, int channel)
{
    while (up_receive(slot, channel) && has_more(channel))
        ;
}

static void
fail_slot(struct slot *s)
{
    char words[SHM_WORDS_MAX];

    slot_last_words(s, words);
    slot_set_state(s, SHM_WORKER_FAILED);
    if (master.phase == MASTER_STARTING) {
        char why[SHM_WORDS_MAX + 64];
        snprintf(why, sizeof why, "worker %u cannot work: %s", s->n,
            words[0] ? words : "it gave no reason");
        up_cannot_start(why);
    }
    /* Sockets that stay open without a worker would still receive their share
     * of the clients. */
    listen_close(&s->listeners);
    up_worker_failed(s->n);
    log_error(
        "worker %u: stays down, and the other workers serve its share of the "
        "clients; remove the cause, then `ocppctl worker-restart %u`",
        s->n, s->n);
}

/* asked: an operator has requested the start, so there is no delay. */
static void
start_again(
    struct slot *s, int status, uint64_t lived, bool asked, bool was_ready)
{
    if (master.phase == MASTER_STARTING && !was_ready &&
        ++s->tries >= START_TRIES) {
        char end[CHILD_END_LEN], words[SHM_WORDS_MAX], why[512];
        child_end_text(end, status);
        slot_last_words(s, words);
        snprintf(why, sizeof why,
            "worker %u died %u times before it was ready; it %s%s%s", s->n,
            s->tries, end, words[0] ? ": " : "", words);
        up_cannot_start(why);
    }
    uint64_t wait = asked ? 0 : child_backoff(&s->backoff_ms, lived);
    if (wait > 1000)
        log_warn(
            "worker %u: dies again and again; its successor starts in %" PRIu64
            " ms",
            s->n, wait);
    if (wait == 0)
        supervise_start_one(s);
    else
        start_later(s, wait);
}

static void
died_cb(struct ev_loop *loop, ev_child *c, int events)
{
    struct slot *s = c->data;
    int          status = c->rstatus;
    uint64_t     lived = clock_mono_ms() - s->started_ms;
    bool         stay_down =
        WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_STAY_DOWN;

    (void)events;
    ev_child_stop(loop, c);
    supervise_receive_rest(s->n, s->channel);
    close_channel(s);
    log_death(s, status, lived);

    slot_kill_others(s);
    bool asked = s->restart;
    bool was_ready = s->ready_ms != 0;
    s->pid = 0;
    s->owed = 0;
    s->kill_ms = 0;
    s->restart = s->inheriting = false;
    atomic_store(&slot_shared(s)->pid, 0);
    slot_set_state(s, SHM_WORKER_DOWN);
    stats_zero_gauges(&slot_shared(s)->stats);
    up_worker_gone(s->n);

    if (s->leaving && master.phase < MASTER_DRAINING) {
        slot_set_state(s, SHM_WORKER_MOVED);
        up_worker_left(
            s->n, WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_DONE);
        return;
    }
    if (master.phase >= MASTER_DRAINING) {
        supervise_ended();
        return;
    }
    if (s->awaits) {
        up_heir_gone(s->n);
        return;
    }
    if (stay_down) {
        fail_slot(s);
        return;
    }
    start_again(s, status, lived, asked, was_ready);
}

int
supervise_replace(unsigned n, pid_t pid, int channel)
{
    struct slot       *s = slot_at(n);
    struct shm_worker *w = slot_shared(s);
    int                former = s->channel;

    ev_io_stop(master.loop, &s->io);
    ev_child_stop(master.loop, &s->child);
    s->pid = pid;
    s->channel = channel;
    ev_io_set(&s->io, s->channel, EV_READ);
    ev_io_start(master.loop, &s->io);
    ev_child_init(&s->child, died_cb, s->pid, 0);
    s->child.data = s;
    ev_child_start(master.loop, &s->child);
    atomic_store(&w->pid, s->pid);
    s->started_ms = s->ready_ms = clock_mono_ms();
    atomic_store(&w->started_ms, s->started_ms);
    atomic_fetch_add(&w->incarnation, 1);
    s->restart = false;
    s->inheriting = true;
    s->stuck = 0;
    /* The notifications that the former process received since its successor
     * was started are repeated. */
    s->owed |= 1u << CHANNEL_config | 1u << CHANNEL_tls | 1u << CHANNEL_reopen |
        1u << CHANNEL_freeze;
    hints_send(s);
    adoption_replaced(n);
    return former;
}

void
supervise_inherited(unsigned n)
{
    slot_at(n)->inheriting = false;
}

/* --- the daemon's life --------------------------------------------------- */

bool
supervise_listen(struct buf *why)
{
    const struct config *c = &master.config;
    bool                 inherits = master.phase == MASTER_INHERITING;

    if (!inherits &&
        (!listen_probe("server.listen", c->server_listen, why) ||
            !listen_probe("server.listen_tls", c->server_listen_tls, why)))
        return false;
    slot_create();
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        if (!slot_listen(s, inherits ? 0 : (int)c->server_backlog, why))
            return false;
        listen_take_rest(
            &s->listeners, LISTENER_PLAIN, c->server_listen, i, master.slots);
        listen_take_rest(
            &s->listeners, LISTENER_TLS, c->server_listen_tls, i, master.slots);
    }
    return true;
}

void
supervise_begin(void)
{
    watch_begin();
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        ev_init(&s->io, channel_cb);
        ev_init(&s->respawn, respawn_cb);
        s->io.data = s->respawn.data = s;
    }
}

void
supervise_start(void)
{
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        if (s->pid == 0 && !ev_is_active(&s->respawn) &&
            s->state != SHM_WORKER_FAILED)
            supervise_start_one(s);
    }
}

/* --- an upgrade ---------------------------------------------------------- */

bool
supervise_hand_over(unsigned n, int end, bool must)
{
    struct slot       *s = slot_at(n);
    struct channel_msg m = {.type = CHANNEL_hand_over, .arg = must};

    ev_timer_stop(master.loop, &s->respawn);
    s->leaving = true;
    if (s->pid != 0)
        return slot_send_fd(n, &m, end);
    slot_set_state(s, SHM_WORKER_MOVED);
    return false;
}

void
supervise_keep(unsigned n)
{
    struct slot *s = slot_at(n);

    s->leaving = false;
    if (s->pid == 0)
        supervise_start_one(s);
}

void
supervise_heir(unsigned n, int end)
{
    struct slot *s = slot_at(n);

    s->inherit = end;
    s->awaits = true;
    supervise_start_one(s);
}

void
supervise_free(unsigned n)
{
    struct slot *s = slot_at(n);

    s->awaits = false;
    if (s->pid == 0 && !ev_is_active(&s->respawn))
        supervise_start_one(s);
}

/* --- the end of all ------------------------------------------------------ */

void
supervise_drain_one(struct slot *s, uint64_t ms)
{
    s->drain_ms = ms;
    s->owed |= 1u << CHANNEL_drain;
    /* A charge point that does not answer the close frame delays the end by the
       close timeout. */
    s->kill_ms = clock_mono_ms() + ms + master.config.websocket_close_timeout +
        DRAIN_GRACE_MS;
    slot_set_state(s, SHM_WORKER_DRAINING);
    hints_send(s);
}

void
supervise_drain(uint64_t ms)
{
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        ev_timer_stop(master.loop, &s->respawn);
        slot_kill_heir(s);
        if (s->pid != 0)
            supervise_drain_one(s, ms);
    }
    if (!any_left())
        up_end();
}

bool
supervise_kill(void)
{
    if (!slot_created())
        return false; /* the program ends before it has workers */
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        ev_timer_stop(master.loop, &s->respawn);
        if (s->pid != 0)
            kill(s->pid, SIGKILL);
        slot_kill_others(s);
    }
    return any_left();
}
