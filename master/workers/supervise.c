/*
 * supervise: the worker slots. See supervise.h.
 *
 * The master promises that a dead worker costs its own connections and
 * nothing else: its listeners stay open here, its numbers stay in shared
 * memory, and its successor finds both.
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

#include "workers/adoption.h"
#include "workers/child.h"
#include "clock.h"
#include "ensure.h"
#include "workers/listen.h"
#include "workers/rebalance.h"
#include "workers/succession.h"
#include "workers/supervise_private.h"
#include "workers/tls_keeper.h"
#include "log.h"
#include "base/master.h"
#include "base/up.h"
#include "worker/worker.h"

/* seen so often in a row: not after a pause of all processes */
#define STUCK_TICKS 3
#define ABORT_GRACE_MS 5000 /* from SIGABRT to SIGKILL */
#define DRAIN_GRACE_MS 5000 /* beyond the drain time and the last close */
#define DEATH_WORDS 160     /* of its last words, in `status` */
#define START_TRIES 5       /* deaths before the first readiness */

struct slot {
    unsigned              n;
    bool                  inheriting; /* connections are on their way to it */
    struct listen_set     listeners;
    int                   channel; /* the master's end; -1: no process */
    ev_io                 io;
    ev_child              child;
    ev_timer              respawn;
    pid_t                 pid; /* 0 without a process */
    enum shm_worker_state state;
    uint64_t              born;
    uint64_t              started_ms;
    uint64_t              ready_ms; /* 0 until it was */
    uint64_t              backoff_ms;
    uint64_t              kill_ms;  /* when SIGKILL is due; 0 never */
    unsigned              stuck;    /* ticks without progress */
    unsigned              deaths;   /* unexpected ones */
    unsigned              tries;    /* deaths before the daemon was ready */
    unsigned              owed;     /* bit t: a hint of type t is to be sent */
    uint64_t              drain_ms; /* arg of an owed drain */
    uint64_t              lived_ms; /* when it last accepted connections */
    bool                  restart;  /* an operator asked for a successor */
    bool                  leaving;  /* its connections go to a new program */
    bool                  awaits;   /* the old program's process of the slot */
    int                   inherit;  /* the next process takes over from there */
};

static struct slot *slots;
static ev_timer     tick, pulse;
static bool         frozen; /* no worker accepts connections */

static void start(struct slot *s);

static struct shm_worker *
shared(const struct slot *s)
{
    return shm_worker(master.shm, s->n);
}

static void
set_state(struct slot *s, enum shm_worker_state state)
{
    s->state = state;
    atomic_store(&shared(s)->state, (int)state);
}

enum shm_worker_state
supervise_state(unsigned n)
{
    return n < master.slots ? slots[n].state : SHM_WORKER_DOWN;
}

/* A copy with its NUL, printable, of bytes that another process may be writing
 * at this moment. */
static const char *
last_words(const struct slot *s, char out[SHM_WORDS_MAX])
{
    memcpy(out, shared(s)->words, SHM_WORDS_MAX);
    out[SHM_WORDS_MAX - 1] = '\0';
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return out;
}

/* --- datagrams to a worker ----------------------------------------------- */

bool
supervise_send(
    unsigned slot, struct channel_msg *msg, const void *body, size_t n)
{
    if (slot >= master.slots || slots[slot].channel < 0) {
        errno = EPIPE;
        return false;
    }
    return channel_send(slots[slot].channel, msg, body, n);
}

/* With a descriptor; nothing is to be sent if there is none. */
bool
supervise_send_fd(unsigned slot, struct channel_msg *msg, int passed)
{
    return slots[slot].channel >= 0 &&
        channel_send_fd(slots[slot].channel, msg, passed);
}

static bool
send_passed(struct slot *s, struct channel_msg *m, int passed)
{
    if (passed < 0)
        return true;
    if (s->channel < 0) {
        errno = EPIPE;
        return false;
    }
    return channel_send_fd(s->channel, m, passed);
}

