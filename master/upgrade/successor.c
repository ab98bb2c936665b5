/* successor: the new program's part of an upgrade. See successor.h. */
#include "upgrade/successor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "admin/admin.h"
#include "base/master.h"
#include "base/up.h"
#include "channel.h"
#include "clock.h"
#include "control/command.h"
#include "control/control.h"
#include "control/last_outcomes.h"
#include "control/pending_calls.h"
#include "log.h"
#include "shm.h"
#include "shm_state.h"
#include "upgrade/foreign.h"
#include "upgrade/offer.h"
#include "upgrade/pairs.h"
#include "upgrade/peer_link.h"
#include "upgrade/received.h"
#include "upgrade/result.h"
#include "workers/hints.h"
#include "workers/listen.h"
#include "workers/slot.h"
#include "workers/supervise.h"

#define HEIR_TRIES 4
#define REST_S 10 /* seconds that reading the rest of the entries may take */

enum phase {
    RECEIVE,  /* the sockets and the state arrive */
    STARTING, /* the heirs get ready to take over */
    PREPARED, /* all heirs are ready; `begin` of the old program is awaited */
    SLOTS,    /* the slots move, one after the other */
    REST,     /* a worker reads the entries that have changed since the state
               * was written */
    RUNNING   /* this program is the daemon */
};

static struct {
    enum phase       phase;
    struct peer_link link;
    int              rest;   /* file of the changed entries; -1: none */
    unsigned         reader; /* slot of the worker that reads `rest` */
    unsigned         slots;  /* number of slots of the old program */
    unsigned         tries;  /* number of heirs that were started again */

    unsigned      slot; /* the slot that moves now */
    bool          taken, gone, inherited;
    uint64_t      slot_began_ms;
    struct result result;
    bool          ended;    /* the old program has sent `end` */
    bool          orphaned; /* the old master is dead */
    ev_timer      late, retry, slot_late;
} in = {.link = {.fd = -1}, .rest = -1};

static void next_slot(void);
static void take_over(void);
static void slot_done(void);
static void start_heir(unsigned slot);

/* --- while the slots move ------------------------------------------------- */

/* Called when the old process of the slot has ended or could not be reached. */
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

static void
take_client(struct fields *f, int passed)
{
    const char    *waits;
    struct client *c = control_read(f, passed, &waits);

    if (c != NULL && waits[0] != '\0')
        c->waits = strcmp(waits, "call") == 0 ? "call" : "upgrade";
}

static void
take_pending(struct fields *f)
{
    uint64_t       former = fields_u64(f, "client", 0, UINT64_MAX);
    struct client *c = control_former(former);

    const struct pending_calls_waiter w = call_waiter(c != NULL ? c->id : 0);
    if (!pending_calls_read(f, &w))
        log_error("upgrade: a pending command of the old program cannot be "
                  "read; its outcome is missing");
}

static void
take_gone(struct fields *f)
{
    if (fields_u64(f, "slot", CREF_SLOTS, CREF_SLOTS) != in.slot ||
        in.phase != SLOTS)
        return;
    old_one_gone(fields_bool(f, "died", false));
}

static void
close_rest(void)
{
    ev_timer_stop(master.loop, &in.retry);
    if (in.rest >= 0)
        close(in.rest);
    in.rest = -1;
}

static void
rest_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    log_warn("upgrade: worker %u does not report that it has read the registry "
             "entries; continuing",
        in.reader);
    take_over();
}

/* Gives the file of changed entries to a worker; any worker can read it. */
static void
give_rest(struct ev_loop *loop, ev_timer *w, int events)
{
    struct channel_msg m = {.type = CHANNEL_entries};

    (void)loop, (void)w, (void)events;
    for (in.reader = 0; in.reader < master.slots; in.reader++)
        if (slot_send_fd(in.reader, &m, in.rest))
            return;
    ev_timer_init(&in.retry, give_rest, 0.02, 0);
    ev_timer_start(master.loop, &in.retry);
}

static void
take_rest(int passed)
{
    in.phase = REST;
    in.rest = passed;
    give_rest(master.loop, NULL, 0);
}

