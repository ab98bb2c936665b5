/* upgrade: the old program's side of an upgrade. See upgrade.h. */
#include "upgrade/upgrade.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "base/master.h"
#include "base/up.h"
#include "clock.h"
#include "control/control.h"
#include "control/control_socket.h"
#include "control/pending_calls.h"
#include "log.h"
#include "shm_state.h"
#include "upgrade/check.h"
#include "upgrade/foreign.h"
#include "upgrade/heirs.h"
#include "upgrade/next_master.h"
#include "upgrade/offer.h"
#include "upgrade/outgoing.h"
#include "upgrade/peer_link.h"
#include "upgrade/program.h"
#include "upgrade/result.h"
#include "upgrade/state_file.h"
#include "worker/worker.h"
#include "workers/child.h"
#include "workers/hints.h"
#include "workers/slot.h"
#include "workers/supervise.h"

#define ARGS_MAX 640
/* s to wait for the end of the process after the end of the link */
#define DEATH_S 1.0
#define AGAIN_MAX 2 /* attempts after the first */
/* ms that a worker has in addition to upgrade.patience */
#define SLOT_GRACE_MS 5000

/* In phase AGAIN the new master has died, and the process of the slot that
 * moves still sends its connections. */
enum phase { IDLE, CHECK, PREPARE, MOVE, AGAIN, FINISH };

static struct {
    enum phase        phase;
    char              program[CONF_TEXT_MAX];
    char             *argv[ARGS_MAX];
    struct peer_link  link;
    ev_timer          deadline;
    struct state_file file;
    uint64_t          began_ms, froze_ms;
    bool              ended;    /* the link has ended */
    bool              prepared; /* in PREPARE: everything is prepared but the
                                 * files */
    ev_timer files;
    uint64_t connections, closed;
    unsigned again; /* new masters that have died */
} up = {.link = {.fd = -1}};

static void prepare(void);
static void next_slot(void);
static void finish(void);
static bool try_again(const char *why);

bool
upgrade_running(void)
{
    return up.phase != IDLE;
}

/* --- the end of an attempt ------------------------------------------------ */

/* True if processes of a new program have connections. */
static bool
has_moved(void)
{
    return up.again > 0 || (up.phase >= MOVE && outgoing_begun());
}

/* Takes back the locks that the new program may have had. */
static void
lock_again(void)
{
    struct buf why = BUF_INIT(1024);

    if (!up_lock(&why))
        log_error("%s", buf_cstr(&why));
    buf_free(&why);
}

static void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the attempt; this program continues. */
static void
give_up(const char *fmt, ...)
{
    char    text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (up.link.error != 0)
        snprintf(text, sizeof text,
            "a record cannot be sent to the new program: %s",
            strerror(up.link.error));
    up.link.error = 0;
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20)
            *p = *p == '\n' && p[1] == '\0' ? '\0' : ' ';
    if (try_again(text))
        return;
    bool lost = has_moved();
    log_error("upgrade to %s: %s; the old program continues%s", up.program,
        text,
        lost ? ", without the connections of the slots that had moved" : "");
    program_stop();
    ev_timer_stop(master.loop, &up.deadline);
    peer_link_close(&up.link);
    state_file_close(&up.file);
    next_master_kill();
    heirs_kill_all();
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    bool was_frozen = up.phase >= MOVE || up.again > 0;
    up.phase = IDLE;
    const struct result r = {.began_ms = up.began_ms,
        .connections = up.connections,
        .closed = up.closed};
    result_remember_failure(&r, text);
    if (was_frozen) {
        lock_again();
        control_socket_accept(true);
        hints_freeze(false);
        for (unsigned i = 0; i < master.slots; i++) {
            if (slot_state(i) == SHM_WORKER_MOVED)
                pending_calls_worker_gone(i);
            supervise_keep(i);
        }
    }
    control_hold(false);
    up_upgrade_failed();
}

static void late_cb(struct ev_loop *loop, ev_timer *w, int events);

static void
set_deadline(uint64_t more_ms)
{
    ev_timer_stop(master.loop, &up.deadline);
    ev_timer_init(&up.deadline, late_cb,
        (double)(master.config.upgrade_patience + more_ms) / 1000, 0);
    ev_timer_start(master.loop, &up.deadline);
}

/* Kills the slot's old process, which does not answer, so that this costs only
 * its own connections: the attempts that give_up() makes would need an answer
 * of the same process, and without it the slots that have moved would be lost.
 * False before the first slot has moved, and if the process was killed already.
 */
static bool
kill_silent_worker(void)
{
    if (!has_moved() || !outgoing_kill_silent())
        return false;
    log_error("upgrade to %s: worker %u does not hand over within "
              "upgrade.patience; it is killed",
        up.program, outgoing_slot());
    set_deadline(SLOT_GRACE_MS);
    return true;
}