static void
pay(struct slot *s)
{
    static const enum channel_type hints[] = {CHANNEL_config, CHANNEL_tls,
        CHANNEL_reopen, CHANNEL_freeze, CHANNEL_drain};

    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        if (!(s->owed & 1u << hints[i]))
            continue;
        struct channel_msg m = {.type = hints[i]};
        if (hints[i] == CHANNEL_drain)
            m.arg = s->drain_ms;
        if (hints[i] == CHANNEL_freeze)
            m.arg = frozen;
        bool sent = hints[i] == CHANNEL_tls
            ? send_passed(s, &m, tls_keeper_bundle())
            : hints[i] == CHANNEL_reopen ? send_passed(s, &m, log_fd())
                                         : supervise_send(s->n, &m, NULL, 0);
        if (!sent && errno == EAGAIN)
            return; /* the tick comes back to it */
        s->owed &= ~(1u << hints[i]);
    }
}

void
supervise_notify_all(enum channel_type type)
{
    for (unsigned i = 0; i < master.slots; i++)
        if (slots[i].pid != 0) {
            slots[i].owed |= 1u << type;
            pay(&slots[i]);
        }
}

static void
drain_one(struct slot *s, uint64_t ms)
{
    s->drain_ms = ms;
    s->owed |= 1u << CHANNEL_drain;
    /* A charge point that does not answer the close is waited for so long. */
    s->kill_ms = clock_mono_ms() + ms + master.config.websocket_close_timeout +
        DRAIN_GRACE_MS;
    set_state(s, SHM_WORKER_DRAINING);
    pay(s);
}

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
    /* The other end is closed: the death itself follows by ev_child. What was
     * received may have made the channel that of the former process, and w
     * watches its successor's then. */
    if (!up_receive(s->n, channel) && s->channel == channel)
        ev_io_stop(loop, w);
}

static void
respawn_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)events;
    start(w->data);
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
        .held = frozen};

    worker_main(&boot);
}

static void died_cb(struct ev_loop *loop, ev_child *w, int events);