static void
take_end(struct fields *f)
{
    in.result.began_ms = fields_u64(f, "began_ms", clock_mono_ms(), UINT64_MAX);
    in.result.froze_ms = fields_u64(f, "froze_ms", clock_mono_ms(), UINT64_MAX);
    in.ended = true;
    if (in.phase != REST) {
        take_over();
        return;
    }
    ev_timer_init(&in.late, rest_cb, REST_S, 0);
    ev_timer_start(master.loop, &in.late);
}

static void
record(struct fields *f, int passed)
{
    if (in.phase == RECEIVE) {
        if (!received_take(f, passed) && passed >= 0)
            close(passed);
        return;
    }
    if (strcmp(f->word, "client") == 0 && passed >= 0) {
        take_client(f, passed);
        return;
    }
    if (strcmp(f->word, "begin") == 0 && in.phase == PREPARED) {
        in.phase = SLOTS;
        next_slot();
    } else if (strcmp(f->word, "pending") == 0) {
        take_pending(f);
    } else if (strcmp(f->word, "take") == 0 && in.phase == SLOTS &&
        fields_u64(f, "slot", CREF_SLOTS, CREF_SLOTS) == in.slot) {
        struct buf line = BUF_INIT(256);
        in.taken = true;
        fields_begin(&line, "took");
        fields_put_u64(&line, "slot", in.slot);
        fields_end(&line);
        peer_link_send(&in.link, &line, -1);
        buf_free(&line);
    } else if (strcmp(f->word, "gone") == 0) {
        take_gone(f);
    } else if (strcmp(f->word, "rest") == 0 && passed >= 0) {
        take_rest(passed);
        return;
    } else if (strcmp(f->word, "key") == 0) {
        access_read_key(f);
    } else if (strcmp(f->word, "end") == 0) {
        take_end(f);
    } else if (!last_outcomes_read(f) &&
        !shm_state_read_counters(master.shm, f)) {
        log_debug("upgrade: the unknown record `%s` is ignored", f->word);
    }
    if (passed >= 0)
        close(passed);
}

/* --- the slots ------------------------------------------------------------ */

/* Sends the record `heir`. The record `channel` is sent before it, because the
 * old master uses the channel as soon as it has received `heir`. */
static void
send_heir(void)
{
    struct buf line = BUF_INIT(256);
    unsigned   slot = in.slot % master.slots;

    if (in.slot < master.slots)
        offer_worker(&in.link, "channel", in.slot, slot_channel(in.slot));
    fields_begin(&line, "heir");
    fields_put_u64(&line, "slot", in.slot);
    fields_put_u64(&line, "pid", (uint64_t)slot_pid(slot));
    fields_put_u64(&line, "fd", 1);
    fields_end(&line);
    peer_link_send(&in.link, &line, pairs_end(in.slot));
    buf_free(&line);
}

/* Sends the old worker of the slot its end of the pair. */
static void
begin_slot(void)
{
    if (!in.orphaned)
        send_heir();
    else if (!foreign_lives(in.slot))
        old_one_gone(true);
    else if (!foreign_hand_over(in.slot, pairs_end(in.slot)))
        foreign_kill(in.slot);
}

static void die(const char *why) __attribute__((noreturn));

/* Ends this program before a slot has moved: the old program goes on, and
 * reports the reason. */
static void
die(const char *why)
{
    log_error("upgrade: %s; this program ends", why);
    if (!in.orphaned && in.phase != RECEIVE)
        successor_refuse(why);
    supervise_kill();
    _exit(MASTER_EXIT_FAILED);
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
    begin_slot();
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
    if (in.phase != SLOTS || !in.gone || in.inherited || pid <= 0)
        return;
    log_error("upgrade: worker %u has not taken over the connections that were "
              "sent to it within upgrade.patience; it is killed",
        slot);
    kill(pid, SIGKILL);
}

static void
next_slot(void)
{
    ev_timer_stop(master.loop, &in.slot_late);
    if (in.slot == in.slots) {
        if (in.orphaned)
            take_over();
        return; /* `end` follows */
    }
    in.gone = in.inherited = in.taken = false;
    in.slot_began_ms = clock_mono_ms();
    double patience = (double)master.config.upgrade_patience / 1000;
    ev_timer_init(&in.slot_late, heir_late_cb, patience, patience);
    ev_timer_start(master.loop, &in.slot_late);
    if (in.slot >= master.slots)
        give_to_another();
    else
        begin_slot();
}