static void
late_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    if (up.ended) {
        give_up("the new program has closed the connection; its log has "
                "more");
        return;
    }
    switch (up.phase) {
    case PREPARE:
        give_up(up.prepared
                ? "the disk of the configuration, credentials or deny list "
                  "did not answer within upgrade.patience"
                : "the new program was not prepared within upgrade.patience");
        break;
    case MOVE:
        if (kill_silent_worker())
            break;
        /* fallthrough */
    case AGAIN:
        give_up(
            "worker %u was not moved within upgrade.patience", outgoing_slot());
        break;
    case FINISH:
        give_up("the new program did not take over within upgrade.patience");
        break;
    default:
        break;
    }
}

/* --- the begin ------------------------------------------------------------ */

static void
checked(const char *why)
{
    if (why != NULL)
        give_up("%s", why);
    else
        prepare();
}

bool
upgrade_begin(const char *program, struct buf *why)
{
    if (up.phase != IDLE) {
        buf_adds(why, "an upgrade is in progress");
        return false;
    }
    if (!check_daemon(why))
        return false;
    if (program == NULL)
        program = master.program;
    if (program[0] != '/') {
        buf_addf(why, "%s: give the whole path of the program", program);
        return false;
    }
    snprintf(up.program, sizeof up.program, "%s", program);
    up.argv[0] = up.program;
    int n = 1;
    for (; n < master.argc && n < ARGS_MAX - 3; n++)
        up.argv[n] = master.argv[n];
    up.argv[n] = NULL;
    up.began_ms = clock_mono_ms();
    up.again = 0;
    up.phase = CHECK;
    master.shm->upgrading = true;
    log_info("upgrade to %s: checking it", up.program);
    check_program(up.argv, (unsigned)master.config.upgrade_patience, checked);
    return true;
}

bool
upgrade_cancel(const char *why)
{
    if (up.phase == IDLE)
        return true;
    if (has_moved())
        return false;
    give_up("%s", why);
    return true;
}

void
upgrade_abort(void)
{
    if (up.phase == IDLE)
        return;
    program_stop();
    next_master_kill();
    heirs_kill_all();
    peer_link_close(&up.link);
    up.phase = IDLE;
}

/* --- preparation ---------------------------------------------------------- */

static void
state_written(int fd)
{
    if (fd < 0) {
        give_up("no memory for the state of the daemon: %s", strerror(errno));
        return;
    }
    offer_file(&up.link, "state", fd);
}

static void record(struct fields *f, int passed);

static void
link_ended(void)
{
    /* Usually the process ends next, and its exit code is a better reason.
     */
    up.ended = true;
    ev_timer_stop(master.loop, &up.deadline);
    ev_timer_set(&up.deadline, DEATH_S, 0);
    ev_timer_start(master.loop, &up.deadline);
}

static void
new_master_died(const char *how)
{
    give_up("the new program %s", how);
}

static void
prepare(void)
{
    struct buf why = BUF_INIT(256);

    up.phase = PREPARE;
    up.prepared = false;
    up.connections = up.closed = 0;
    up.ended = false;
    outgoing_first(&up.link, &up.file);
    int end = next_master_start(up.argv, new_master_died, &why);
    if (end < 0)
        give_up("%s", buf_cstr(&why));
    buf_free(&why);
    if (end < 0)
        return;
    up.link.record = record;
    up.link.ended = link_ended;
    peer_link_open(&up.link, end);
    set_deadline(0);
    offer_first(&up.link);
    state_file_write(&up.file, state_written);
}

/* --- a second attempt ----------------------------------------------------- */

static void
foreign_ended(unsigned slot)
{
    int status = heirs_reap(slot);

    upgrade_worker_left(
        slot, WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_DONE);
}

static const struct foreign_calls foreign_calls = {
    upgrade_frozen, upgrade_kept, foreign_ended};

static void
soon_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop, (void)w, (void)events;
    prepare();
}

/* The call is deferred, because the caller may be the former link. */
static void
prepare_soon(void)
{
    ev_timer_stop(master.loop, &up.deadline);
    ev_timer_init(&up.deadline, soon_cb, 0, 0);
    ev_timer_start(master.loop, &up.deadline);
}

/* The new master has ended, and its workers have connections. Starts the new
 * program again, which takes over from these workers and from those of this
 * program. False after AGAIN_MAX attempts. */
static bool
try_again(const char *why)
{
    bool nothing = up.again == 0 && outgoing_slot() == 0 && !outgoing_went();

    if (nothing || !has_moved() || up.again == AGAIN_MAX)
        return false;
    up.again++;
    log_error("upgrade to %s: %s; it is started again, and takes over from %u "
              "workers of the former attempt",
        up.program, why, outgoing_slot());
    ev_timer_stop(master.loop, &up.deadline);
    peer_link_close(&up.link);
    state_file_close(&up.file);
    next_master_kill();
    /* Numbers that the other segment has drawn must not be drawn again. */
    atomic_fetch_add(&master.shm->sequence, 2 * SHM_STATE_NUMBERS);
    outgoing_adopt();
    foreign_watch(&foreign_calls);
    control_socket_accept(true);
    lock_again();
    up.phase = AGAIN;
    if (outgoing_sends())
        set_deadline(SLOT_GRACE_MS);
    else
        prepare_soon();
    return true;
}

