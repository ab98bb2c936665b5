/* dispatch: the master's end of the channels. See dispatch.h. */
#include "dispatch.h"

#include <poll.h>
#include <stdio.h>

#include "channel.h"
#include "control/command.h"
#include "ensure.h"
#include "log.h"
#include "base/master.h"
#include "control/pending_calls.h"
#include "access/access.h"
#include "workers/supervise.h"
#include "control/taps.h"

/* Datagrams of one worker per turn of the loop, so that a busy tap starves
 * neither the other workers nor the control socket. */
#define PER_TURN 64

uint64_t
dispatch_next_id(void)
{
    static uint64_t last;

    return ++last;
}

static void
receive(unsigned slot, const struct channel_msg *m, const char *body)
{
    switch (m->type) {
    case CHANNEL_ready:
        supervise_ready(slot);
        pending_calls_worker_ready(slot);
        taps_worker_ready(slot);
        break;
    case CHANNEL_takeover: {
        struct channel_msg on = *m;
        /* A hint: if it is lost, the former owner's sweep sees in the
         * registry that it is no more. */
        supervise_send(cref_slot(m->conn), &on, body, m->len);
        break;
    }
    case CHANNEL_done:
        pending_calls_done(m->id, m->arg, body, m->len);
        break;
    case CHANNEL_told:
        command_told(m->id, body, m->len);
        break;
    case CHANNEL_tapped:
        taps_frame(m->id, body, m->len);
        break;
    case CHANNEL_key:
        access_key(slot, m->arg, body, m->len);
        break;
    default:
        log_error("worker %u: sent an unexpected datagram of type %u; ignored",
            slot, m->type);
    }
}

bool
dispatch_receive(unsigned slot, int fd)
{
    static char        body[CHANNEL_BODY_MAX + 1];
    struct channel_msg m;

    for (int i = 0; i < PER_TURN; i++) {
        int r = channel_recv(fd, &m, body);
        if (r <= 0)
            return r == 0;
        receive(slot, &m, body);
    }
    return true;
}

bool
dispatch_has_more(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

void
dispatch_worker_gone(unsigned slot)
{
    pending_calls_worker_gone(slot);
}

void
dispatch_worker_failed(unsigned slot)
{
    pending_calls_worker_failed(slot);
}

void
dispatch_tick(uint64_t now_ms)
{
    pending_calls_tick(now_ms);
    access_tick();
}