static void
slot_done(void)
{
    struct buf line = BUF_INIT(256);

    if (!in.gone || !in.inherited)
        return;
    in.result.slot[in.slot].ms = clock_mono_ms() - in.slot_began_ms;
    fields_begin(&line, "moved");
    fields_put_u64(&line, "slot", in.slot);
    fields_put_u64(&line, "connections", in.result.slot[in.slot].connections);
    fields_put_u64(&line, "closed", in.result.slot[in.slot].closed);
    fields_put_u64(&line, "ms", in.result.slot[in.slot].ms);
    fields_end(&line);
    peer_link_send(&in.link, &line, -1);
    buf_free(&line);
    if (in.slot < master.slots)
        supervise_free(in.slot);
    in.slot++;
    next_slot();
}

void
successor_inherited(unsigned slot, uint64_t taken, uint64_t closed)
{
    if (in.phase == REST && slot == in.reader) {
        ev_timer_stop(master.loop, &in.late);
        close_rest();
        in.phase = SLOTS;
        if (in.ended)
            take_over();
        return;
    }
    if (in.phase != SLOTS || in.slot >= in.slots ||
        slot != in.slot % master.slots || in.inherited)
        return;
    in.inherited = true;
    in.result.slot[in.slot].connections = taken;
    in.result.slot[in.slot].closed = closed;
    in.result.connections += taken;
    in.result.closed += closed;
    log_info("upgrade: worker %u has taken over %" PRIu64
             " connections, %" PRIu64 " were closed",
        slot, taken, closed);
    slot_done();
}

/* An heir has died. If the old process of the slot lives, another heir is
 * started, which takes over from it: if its heir ends before anything was sent,
 * the old process gives up the hand-over and continues to serve. */
void
successor_heir_gone(unsigned slot)
{
    bool now = in.phase == SLOTS && slot == in.slot;

    if (now && in.gone) {
        in.inherited = true;
        slot_done();
        return;
    }
    if (in.phase > SLOTS || slot < in.slot)
        return;
    if (in.tries++ < HEIR_TRIES) {
        start_heir(slot);
        if (now)
            begin_slot();
    } else if (in.slot == 0 && !in.taken) {
        struct buf why = BUF_INIT(1024);
        buf_addf(&why, "the processes that take over worker %u die: %.*s", slot,
            SHM_WORDS_MAX - 1, shm_worker(master.shm, slot)->death);
        die(buf_cstr(&why));
    } else if (now) {
        in.inherited = true;
    }
}

/* Called when a worker has died whose slot had moved already. It may have been
 * the one that takes over the connections of a second slot, or the one that
 * reads `rest`. */
void
successor_worker_gone(unsigned slot)
{
    if (in.phase == REST && slot == in.reader)
        give_rest(master.loop, NULL, 0);
    if (in.phase != SLOTS || in.slot < master.slots || in.slot >= in.slots ||
        slot != in.slot % master.slots)
        return;
    in.inherited = true;
    slot_done();
}

/* --- the end -------------------------------------------------------------- */

static void
retry_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    take_over();
}

static void
take_over(void)
{
    struct buf why = BUF_INIT(4096);

    if (in.phase == RUNNING)
        return;
    if (!up_lock(&why)) {
        /* Only the old program can hold the lock. It releases the lock, or
         * dies, so a later attempt succeeds. */
        log_warn("upgrade: %s; trying again", buf_cstr(&why));
        buf_free(&why);
        ev_timer_init(&in.retry, retry_cb, 0.1, 0);
        ev_timer_start(master.loop, &in.retry);
        return;
    }
    buf_free(&why);
    in.phase = RUNNING;
    ev_timer_stop(master.loop, &in.late);
    close_rest();
    for (unsigned i = 0; i < CREF_SLOTS; i++)
        foreign_forget(i);
    if (!slot_listen_begin())
        log_error("server.listen: cannot listen: %s", strerror(errno));
    listen_close_rest();
    received_open_control();
    supervise_start();
    admin_start();
    hints_freeze(false);
    result_remember(&in.result);
    up_is_ready();
    log_info("upgrade from %s: %" PRIu64 " connections moved, %" PRIu64
             " closed, in %" PRIu64 " ms",
        in.result.former, in.result.connections, in.result.closed,
        master.shm->upgrade_took_ms);
    peer_link_say(&in.link, "running");
    peer_link_flush(&in.link, 1000);
    result_answer(&in.result);
    control_hold(false);
}

