/* foreign: worker processes that another master has started. See foreign.h. */
#include "upgrade/foreign.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ev.h>

#include "base/master.h"
#include "channel.h"

#define PER_TURN 64 /* datagrams */

static struct foreign {
    int   channel, process; /* descriptors plus 1; 0: none */
    ev_io in, end;
} workers[CREF_SLOTS];

static const struct foreign_calls *calls;

static void
close_channel(struct foreign *f)
{
    ev_io_stop(master.loop, &f->in);
    if (f->channel != 0)
        close(f->channel - 1);
    f->channel = 0;
}

static void
close_process(struct foreign *f)
{
    ev_io_stop(master.loop, &f->end);
    if (f->process != 0)
        close(f->process - 1);
    f->process = 0;
}

void
foreign_forget(unsigned slot)
{
    close_channel(&workers[slot]);
    close_process(&workers[slot]);
}

void
foreign_channel(unsigned slot, int fd)
{
    close_channel(&workers[slot]);
    workers[slot].channel = fd + 1;
}

void
foreign_process(unsigned slot, int fd)
{
    close_process(&workers[slot]);
    workers[slot].process = fd + 1;
}

int
foreign_channel_fd(unsigned slot)
{
    return workers[slot].channel - 1;
}

int
foreign_process_fd(unsigned slot)
{
    return workers[slot].process - 1;
}

bool
foreign_lives(unsigned slot)
{
    return workers[slot].process != 0;
}

/* All other datagrams were meant for the dead master and are dropped: they are
 * hints, or outcomes of commands, which are also in the journal. */
static void
channel_cb(struct ev_loop *loop, ev_io *w, int events)
{
    static char        body[CHANNEL_BODY_MAX + 1];
    struct foreign    *f = w->data;
    unsigned           slot = (unsigned)(f - workers);
    struct channel_msg m;

    (void)events;
    for (int i = 0; i < PER_TURN && f->channel != 0; i++) {
        int r = channel_recv(f->channel - 1, &m, body);
        if (r == 0)
            return;
        if (r < 0) {
            ev_io_stop(loop, w);
            return;
        }
        if (m.type == CHANNEL_frozen)
            calls->frozen(slot);
        else if (m.type == CHANNEL_kept)
            calls->kept(slot, m.arg, channel_string(body, m.len, 0));
    }
}

static void
end_cb(struct ev_loop *loop, ev_io *w, int events)
{
    struct foreign *f = w->data;

    (void)loop, (void)events;
    close_process(f);
    calls->ended((unsigned)(f - workers));
}

static void
watch(ev_io *w, void (*cb)(struct ev_loop *, ev_io *, int), int fd,
    struct foreign *f)
{
    if (fd < 0 || ev_is_active(w))
        return;
    ev_io_init(w, cb, fd, EV_READ);
    w->data = f;
    ev_io_start(master.loop, w);
}

void
foreign_watch(const struct foreign_calls *back)
{
    struct channel_msg m = {.type = CHANNEL_freeze, .arg = 1};

    calls = back;
    for (unsigned i = 0; i < CREF_SLOTS; i++) {
        struct foreign *f = &workers[i];
        watch(&f->in, channel_cb, f->channel - 1, f);
        watch(&f->end, end_cb, f->process - 1, f);
        if (f->channel != 0)
            channel_send(f->channel - 1, &m, NULL, 0);
    }
}

bool
foreign_hand_over(unsigned slot, int end)
{
    struct channel_msg m = {
        .type = CHANNEL_hand_over, .arg = CHANNEL_MUST | CHANNEL_AGAIN};

    return workers[slot].channel != 0 &&
        channel_send_fd(workers[slot].channel - 1, &m, end);
}

bool
foreign_go(unsigned slot)
{
    struct channel_msg m = {.type = CHANNEL_go};

    return workers[slot].channel != 0 &&
        channel_send(workers[slot].channel - 1, &m, NULL, 0);
}

void
foreign_kill(unsigned slot)
{
    if (workers[slot].process != 0)
        syscall(
            SYS_pidfd_send_signal, workers[slot].process - 1, SIGKILL, NULL, 0);
}
