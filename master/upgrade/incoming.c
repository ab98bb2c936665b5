/* incoming: the slot of the old program that moves to this one now. See
 * incoming.h. */
#include "upgrade/incoming.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/master.h"
#include "channel.h"
#include "clock.h"
#include "control/pending_calls.h"
#include "fields.h"
#include "log.h"
#include "upgrade/foreign.h"
#include "upgrade/offer.h"
#include "upgrade/pairs.h"
#include "workers/slot.h"
#include "workers/supervise.h"

static struct {
    struct peer_link *link;
    struct result    *result; /* NULL before incoming_begin() */
    void (*done)(void);
    unsigned slot;
    bool     taken, gone, inherited;
    bool     orphaned; /* the old master is dead */
    uint64_t began_ms; /* of this slot */
    ev_timer heir_late, old_late;
} in;

static void next_slot(void);

static bool
moves(void)
{
    return in.result != NULL && in.slot < in.result->slots;
}

unsigned
incoming_slot(void)
{
    return in.slot;
}

bool
incoming_taken(void)
{
    return in.taken;
}

bool
incoming_left(void)
{
    return in.gone;
}

/* --- both conditions ------------------------------------------------------ */

static void
slot_done(void)
{
    struct buf line = BUF_INIT(256);

    if (!in.gone || !in.inherited)
        return;
    in.result->slot[in.slot].ms = clock_mono_ms() - in.began_ms;
    fields_begin(&line, "moved");
    fields_put_u64(&line, "slot", in.slot);
    fields_put_u64(&line, "connections", in.result->slot[in.slot].connections);
    fields_put_u64(&line, "closed", in.result->slot[in.slot].closed);
    fields_put_u64(&line, "ms", in.result->slot[in.slot].ms);
    fields_end(&line);
    peer_link_send(in.link, &line, -1);
    buf_free(&line);
    if (in.slot < master.slots)
        supervise_free(in.slot);
    in.slot++;
    next_slot();
}

/* The old process has ended or could not be reached. */
static void
old_one_gone(bool died)
{
    in.gone = true;
    pairs_close(in.slot);
    if (died) {
        log_warn("upgrade: the old process of worker %u has ended during its "
                 "hand-over; connections that had not moved are lost",
            in.slot);
        pending_calls_worker_gone(in.slot % master.slots);
    }
    slot_done();
}

void
incoming_gone(unsigned slot, bool died)
{
    if (moves() && slot == in.slot)
        old_one_gone(died);
}

void
incoming_inherited(unsigned slot, uint64_t taken, uint64_t closed)
{
    if (!moves() || slot != in.slot % master.slots || in.inherited)
        return;
    in.inherited = true;
    in.result->slot[in.slot].connections = taken;
    in.result->slot[in.slot].closed = closed;
    in.result->connections += taken;
    in.result->closed += closed;
    log_info("upgrade: worker %u has taken over %" PRIu64
             " connections, %" PRIu64 " were closed",
        slot, taken, closed);
    slot_done();
}

void
incoming_heir_lost(void)
{
    in.inherited = true;
    slot_done();
}

void
incoming_worker_gone(unsigned slot)
{
    if (moves() && in.slot >= master.slots && slot == in.slot % master.slots)
        incoming_heir_lost();
}

/* --- the hand-over -------------------------------------------------------- */

/* Sends the record `heir`. The record `channel` is sent before it, because the
 * old master uses the channel as soon as it has received `heir`. */
static void
send_heir(void)
{
    struct buf line = BUF_INIT(256);
    unsigned   slot = in.slot % master.slots;

    if (in.slot < master.slots)
        offer_worker(in.link, "channel", in.slot, slot_channel(in.slot));
    fields_begin(&line, "heir");
    fields_put_u64(&line, "slot", in.slot);
    fields_put_u64(&line, "pid", (uint64_t)slot_pid(slot));
    fields_put_u64(&line, "fd", 1);
    fields_end(&line);
    peer_link_send(in.link, &line, pairs_end(in.slot));
    buf_free(&line);
}

