/* succession: replaces a running worker. See succession.h. */
#include "workers/succession.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/master.h"
#include "base/up.h"
#include "channel.h"
#include "clock.h"
#include "log.h"
#include "worker/worker.h"
#include "workers/child.h"
#include "workers/slot.h"
#include "workers/slot_private.h"
#include "workers/supervise_private.h"

/* Ms that are added to the time that a hand-over may take. */
#define FORMER_GRACE_MS 5000

static void
channel_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct slot_other *b = w->data;

    (void)events;
    if (!up_receive(b->slot, b->channel))
        ev_io_stop(loop, w);
}

static void
begin(struct slot_other *b, unsigned slot, pid_t pid, int channel,
    void (*died)(struct ev_loop *, ev_child *, int))
{
    *b = (struct slot_other){.pid = pid, .slot = slot, .channel = channel};
    ev_io_init(&b->io, channel_cb, channel, EV_READ);
    ev_child_init(&b->child, died, pid, 0);
    b->io.data = b->child.data = b;
    ev_child_start(master.loop, &b->child);
}

static void
forget(struct slot_other *b)
{
    ev_child_stop(master.loop, &b->child);
    ev_io_stop(master.loop, &b->io);
    close(b->channel);
    *b = (struct slot_other){.pid = 0};
}

/* Called if the heir dies before the hand-over; the worker of the slot
 * continues. */
static void
heir_died_cb(struct ev_loop *loop, ev_child *c, int events)
{
    struct slot_other *b = c->data;
    unsigned           slot = b->slot;
    char               end[CHILD_END_LEN];

    (void)loop, (void)events;
    child_end_text(end, c->rstatus);
    log_line(WIFEXITED(c->rstatus) && WEXITSTATUS(c->rstatus) == 0
            ? LOG_LEVEL_INFO
            : LOG_LEVEL_ERROR,
        "worker %u: its successor, pid %d, %s before the hand-over", slot,
        (int)b->pid, end);
    forget(b);
    slot_at(slot)->restart = false;
    supervise_ended();
}

static void
former_died_cb(struct ev_loop *loop, ev_child *c, int events)
{
    struct slot_other *b = c->data;
    unsigned           slot = b->slot;
    char               end[CHILD_END_LEN], death[CHILD_END_LEN + 32];
    bool               done =
        WIFEXITED(c->rstatus) && WEXITSTATUS(c->rstatus) == WORKER_EXIT_DONE;

    (void)loop, (void)events;
    supervise_receive_rest(slot, b->channel);
    child_end_text(end, c->rstatus);
    log_line(done ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "worker %u: pid %d %s %s",
        slot, (int)b->pid, end,
        done ? "after the hand-over" : "in the middle of the hand-over");
    forget(b);
    if (!done) {
        snprintf(death, sizeof death, "%s in the middle of a hand-over", end);
        slot_count_death(slot, death);
        /* The successor reports which of the commands it has received. */
        up_worker_gone(slot);
    }
    supervise_ended();
}

bool
succession_start(unsigned slot, struct buf *why)
{
    int                pair[2] = {-1, -1}, ends[2] = {-1, -1};
    struct channel_msg m = {.type = CHANNEL_hand_over};

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
            pair) != 0 ||
        !channel_pair(ends)) {
        buf_addf(why, "cannot make a socket pair: %s", strerror(errno));
        goto fail;
    }
    pid_t pid = supervise_fork(slot, ends[1], pair[1]);
    if (pid < 0) {
        buf_addf(why, "cannot fork: %s", strerror(errno));
        goto fail;
    }
    /* The channel of the heir is not read before the hand-over. */
    begin(&slot_at(slot)->heir, slot, pid, ends[0], heir_died_cb);
    close(ends[1]);
    close(pair[1]);
    bool sent = slot_send_fd(slot, &m, pair[0]);
    close(pair[0]);
    if (sent)
        return true;
    buf_addf(
        why, "worker %u does not read its channel: %s", slot, strerror(errno));
    kill(pid, SIGKILL);
    return false;
fail:
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        if (ends[i] >= 0)
            close(ends[i]);
    }
    return false;
}

void
succession_frozen(unsigned slot)
{
    struct slot_other *heir = &slot_at(slot)->heir;
    struct slot_other *former = &slot_at(slot)->former;
    struct channel_msg m = {.type = CHANNEL_go};
    pid_t              pid = slot_pid(slot);

    if (heir->pid == 0 || former->pid != 0 || pid == 0)
        return; /* the worker notices the end of its successor itself */
    if (!slot_send(slot, &m, NULL, 0))
        return; /* the worker gives up the hand-over */
    ev_child_stop(master.loop, &heir->child);
    int channel = supervise_replace(slot, heir->pid, heir->channel);
    *heir = (struct slot_other){.pid = 0};
    begin(former, slot, pid, channel, former_died_cb);
    former->kill_ms =
        clock_mono_ms() + master.config.upgrade_patience + FORMER_GRACE_MS;
    ev_io_start(master.loop, &former->io);
}

void
succession_kept(unsigned slot, const char *why)
{
    log_error("worker %u: its successor does not take over: %.200s", slot, why);
    slot_kill_heir(slot_at(slot));
    slot_at(slot)->restart = false;
}