/* --- when the old master is dead ------------------------------------------ */

static void
frozen(unsigned slot)
{
    if (in.phase != SLOTS || slot != in.slot)
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
    if (in.phase == SLOTS && slot == in.slot)
        old_one_gone(!in.taken);
}

static void
slot_late_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    if (in.phase != SLOTS || in.slot >= in.slots)
        return;
    log_error("upgrade: worker %u was not moved within upgrade.patience; it is "
              "killed",
        in.slot);
    foreign_kill(in.slot);
}

/* The link to the old master has ended. What it has not sent is lost: the last
 * changes of counters and of the entries of offline charge points, and the
 * clients of the control socket. */
static void
link_ended(void)
{
    static const struct foreign_calls calls = {frozen, kept, ended};

    if (in.phase == RUNNING || in.ended)
        return;
    /* This program could not send a record. The old master is alive and
     * continues with the workers of both programs. */
    if (in.link.error != 0)
        _exit(MASTER_EXIT_FAILED);
    if (in.phase == RECEIVE)
        die("the old program has closed the connection");
    log_error(
        "upgrade: the old master has died; its workers still hand over to this "
        "program");
    in.orphaned = true;
    in.result.began_ms = in.result.froze_ms = clock_mono_ms();
    foreign_watch(&calls);
    double patience = (double)master.config.upgrade_patience / 1000;
    ev_timer_init(&in.late, slot_late_cb, patience, patience);
    ev_timer_start(master.loop, &in.late);
    if (in.phase == PREPARED) {
        in.phase = SLOTS;
        next_slot();
    } else if (in.phase == SLOTS && in.slot == in.slots) {
        take_over();
    } else if (in.phase == SLOTS && !in.gone) {
        begin_slot();
    } else if (in.phase == REST) {
        in.ended = true; /* the worker answers */
    }
}

/* --- preparation ---------------------------------------------------------- */

bool
successor_receive(int fd, struct buf *why)
{
    master.lockfd = -1;
    in.link.record = record;
    in.link.ended = link_ended;
    peer_link_open(&in.link, fd);
    while (!received_complete())
        ev_run(master.loop, EVRUN_ONCE);
    if (!received_check(why))
        return false;
    in.slots = in.result.slots = received_slots();
    snprintf(
        in.result.former, sizeof in.result.former, "%s", received_version());
    return true;
}

void
successor_refuse(const char *why)
{
    struct buf line = BUF_INIT(32768);

    fields_begin(&line, "refused");
    fields_put_bytes(&line, "why", why, strnlen(why, 4000));
    fields_end(&line);
    peer_link_send(&in.link, &line, -1);
    peer_link_flush(&in.link, 1000);
    buf_free(&line);
}

static void
all_prepared(void)
{
    if (in.phase != STARTING)
        return;
    in.phase = PREPARED;
    if (!in.orphaned) {
        peer_link_say(&in.link, "prepared");
        return;
    }
    in.phase = SLOTS;
    next_slot();
}

static void
start_heir(unsigned slot)
{
    int end = pairs_make_heir(slot);

    if (end < 0)
        die("cannot make a socket pair");
    supervise_heir(slot, end);
}

/* Starts all heirs before the first slot moves, because their preparation takes
 * longer than the hand-over. The old program serves in the meantime. */
void
successor_start(void)
{
    control_hold(true);
    hints_freeze(true);
    supervise_begin();
    in.phase = STARTING;
    unsigned heirs = in.slots < master.slots ? in.slots : master.slots;
    pairs_begin(heirs, all_prepared);
    for (unsigned i = 0; i < heirs; i++)
        start_heir(i);
}