pid_t
supervise_fork(unsigned slot, int channel, int inherit)
{
    struct slot *s = &slots[slot];
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

static void
start(struct slot *s)
{
    struct shm_worker *w = shared(s);
    int                ends[2];

    ensure(s->pid == 0);
    if (succession_has_former(s->n)) { /* it still has the journal */
        start_later(s, 20);
        return;
    }
    if (!channel_pair(ends)) {
        log_error("worker %u: cannot make its channel: %s; trying again", s->n,
            strerror(errno));
        start_later(s, child_backoff(&s->backoff_ms, 0));
        return;
    }
    /* Written before the process exists: it may be ready at once. */
    memset(w->words, 0, sizeof w->words);
    atomic_store(&w->alive_ms, clock_mono_ms());
    atomic_store(&w->started_ms, clock_mono_ms());
    /* What an heir takes over was claimed by former processes, and lives. */
    s->born = s->inherit >= 0 ? 0 : atomic_load(&master.shm->sequence);
    atomic_store(&w->born, s->born);
    atomic_fetch_add(&w->incarnation, 1);
    set_state(s, SHM_WORKER_STARTING);

    pid_t pid = supervise_fork(s->n, ends[1], s->inherit);
    close(ends[1]);
    if (s->inherit >= 0)
        close(s->inherit);
    s->inherit = -1;
    if (pid < 0) {
        log_error(
            "worker %u: cannot fork: %s; trying again", s->n, strerror(errno));
        close(ends[0]);
        set_state(s, SHM_WORKER_DOWN);
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
    struct slot *s = &slots[n];

    if (supervise_state(n) != SHM_WORKER_STARTING)
        return; /* it is being drained already */
    s->ready_ms = clock_mono_ms();
    set_state(s, SHM_WORKER_READY);
    log_info("worker %u: ready, pid %d, after %" PRIu64 " ms", n, (int)s->pid,
        s->ready_ms - s->started_ms);
    if (master.phase != MASTER_STARTING)
        return;
    for (unsigned i = 0; i < master.slots; i++)
        if (slots[i].ready_ms == 0)
            return;
    up_is_ready();
}

/* --- death --------------------------------------------------------------- */

static bool
any_left(void)
{
    for (unsigned i = 0; i < master.slots; i++)
        if (slots[i].pid != 0 || succession_under_way(i))
            return true;
    return false;
}

void
supervise_ended(void)
{
    if (master.phase >= MASTER_DRAINING && !any_left())
        up_end();
}

void
supervise_count_death(unsigned n, const char *text)
{
    struct shm_worker *w = shared(&slots[n]);

    snprintf(w->death, sizeof w->death, "%s", text);
    atomic_store(&w->died_wall_ms, clock_wall_ms());
    atomic_store(&w->deaths, ++slots[n].deaths);
}

static void
log_death(struct slot *s, int status, uint64_t lived)
{
    char end[CHILD_END_LEN], age[CLOCK_DURATION_LEN], words[SHM_WORDS_MAX];
    char death[sizeof shared(s)->death];
    bool expected = master.phase == MASTER_STOPPING ||
        (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_DONE &&
            (s->restart || s->leaving || master.phase == MASTER_DRAINING));

    child_end_text(end, status);
    clock_duration(age, lived);
    last_words(s, words);
    log_line(expected ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
        "worker %u: pid %d %s after %s, with %" PRIu64 " connections%s%s", s->n,
        (int)s->pid, end, age, stat_get(&shared(s)->stats.connections),
        words[0] ? "; its last words: " : "", words);
    if (expected)
        return;
    snprintf(death, sizeof death, "%s%s%.*s", end, words[0] ? ": " : "",
        DEATH_WORDS, words);
    supervise_count_death(s->n, death);
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

    last_words(s, words);
    set_state(s, SHM_WORKER_FAILED);
    if (master.phase == MASTER_STARTING) {
        char why[SHM_WORDS_MAX + 64];
        snprintf(why, sizeof why, "worker %u cannot work: %s", s->n,
            words[0] ? words : "it gave no reason");
        up_cannot_start(why);
    }
    /* Open sockets without an accepting worker would still get their share
     * of the clients. */
    listen_close(&s->listeners);
    up_worker_failed(s->n);
    log_error("worker %u: stays down, its share of clients goes to the "
              "others; remove the cause, then `ocppctl worker-restart %u`",
        s->n, s->n);
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

    succession_kill(s->n);
    bool asked = s->restart;
    bool was_ready = s->ready_ms != 0;
    s->pid = 0;
    s->owed = 0;
    s->kill_ms = 0;
    s->restart = s->inheriting = false;
    atomic_store(&shared(s)->pid, 0);
    set_state(s, SHM_WORKER_DOWN);
    stats_zero_gauges(&shared(s)->stats);
    up_worker_gone(s->n);

    if (s->leaving && master.phase < MASTER_DRAINING) {
        set_state(s, SHM_WORKER_MOVED);
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
    if (master.phase == MASTER_STARTING && !was_ready &&
        ++s->tries >= START_TRIES) {
        char end[CHILD_END_LEN], words[SHM_WORDS_MAX], why[512];
        child_end_text(end, status);
        last_words(s, words);
        snprintf(why, sizeof why,
            "worker %u died %u times before it was ready; it %s%s%s", s->n,
            s->tries, end, words[0] ? ": " : "", words);
        up_cannot_start(why);
    }
    uint64_t wait = asked ? 0 : child_backoff(&s->backoff_ms, lived);
    if (wait > 1000)
        log_warn("worker %u: keeps dying; its successor starts in %" PRIu64
                 " ms",
            s->n, wait);
    if (wait == 0)
        start(s);
    else
        start_later(s, wait);
}

void
supervise_goes_on(unsigned n)
{
    slots[n].restart = false;
}

int
supervise_replace(unsigned n, pid_t pid, int channel)
{
    struct slot       *s = &slots[n];
    struct shm_worker *w = shared(s);
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
    /* What the former process was notified of since its successor began. */
    s->owed |= 1u << CHANNEL_config | 1u << CHANNEL_tls | 1u << CHANNEL_reopen |
        1u << CHANNEL_freeze;
    pay(s);
    adoption_replaced(n);
    return former;
}

void
supervise_inherited(unsigned n)
{
    slots[n].inheriting = false;
}

/* --- watching ------------------------------------------------------------ */

static void
watch_progress(struct slot *s, uint64_t now)
{
    uint64_t alive = atomic_load(&shared(s)->alive_ms);

    if (alive < s->ready_ms)
        alive = s->ready_ms;
    if (supervise_state(s->n) != SHM_WORKER_READY ||
        now < alive + master.config.server_stuck_timeout) {
        s->stuck = 0;
        return;
    }
    if (++s->stuck != STUCK_TICKS)
        return;
    log_error("worker %u: pid %d made no progress for %" PRIu64
              " s; aborting it, so that a core shows where it hangs",
        s->n, (int)s->pid, (now - alive) / 1000);
    kill(s->pid, SIGABRT);
    s->kill_ms = now + ABORT_GRACE_MS;
}

static void
tick_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    uint64_t now = clock_mono_ms();

    (void)loop, (void)w, (void)events;
    /* The master's values in shared memory are written again, so that a
     * stray store to them has an effect only until the next tick. */
    if (shm_config_mend(master.shm))
        log_error("the configuration in shared memory was overwritten by "
                  "something; restored");
    atomic_store(&master.shm->draining, master.phase >= MASTER_DRAINING);
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = &slots[i];
        atomic_store(&shared(s)->pid, s->pid);
        atomic_store(&shared(s)->state, (int)s->state);
        atomic_store(&shared(s)->started_ms, s->started_ms);
        atomic_store(&shared(s)->born, s->born);
        succession_tick(i, now);
        if (s->pid == 0)
            continue;
        pay(s);
        watch_progress(s, now);
        if (s->kill_ms != 0 && now >= s->kill_ms) {
            log_error("worker %u: pid %d did not end in time; killing it", s->n,
                (int)s->pid);
            kill(s->pid, SIGKILL);
            s->kill_ms = 0;
        }
    }
    up_tick();
}

/* New connections do not wait for a worker that hangs. */
static void
pulse_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    uint64_t now = clock_mono_ms();

    if (master.phase != MASTER_RUNNING || frozen)
        return;
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = &slots[i];
        uint64_t     alive = atomic_load(&shared(s)->alive_ms);
        if (s->lived_ms == 0)
            s->lived_ms = now;
        /* A time ahead of the clock was not written by the worker. */
        if (s->state == SHM_WORKER_READY && alive <= now)
            s->lived_ms = alive;
        adoption_look(i, &s->listeners, s->lived_ms, now);
    }
}

