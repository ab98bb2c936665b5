/* rebalance: spreads connections evenly over the workers. See rebalance.h. */
#include "workers/rebalance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/master.h"
#include "channel.h"
#include "log.h"
#include "workers/hints.h"
#include "workers/slot.h"
#include "workers/slot_private.h"

/* Connections passing from one worker to another. The flow ends when both have
 * reported that they are done or have died, because in the registry the giver
 * owns the connections that were sent until the taker has read them.
 */
struct flow {
    struct flow *next;
    unsigned     from, to;
    uint64_t     n;
    bool         going, given, taken;
};

static struct flow *flows;
static uint64_t     moved, left;

/* A worker gives to one worker at a time, and takes from one, because its
 * reports do not name the flow. */
static bool
is_busy(const struct flow *one)
{
    for (const struct flow *f = flows; f != NULL; f = f->next)
        if (f->going && (f->from == one->from || f->to == one->to))
            return true;
    return false;
}

bool
rebalance_is_idle(struct buf *why)
{
    if (flows == NULL)
        return true;
    buf_adds(why,
        "connections are being spread over the workers (rebalance); try again "
        "when it is done");
    return false;
}

static bool
start(struct flow *f)
{
    int                pair[2];
    struct channel_msg take = {.type = CHANNEL_inherit};
    struct channel_msg give = {.type = CHANNEL_give, .id = f->n};

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
            pair) != 0) {
        log_error(
            "rebalance: cannot make a socket pair: %s; the connections of "
            "worker %u stay there",
            strerror(errno), f->from);
        return false;
    }
    f->going = slot_send_fd(f->to, &take, pair[1]);
    if (f->going && !slot_send_fd(f->from, &give, pair[0])) {
        f->given = true; /* the taker reports that no connection has arrived */
        left += f->n;
    }
    close(pair[0]);
    close(pair[1]);
    return f->going;
}

static void
drop(struct flow *f)
{
    struct flow **at = &flows;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    free(f);
}

/* Starts the next flow of each worker that has none now. If no flow is left,
 * the rebalance has ended. */
static void
go_on(void)
{
    for (struct flow *f = flows, *next; f != NULL; f = next) {
        next = f->next;
        if (!f->going && !is_busy(f) && !start(f)) {
            left += f->n;
            drop(f);
        }
    }
    if (flows == NULL)
        log_info("rebalance: done, %llu connections have moved, %llu stayed",
            (unsigned long long)moved, (unsigned long long)left);
}

static void
drop_done(void)
{
    for (struct flow *f = flows, *next; f != NULL; f = next) {
        next = f->next;
        if (f->given && f->taken)
            drop(f);
    }
}

void
rebalance_given(unsigned slot, uint64_t given, uint64_t stayed)
{
    for (struct flow *f = flows; f != NULL; f = f->next)
        if (f->from == slot && f->going && !f->given) {
            moved += given;
            left += stayed;
            f->given = true;
            drop_done();
            go_on();
            return;
        }
}

void
rebalance_taken(unsigned slot)
{
    for (struct flow *f = flows; f != NULL; f = f->next)
        if (f->to == slot && f->going) {
            f->taken = true;
            drop_done();
            go_on();
            return;
        }
}

void
rebalance_worker_gone(unsigned slot)
{
    if (flows == NULL)
        return;
    for (struct flow *f = flows, *next; f != NULL; f = next) {
        next = f->next;
        if (!f->going && (f->from == slot || f->to == slot)) {
            left += f->n;
            drop(f);
            continue;
        }
        if (f->from == slot && !f->given) {
            left += f->n;
            f->given = true;
        }
        if (f->to == slot)
            f->taken = true;
    }
    drop_done();
    go_on();
}

/* --- the plan ------------------------------------------------------------ */

static uint64_t
connections(unsigned slot)
{
    return stat_get(&shm_worker(master.shm, slot)->stats.connections);
}

/* The number of connections that the slot has above its share; negative if
   below. */
static int64_t
surplus(unsigned slot, uint64_t total, unsigned living, unsigned rank)
{
    uint64_t share = total / living + (rank < total % living);

    return (int64_t)connections(slot) - (int64_t)share;
}

static bool
plan(unsigned from, unsigned to, uint64_t n)
{
    struct flow *f = calloc(1, sizeof *f), **at = &flows;

    if (f == NULL)
        return false;
    *f = (struct flow){.from = from, .to = to, .n = n};
    while (*at != NULL)
        at = &(*at)->next;
    *at = f;
    return true;
}

static uint64_t
plan_all(int64_t *above)
{
    uint64_t n = 0;
    unsigned to = 0;

    for (unsigned from = 0; from < master.slots; from++)
        while (above[from] > 0) {
            while (to < master.slots && above[to] >= 0)
                to++;
            if (to == master.slots)
                return n;
            int64_t some = above[from] < -above[to] ? above[from] : -above[to];
            if (!plan(from, to, (uint64_t)some))
                return n;
            above[from] -= some;
            above[to] += some;
            n += (uint64_t)some;
        }
    return n;
}

bool
rebalance_begin(struct buf *why, uint64_t *n)
{
    uint64_t total = 0;
    unsigned living = 0, rank = 0;

    if (flows != NULL) {
        buf_adds(why, "a rebalance is already in progress");
        return false;
    }
    if (hints_frozen()) {
        buf_adds(why, "an upgrade is in progress; try again when it is done");
        return false;
    }
    if (master.phase != MASTER_RUNNING) {
        buf_adds(why, "the daemon is starting or stopping");
        return false;
    }
    for (unsigned i = 0; i < master.slots; i++)
        if (slot_is_replaced(i)) {
            buf_addf(why,
                "worker %u is being replaced; try again when it is done", i);
            return false;
        }
    for (unsigned i = 0; i < master.slots; i++)
        if (slot_state(i) == SHM_WORKER_READY) {
            total += connections(i);
            living++;
        }
    if (living == 0) {
        buf_adds(why, "no worker is ready");
        return false;
    }
    int64_t *above = calloc(master.slots, sizeof *above);
    if (above == NULL) {
        buf_adds(why, "out of memory");
        return false;
    }
    for (unsigned i = 0; i < master.slots; i++)
        if (slot_state(i) == SHM_WORKER_READY)
            above[i] = surplus(i, total, living, rank++);
    moved = left = 0;
    *n = plan_all(above);
    free(above);
    go_on();
    return true;
}
