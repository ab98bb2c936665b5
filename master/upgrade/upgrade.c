/* upgrade: the old program's side of an upgrade. See upgrade.h. */
#include "upgrade/upgrade.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "base/master.h"
#include "base/up.h"
#include "channel.h"
#include "clock.h"
#include "control/control.h"
#include "control/control_socket.h"
#include "control/pending_calls.h"
#include "log.h"
#include "sd_notify.h"
#include "shm_state.h"
#include "upgrade/check.h"
#include "upgrade/foreign.h"
#include "upgrade/heirs.h"
#include "upgrade/offer.h"
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
    pid_t             pid; /* pid of the new master; 0: none */
    struct peer_link  link;
    ev_child          child;
    ev_timer          deadline;
    struct state_file file;
    uint64_t          began_ms, froze_ms;
    unsigned          slot;  /* the slot that moves now */
    bool              taken; /* the new program has the commands of the
                                slot */
    bool asked;              /* the slot's process was asked to hand over */
    bool killed;             /* ... and was killed, because it did not answer */
    bool went;               /* `go` was sent to the slot's process */
    bool left;               /* the slot's process has ended */
    bool ended;              /* the link has ended */
    bool prepared;           /* in PREPARE: everything is prepared but the
                              * files */
    ev_timer files;
    unsigned moved; /* number of slots that have moved */
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

static void
kill_new_master(void)
{
    up_next_pid(0);
    if (up.pid == 0)
        return;
    ev_child_stop(master.loop, &up.child);
    child_kill(&up.pid);
}

/* True if processes of a new program have connections. */
static bool
has_moved(void)
{
    return up.again > 0 || (up.phase >= MOVE && (up.moved > 0 || up.taken));
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
    log_error("upgrade to %s: %s; the old program goes on%s", up.program, text,
        lost ? ", without the connections of the slots that had moved" : "");
    program_stop();
    ev_timer_stop(master.loop, &up.deadline);
    peer_link_close(&up.link);
    state_file_close(&up.file);
    kill_new_master();
    heirs_kill_all();
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    bool was_frozen = up.phase >= MOVE || up.again > 0;
    up.phase = IDLE;
    const struct result r = {.began_ms = up.began_ms,
        .connections = up.connections,
        .closed = up.closed};
    result_remember_failure(&r, text);
    if (was_frozen) {
        struct buf why = BUF_INIT(1024);
        if (!up_lock(&why))
            log_error("%s", buf_cstr(&why));
        buf_free(&why);
        control_socket_accept(true);
        hints_freeze(false);
        for (unsigned i = 0; i < master.slots; i++) {
            if (slot_state(i) == SHM_WORKER_MOVED)
                pending_calls_worker_gone(i);
            supervise_keep(i);
        }
    }
    control_hold(false);
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
    if (!up.asked || up.taken || up.killed || !has_moved())
        return false;
    log_error("upgrade to %s: worker %u does not hand over within "
              "upgrade.patience; it is killed",
        up.program, up.slot);
    up.killed = true;
    if (foreign_lives(up.slot))
        foreign_kill(up.slot);
    else if (slot_pid(up.slot) > 0)
        kill(slot_pid(up.slot), SIGKILL);
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
        give_up("worker %u was not moved within upgrade.patience", up.slot);
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
        buf_adds(why, "an upgrade is under way");
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
    kill_new_master();
    heirs_kill_all();
    peer_link_close(&up.link);
    up.phase = IDLE;
}