/* --- the daemon's life --------------------------------------------------- */

static bool
open_listeners(struct slot *s, int backlog, struct buf *why)
{
    const struct config *c = &master.config;

    return listen_open(&s->listeners, LISTENER_PLAIN, s->n, "server.listen",
               c->server_listen, backlog, why) &&
        listen_open(&s->listeners, LISTENER_TLS, s->n, "server.listen_tls",
            c->server_listen_tls, backlog, why);
}

bool
supervise_listen(struct buf *why)
{
    const struct config *c = &master.config;
    bool                 inherits = master.phase == MASTER_INHERITING;

    if (!inherits &&
        (!listen_probe("server.listen", c->server_listen, why) ||
            !listen_probe("server.listen_tls", c->server_listen_tls, why)))
        return false;
    slots = calloc(master.slots, sizeof *slots);
    ensure(slots != NULL);
    succession_begin();
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = &slots[i];
        s->n = i;
        s->channel = s->inherit = -1;
        if (!open_listeners(s, inherits ? 0 : (int)c->server_backlog, why))
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
    ev_timer_init(&tick, tick_cb, 1, 1);
    ev_timer_start(master.loop, &tick);
    ev_timer_init(
        &pulse, pulse_cb, 0.001 * ADOPTION_PULSE_MS, 0.001 * ADOPTION_PULSE_MS);
    ev_timer_start(master.loop, &pulse);
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = &slots[i];
        ev_init(&s->io, channel_cb);
        ev_init(&s->respawn, respawn_cb);
        s->io.data = s->respawn.data = s;
    }
}

