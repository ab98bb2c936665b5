/* successor: the new program's part of an upgrade. See successor.h. */
#include "upgrade/successor.h"

#include <errno.h>
#include <inttypes.h>
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
#include "upgrade/incoming.h"
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
    unsigned         tries;  /* number of heirs that were started again */
    struct result    result;
    bool             ended;    /* the old program has sent `end` */
    bool             orphaned; /* the old master is dead */
    ev_timer         late, retry;
} in = {.link = {.fd = -1}, .rest = -1};

static void begin_slots(void);
static void take_over(void);
static void start_heir(unsigned slot);

/* --- while the slots move ------------------------------------------------- */

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
                  "read%s%s; its client gets no outcome, and the journal may "
                  "have none",
            f->bad != NULL ? ", because of the value of " : "",
            f->bad != NULL ? f->bad : "");
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
             "entries; continuing. Charge points that are offline may be "
             "unknown until they connect",
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
    unsigned slot = (unsigned)fields_u64(f, "slot", CREF_SLOTS, CREF_SLOTS);

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
        begin_slots();
    } else if (strcmp(f->word, "pending") == 0) {
        take_pending(f);
    } else if (strcmp(f->word, "take") == 0) {
        incoming_take(slot);
    } else if (strcmp(f->word, "gone") == 0) {
        incoming_gone(slot, fields_bool(f, "died", false));
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

static void
begin_slots(void)
{
    in.phase = SLOTS;
    incoming_begin(&in.link, &in.result, take_over);
}

static void die(const char *why) __attribute__((noreturn));

/* Ends this program before a slot has moved: the old program continues, and
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
    if (in.phase == SLOTS)
        incoming_inherited(slot, taken, closed);
}

/* An heir has died. If the old process of the slot lives, another heir is
 * started, which takes over from it: if its heir ends before anything was sent,
 * the old process gives up the hand-over and continues to serve. */
void
successor_heir_gone(unsigned slot)
{
    bool now = in.phase == SLOTS && slot == incoming_slot();

    if (now && incoming_left()) {
        incoming_heir_lost();
        return;
    }
    if (in.phase > SLOTS || slot < incoming_slot())
        return;
    if (in.tries++ < HEIR_TRIES) {
        start_heir(slot);
        if (now)
            incoming_offer();
    } else if (incoming_slot() == 0 && !incoming_taken()) {
        struct buf why = BUF_INIT(1024);
        buf_addf(&why, "the processes that take over worker %u die: %.*s", slot,
            SHM_WORDS_MAX - 1, shm_worker(master.shm, slot)->death);
        die(buf_cstr(&why));
    } else if (now) {
        incoming_heir_lost();
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
    if (in.phase == SLOTS)
        incoming_worker_gone(slot);
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

/* The link to the old master has ended. What it has not sent is lost: the last
 * changes of counters and of the entries of offline charge points, and the
 * clients of the control socket. */
static void
link_ended(void)
{
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
    bool moved = in.phase == SLOTS && incoming_slot() == in.result.slots;
    in.orphaned = true;
    in.result.began_ms = in.result.froze_ms = clock_mono_ms();
    incoming_orphaned();
    if (in.phase == PREPARED) {
        begin_slots();
    } else if (moved) {
        take_over();
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
    in.result.slots = received_slots();
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
    begin_slots();
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
    master.shm->is_successor = true;
    control_hold(true);
    hints_freeze(true);
    supervise_begin();
    in.phase = STARTING;
    unsigned heirs =
        in.result.slots < master.slots ? in.result.slots : master.slots;
    pairs_begin(heirs, all_prepared);
    for (unsigned i = 0; i < heirs; i++)
        start_heir(i);
}