pid_t
upgrade_successor(void)
{
    return up.pid;
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
new_master_died(struct ev_loop *loop, ev_child *w, int events)
{
    char how[CHILD_END_LEN];

    (void)events;
    ev_child_stop(loop, w);
    up.pid = 0;
    child_end_text(how, w->rstatus);
    give_up("the new program %s", how);
}

static void
prepare(void)
{
    int ends[2];

    up.phase = PREPARE;
    up.prepared = false;
    up.connections = up.closed = 0;
    up.moved = up.slot = 0;
    up.asked = up.killed = up.taken = up.went = up.left = up.ended = false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        give_up("cannot make a socket pair: %s", strerror(errno));
        return;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    up.pid = program_start(up.argv, ends[1]);
    close(ends[1]);
    if (up.pid < 0) {
        up.pid = 0;
        close(ends[0]);
        give_up("cannot fork: %s", strerror(errno));
        return;
    }
    ev_child_init(&up.child, new_master_died, up.pid, 0);
    ev_child_start(master.loop, &up.child);
    up_next_pid(up.pid);
    up.link.record = record;
    up.link.ended = link_ended;
    peer_link_open(&up.link, ends[0]);
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
    bool nothing = up.again == 0 && up.moved == 0 && !up.went;

    if (nothing || !has_moved() || up.again == AGAIN_MAX)
        return false;
    up.again++;
    log_error("upgrade to %s: %s; it is started again, and takes over from %u "
              "workers of the former attempt",
        up.program, why, up.moved);
    ev_timer_stop(master.loop, &up.deadline);
    peer_link_close(&up.link);
    state_file_close(&up.file);
    kill_new_master();
    /* Numbers that the other segment has drawn must not be drawn again. */
    atomic_fetch_add(&master.shm->sequence, 2 * SHM_STATE_NUMBERS);
    for (unsigned i = 0; i < up.slot; i++)
        heirs_adopt(i);
    if (up.left)
        heirs_adopt(up.slot);
    bool sends = up.went && !up.left;
    if (!sends && up.slot < CREF_SLOTS)
        heirs_kill(up.slot);
    foreign_watch(&foreign_calls);
    control_socket_accept(true);
    struct buf no_lock = BUF_INIT(1024);
    if (!up_lock(&no_lock))
        log_error("%s", buf_cstr(&no_lock));
    buf_free(&no_lock);
    up.phase = AGAIN;
    if (sends)
        set_deadline(SLOT_GRACE_MS);
    else
        prepare_soon();
    return true;
}

/* --- slot by slot --------------------------------------------------------- */

static void
send_take(unsigned slot)
{
    offer_commands(&up.link, slot);
    offer_slot(&up.link, "take", slot, false);
    up.taken = true;
}

/* Sends `go`, for which the slot's process waits, when the new program has the
 * commands: an outcome must not arrive there before its command. */
void
upgrade_frozen(unsigned slot)
{
    if (up.phase == MOVE && slot == up.slot && !up.left)
        send_take(slot);
}

/* Called when the slot's process has given up. heir: it has given up because
 * its heir has ended; then the new program starts another one. */
void
upgrade_kept(unsigned slot, bool heir, const char *why)
{
    if (up.phase == AGAIN && slot == up.slot)
        prepare_soon();
    else if (up.phase == MOVE && slot == up.slot && !heir)
        give_up("worker %u goes on: %s", slot, why);
}

void
upgrade_worker_left(unsigned slot, bool well)
{
    if (up.phase == AGAIN && slot == up.slot) {
        up.left = true;
        heirs_adopt(slot);
        foreign_watch(&foreign_calls);
        prepare_soon();
        return;
    }
    if (up.phase != MOVE || slot != up.slot) {
        /* The upgrade has ended, or will end before this slot. */
        if (up.phase == IDLE)
            supervise_keep(slot);
        return;
    }
    if (up.left)
        return;
    bool died = !well || !up.taken;
    if (!up.taken)
        send_take(slot);
    up.left = true;
    if (died)
        state_file_lost(&up.file, slot);
    offer_slot(&up.link, "gone", slot, died);
}

static void
heir_is_there(unsigned slot, int end)
{
    if (slot != up.slot || end < 0) {
        if (end >= 0)
            close(end);
        give_up("the new program has asked for worker %u out of turn", slot);
        return;
    }
    bool sent = false;
    if (foreign_lives(slot))
        sent = foreign_hand_over(slot, end);
    else if (!up.left)
        sent = supervise_hand_over(slot, end, has_moved());
    int error = errno; /* after EPIPE the death of the process is reported */
    close(end);
    up.asked = true;
    if (sent || up.left)
        return;
    if (slot_pid(slot) == 0 && !foreign_lives(slot))
        upgrade_worker_left(slot, false); /* there is no process */
    else if (error == EAGAIN)
        give_up("worker %u does not read its channel", slot);
}

static void
send_go(void)
{
    struct channel_msg m = {.type = CHANNEL_go};

    up.went = true;
    if (!foreign_go(up.slot))
        slot_send(up.slot, &m, NULL, 0);
}

static void
slot_moved(struct fields *f)
{
    up.connections += fields_u64(f, "connections", 0, UINT32_MAX);
    up.closed += fields_u64(f, "closed", 0, UINT32_MAX);
    up.moved++;
    up.slot++;
    up.asked = up.killed = up.taken = up.went = up.left = false;
    next_slot();
}

static void
next_slot(void)
{
    if (up.slot == master.slots) {
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

/* True if systemd reads the new master's pid from the file when this process
 * has ended (PIDFile=); the unit gives the name of the file. The new master is
 * a child of systemd then. After a notification of MAINPID, while this process
 * is its parent, `systemctl stop` would not wait for its end: all workers would
 * be killed at once. */
static bool
manager_reads_file(void)
{
    const char *file = up_next_pid(up.pid);
    const char *read = getenv("OCPPD_PIDFILE_NEXT");

    return file != NULL && read != NULL && strcmp(file, read) == 0;
}

static void
leave(void)
{
    ev_timer_stop(master.loop, &up.deadline);
    if (!manager_reads_file()) {
        sd_notify_main_pid(up.pid);
        up_next_pid(0);
    }
    log_info("upgrade to %s: process %d has taken over %" PRIu64
             " connections; this program ends",
        up.program, (int)up.pid, up.connections);
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
        if (slot == up.slot)
            send_go();
    } else if (strcmp(f->word, "moved") == 0 && up.phase == MOVE &&
        slot == up.slot) {
        slot_moved(f);
    } else if (strcmp(f->word, "running") == 0 && up.phase == FINISH) {
        leave();
    }
    if (passed >= 0)
        close(passed);
}