void
supervise_start(void)
{
    for (unsigned i = 0; i < master.slots; i++)
        if (slots[i].pid == 0 && !ev_is_active(&slots[i].respawn) &&
            slots[i].state != SHM_WORKER_FAILED)
            start(&slots[i]);
}

/* --- an upgrade ---------------------------------------------------------- */

bool
supervise_settled(unsigned n)
{
    const struct slot *s = &slots[n];

    return s->state != SHM_WORKER_STARTING && s->state != SHM_WORKER_DRAINING &&
        !succession_under_way(n);
}

pid_t
supervise_pid(unsigned n)
{
    return slots[n].pid;
}

int
supervise_channel(unsigned n)
{
    return slots[n].channel;
}

const struct listen_set *
supervise_listeners(unsigned n)
{
    return &slots[n].listeners;
}

bool
supervise_is_frozen(void)
{
    return frozen;
}

void
supervise_freeze(bool on)
{
    frozen = on;
    supervise_notify_all(CHANNEL_freeze);
}

bool
supervise_hand_over(unsigned n, int end, bool must)
{
    struct slot       *s = &slots[n];
    struct channel_msg m = {.type = CHANNEL_hand_over, .arg = must};

    ev_timer_stop(master.loop, &s->respawn);
    s->leaving = true;
    if (s->pid != 0)
        return supervise_send_fd(n, &m, end);
    set_state(s, SHM_WORKER_MOVED);
    return false;
}

void
supervise_keep(unsigned n)
{
    struct slot *s = &slots[n];

    s->leaving = false;
    if (s->pid == 0)
        start(s);
}

void
supervise_heir(unsigned n, int end)
{
    slots[n].inherit = end;
    slots[n].awaits = true;
    start(&slots[n]);
}

void
supervise_free(unsigned n)
{
    struct slot *s = &slots[n];

    s->awaits = false;
    if (s->pid == 0 && !ev_is_active(&s->respawn))
        start(s);
}

bool
supervise_listen_begin(void)
{
    bool good = true;

    for (unsigned i = 0; i < master.slots; i++)
        good &= listen_begin(
            &slots[i].listeners, (int)master.config.server_backlog);
    return good;
}

void
supervise_drain(uint64_t ms)
{
    for (unsigned i = 0; i < master.slots; i++) {
        ev_timer_stop(master.loop, &slots[i].respawn);
        succession_cancel(i);
        if (slots[i].pid != 0)
            drain_one(&slots[i], ms);
    }
    if (!any_left())
        up_end();
}

bool
supervise_kill(void)
{
    for (unsigned i = 0; i < master.slots; i++) {
        ev_timer_stop(master.loop, &slots[i].respawn);
        if (slots[i].pid != 0)
            kill(slots[i].pid, SIGKILL);
        succession_kill(i);
    }
    return any_left();
}

bool
supervise_is_replaced(unsigned n)
{
    const struct slot *s = &slots[n];

    return s->restart || s->inheriting || succession_under_way(n);
}

bool
supervise_restart(unsigned n, struct buf *why)
{
    struct slot *s = &slots[n];

    if (master.phase != MASTER_RUNNING || master.shm->upgrading) {
        buf_adds(why,
            master.shm->upgrading ? "an upgrade is under way"
                                  : "the daemon is starting or stopping");
        return false;
    }
    if (s->pid != 0) {
        if (frozen) {
            buf_adds(why, "an upgrade is under way");
            return false;
        }
        if (supervise_is_replaced(n)) {
            buf_addf(why, "worker %u is being replaced already", n);
            return false;
        }
        if (rebalance_under_way()) {
            buf_adds(why,
                "connections are being spread over the workers "
                "(rebalance); try again when it is done");
            return false;
        }
        s->restart = true;
        if (s->state == SHM_WORKER_READY) {
            s->restart = succession_start(n, why);
            return s->restart;
        }
        drain_one(s, master.config.server_drain_time);
        return true;
    }
    if (s->listeners.n == 0 &&
        !open_listeners(s, (int)master.config.server_backlog, why))
        return false;
    ev_timer_stop(master.loop, &s->respawn);
    s->backoff_ms = 0;
    start(s);
    return true;
}