/* --- slot by slot --------------------------------------------------------- */

void
upgrade_frozen(unsigned slot)
{
    if (up.phase == MOVE && slot == outgoing_slot())
        outgoing_frozen();
}

/* Called when the slot's process has given up. heir: it has given up because
 * its heir has ended; then the new program starts another one. */
void
upgrade_kept(unsigned slot, bool heir, const char *why)
{
    if (up.phase == AGAIN && slot == outgoing_slot())
        prepare_soon();
    else if (up.phase == MOVE && slot == outgoing_slot() && !heir)
        give_up("worker %u continues: %s", slot, why);
}

void
upgrade_worker_left(unsigned slot, bool well)
{
    bool now = slot == outgoing_slot();

    if (up.phase == AGAIN && now) {
        outgoing_adopt_last();
        foreign_watch(&foreign_calls);
        prepare_soon();
    } else if (up.phase == MOVE && now) {
        outgoing_left(well);
    } else if (up.phase == IDLE) {
        /* The upgrade has ended. In any other phase it ends before this slot
         * moves. */
        supervise_keep(slot);
    }
}

static void
heir_is_there(unsigned slot, int end)
{
    struct buf why = BUF_INIT(256);

    if (!outgoing_heir(slot, end, has_moved(), &why))
        give_up("%s", buf_cstr(&why));
    buf_free(&why);
}

static void
slot_moved(struct fields *f)
{
    up.connections += fields_u64(f, "connections", 0, UINT32_MAX);
    up.closed += fields_u64(f, "closed", 0, UINT32_MAX);
    outgoing_next();
    next_slot();
}

static void
next_slot(void)
{
    if (outgoing_slot() == master.slots) {
        finish();
        return;
    }
    set_deadline(SLOT_GRACE_MS);
}

static void
move(void)
{
    up.phase = MOVE;
    up.froze_ms = clock_mono_ms();
    log_info(
        "upgrade to %s: it is prepared; the workers hand over", up.program);
    control_hold(true);
    hints_freeze(true);
    peer_link_say(&up.link, "begin");
    next_slot();
}

/* True while changes by operators are being written. They must be in the files
 * before the new program can change the files. */
static bool
files_are_busy(void)
{
    return files_busy() || up_reloading();
}

static void
files_cb(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)events;
    if (up.phase == PREPARE && up.prepared && files_are_busy())
        return;
    ev_timer_stop(loop, w);
    if (up.phase == PREPARE && up.prepared)
        move();
}

static void
move_soon(void)
{
    up.prepared = true;
    if (!files_are_busy() || has_moved()) {
        move();
        return;
    }
    ev_timer_stop(master.loop, &up.files);
    ev_timer_init(&up.files, files_cb, 0.02, 0.02);
    ev_timer_start(master.loop, &up.files);
}

/* --- the end -------------------------------------------------------------- */

static void
rest_written(int fd)
{
    if (fd >= 0)
        offer_file(&up.link, "rest", fd);
    control_socket_accept(false);
    offer_last(&up.link);
    up_unlock();
    offer_end(&up.link, up.began_ms, up.froze_ms);
}

static void
finish(void)
{
    up.phase = FINISH;
    set_deadline(0);
    state_file_write_rest(&up.file, rest_written);
}

static void
leave(void)
{
    ev_timer_stop(master.loop, &up.deadline);
    next_master_announce();
    log_info("upgrade to %s: process %d has taken over %" PRIu64
             " connections; this program ends",
        up.program, (int)next_master_pid(), up.connections);
    up_succeeded();
}

static void
record(struct fields *f, int passed)
{
    unsigned slot = (unsigned)fields_u64(f, "slot", CREF_SLOTS, CREF_SLOTS - 1);

    if (strcmp(f->word, "prepared") == 0 && up.phase == PREPARE) {
        move_soon();
    } else if (strcmp(f->word, "refused") == 0 &&
        (up.phase == PREPARE || (up.phase == MOVE && !has_moved()))) {
        give_up("%s", fields_str(f, "why", 4096));
    } else if (strcmp(f->word, "heir") == 0 && up.phase == MOVE &&
        slot < CREF_SLOTS) {
        heirs_process(slot, (pid_t)fields_u64(f, "pid", 0, INT32_MAX));
        heir_is_there(slot, passed);
        return;
    } else if (strcmp(f->word, "channel") == 0 && slot < CREF_SLOTS &&
        passed >= 0) {
        heirs_channel(slot, passed);
        return;
    } else if (strcmp(f->word, "took") == 0 && up.phase == MOVE) {
        if (slot == outgoing_slot())
            outgoing_go();
    } else if (strcmp(f->word, "moved") == 0 && up.phase == MOVE &&
        slot == outgoing_slot()) {
        slot_moved(f);
    } else if (strcmp(f->word, "running") == 0 && up.phase == FINISH) {
        leave();
    }
    if (passed >= 0)
        close(passed);
}