void
incoming_offer(void)
{
    if (!in.orphaned)
        send_heir();
    else if (!foreign_lives(in.slot))
        old_one_gone(true);
    else if (!foreign_hand_over(in.slot, pairs_end(in.slot)))
        foreign_kill(in.slot);
}

void
incoming_take(unsigned slot)
{
    struct buf line = BUF_INIT(256);

    if (!moves() || slot != in.slot)
        return;
    in.taken = true;
    fields_begin(&line, "took");
    fields_put_u64(&line, "slot", in.slot);
    fields_end(&line);
    peer_link_send(in.link, &line, -1);
    buf_free(&line);
}

/* Moves a slot that the new program does not have, because it has fewer: a
 * running worker takes its connections over. */
static void
give_to_another(void)
{
    struct channel_msg m = {.type = CHANNEL_inherit};
    int                end = pairs_make(in.slot);

    if (end < 0) {
        log_error("upgrade: cannot make a socket pair: %s; the connections of "
                  "worker %u are lost",
            strerror(errno), in.slot);
        _exit(MASTER_EXIT_FAILED);
    }
    if (!slot_send_fd(in.slot % master.slots, &m, end))
        in.inherited = true;
    close(end);
    incoming_offer();
}

/* Kills an heir that does not take over the connections that were sent to it.
 * They are lost, because the slot's old process has ended, but the other slots
 * still move. This timer is shorter than that of the old master, which would
 * end this program and all heirs. */
static void
heir_late_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    unsigned slot = in.slot % master.slots;
    pid_t    pid = slot_pid(slot);

    (void)loop, (void)w, (void)events;
    if (!moves() || !in.gone || in.inherited || pid <= 0)
        return;
    log_error("upgrade: worker %u has not taken over the connections that were "
              "sent to it within upgrade.patience; it is killed",
        slot);
    kill(pid, SIGKILL);
}

static void
start_timer(ev_timer *t, void (*cb)(struct ev_loop *, ev_timer *, int))
{
    double patience = (double)master.config.upgrade_patience / 1000;

    ev_timer_init(t, cb, patience, patience);
    ev_timer_start(master.loop, t);
}

static void
next_slot(void)
{
    ev_timer_stop(master.loop, &in.heir_late);
    if (!moves()) {
        if (in.orphaned)
            in.done();
        return; /* `end` follows */
    }
    in.gone = in.inherited = in.taken = false;
    in.began_ms = clock_mono_ms();
    start_timer(&in.heir_late, heir_late_cb);
    if (in.slot >= master.slots)
        give_to_another();
    else
        incoming_offer();
}

void
incoming_begin(struct peer_link *l, struct result *result, void (*done)(void))
{
    in.link = l;
    in.result = result;
    in.done = done;
    next_slot();
}

/* --- after the death of the old master ------------------------------------ */

static void
frozen(unsigned slot)
{
    if (!moves() || slot != in.slot)
        return;
    in.taken = true;
    foreign_go(slot);
}

/* A worker of the old program has given up the hand-over. If its heir has died,
 * another heir is started (successor_heir_gone()). For any other reason the
 * worker is killed, because it has no master any more. */
static void
kept(unsigned slot, bool heir, const char *why)
{
    if (heir)
        return;
    log_error("upgrade: worker %u does not hand over: %.200s", slot, why);
    foreign_kill(slot);
}

static void
ended(unsigned slot)
{
    incoming_gone(slot, !in.taken);
}

static void
old_late_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    if (!moves())
        return;
    log_error("upgrade: worker %u was not moved within upgrade.patience; it is "
              "killed",
        in.slot);
    foreign_kill(in.slot);
}

void
incoming_orphaned(void)
{
    static const struct foreign_calls calls = {frozen, kept, ended};

    in.orphaned = true;
    foreign_watch(&calls);
    start_timer(&in.old_late, old_late_cb);
    if (moves() && !in.gone)
        incoming_offer();
}
