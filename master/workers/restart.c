/* restart: replaces a worker at an operator's request. See restart.h. */
#include "workers/restart.h"

#include "base/master.h"
#include "workers/hints.h"
#include "workers/rebalance.h"
#include "workers/slot_private.h"
#include "workers/succession.h"
#include "workers/supervise_private.h"

bool
restart_worker(unsigned n, struct buf *why)
{
    struct slot *s = slot_at(n);

    if (master.phase != MASTER_RUNNING || master.shm->upgrading) {
        buf_adds(why,
            master.shm->upgrading ? "an upgrade is in progress"
                                  : "the daemon is starting or stopping");
        return false;
    }
    if (s->pid != 0) {
        if (hints_frozen()) {
            buf_adds(why, "an upgrade is in progress");
            return false;
        }
        if (slot_is_replaced(n)) {
            buf_addf(why, "worker %u is being replaced already", n);
            return false;
        }
        if (!rebalance_is_idle(why))
            return false;
        s->restart = true;
        if (s->state == SHM_WORKER_READY) {
            s->restart = succession_start(n, why);
            return s->restart;
        }
        supervise_drain_one(s, master.config.server_drain_time);
        return true;
    }
    if (s->listeners.n == 0 &&
        !slot_listen(s, (int)master.config.server_backlog, why))
        return false;
    ev_timer_stop(master.loop, &s->respawn);
    s->backoff_ms = 0;
    supervise_start_one(s);
    return true;
}
