/* watch: checks that the workers make progress. See watch.h. */
#include "workers/watch.h"

#include <inttypes.h>
#include <signal.h>

#include <ev.h>

#include "base/master.h"
#include "base/up.h"
#include "clock.h"
#include "log.h"
#include "workers/adoption.h"
#include "workers/hints.h"
#include "workers/slot.h"
#include "workers/slot_private.h"

/* A worker counts as hanging after this many ticks in a row without progress,
 * so that a pause of all processes is not mistaken for a hang. */
#define STUCK_TICKS 3
#define ABORT_GRACE_MS 5000 /* ms from SIGABRT to SIGKILL */

static ev_timer tick, pulse;

static void
watch_progress(struct slot *s, uint64_t now)
{
    uint64_t alive = atomic_load(&slot_shared(s)->alive_ms);

    if (alive < s->ready_ms)
        alive = s->ready_ms;
    if (slot_state(s->n) != SHM_WORKER_READY ||
        now < alive + master.config.server_stuck_timeout) {
        s->stuck = 0;
        return;
    }
    if (++s->stuck != STUCK_TICKS)
        return;
    log_error("worker %u: pid %d made no progress for %" PRIu64
              " s; it is aborted, so that a core dump shows where it hangs",
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
        log_error("the configuration in shared memory was overwritten by a "
                  "fault of this program, and is restored; please report it");
    atomic_store(&master.shm->draining, master.phase >= MASTER_DRAINING);
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        atomic_store(&slot_shared(s)->pid, s->pid);
        atomic_store(&slot_shared(s)->state, (int)s->state);
        atomic_store(&slot_shared(s)->started_ms, s->started_ms);
        atomic_store(&slot_shared(s)->born, s->born);
        if (s->former.pid != 0 && now >= s->former.kill_ms)
            kill(s->former.pid, SIGKILL);
        if (s->pid == 0)
            continue;
        hints_send(s);
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

/* Looks for workers that hang, so that new connections do not wait for them. */
static void
pulse_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    uint64_t now = clock_mono_ms();

    if (master.phase != MASTER_RUNNING || hints_frozen())
        return;
    for (unsigned i = 0; i < master.slots; i++) {
        struct slot *s = slot_at(i);
        uint64_t     alive = atomic_load(&slot_shared(s)->alive_ms);
        if (s->lived_ms == 0)
            s->lived_ms = now;
        /* A time in the future was written by a stray store. */
        if (s->state == SHM_WORKER_READY && alive <= now)
            s->lived_ms = alive;
        adoption_look(i, &s->listeners, s->lived_ms, now);
    }
}

void
watch_begin(void)
{
    ev_timer_init(&tick, tick_cb, 1, 1);
    ev_timer_start(master.loop, &tick);
    ev_timer_init(
        &pulse, pulse_cb, 0.001 * ADOPTION_PULSE_MS, 0.001 * ADOPTION_PULSE_MS);
    ev_timer_start(master.loop, &pulse);
}
