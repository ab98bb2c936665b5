/*
 * dispatch: the master's end of the channels.
 *
 * Passes on the datagrams that workers send to each other, and the answers of
 * workers to control clients.
 */
#include "base/up.h"

#include <stdio.h>

#include "access/access.h"
#include "base/master.h"
#include "channel.h"
#include "control/control.h"
#include "control/pending_calls.h"
#include "control/taps.h"
#include "helper.h"
#include "log.h"
#include "upgrade/successor.h"
#include "upgrade/upgrade.h"
#include "workers/rebalance.h"
#include "workers/slot.h"
#include "workers/succession.h"
#include "workers/supervise.h"
#include "workers/tls_keeper.h"

/* The most datagrams of one worker that are read in a turn of the loop, so that
 * a busy tap delays neither the other workers nor the control socket. */
#define PER_TURN 64

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
        if (m->id >= shm_capacity(master.shm)) {
            log_error(
                "worker %u: sent a takeover of registry entry %llu, which "
                "does not exist; ignored",
                slot, (unsigned long long)m->id);
            break;
        }
        /* The datagram is only a hint. If it is lost, the sweep of the former
         * owner finds in the registry that the connection was replaced. */
        slot_send(cref_slot(m->conn), &on, body, m->len);
        break;
    }
    case CHANNEL_done:
        pending_calls_done(m->id, m->arg, body, m->len);
        break;
    case CHANNEL_recovered:
        pending_calls_recovered(m->arg, body, m->len);
        break;
    case CHANNEL_described:
        control_described(m->id, body, m->len);
        break;
    case CHANNEL_tapped:
        taps_frame(m->id, body, m->len);
        break;
    case CHANNEL_frozen:
        if (upgrade_running())
            upgrade_frozen(slot);
        else
            succession_frozen(slot);
        break;
    case CHANNEL_kept:
        if (upgrade_running())
            upgrade_kept(slot, m->arg, channel_string(body, m->len, 0));
        else
            succession_kept(slot, channel_string(body, m->len, 0));
        break;
    case CHANNEL_inherited:
        log_info("worker %u: took over %llu connections, lost %llu", slot,
            (unsigned long long)m->id, (unsigned long long)m->arg);
        supervise_inherited(slot);
        rebalance_taken(slot);
        successor_inherited(slot, m->id, m->arg);
        break;
    case CHANNEL_given:
        rebalance_given(slot, m->id, m->arg);
        break;
    case CHANNEL_moved:
        pending_calls_moved(m->id);
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
up_receive(unsigned slot, int fd)
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

void
up_worker_gone(unsigned slot)
{
    pending_calls_worker_gone(slot);
    rebalance_worker_gone(slot);
    successor_worker_gone(slot);
}

void
up_worker_failed(unsigned slot)
{
    pending_calls_worker_failed(slot);
}

void
up_worker_left(unsigned slot, bool well)
{
    upgrade_worker_left(slot, well);
}

void
up_heir_gone(unsigned slot)
{
    successor_heir_gone(slot);
}

void
up_tick(void)
{
    master.shm->master_waits = helper_tick() > 0;
    pending_calls_tick();
    access_tick();
    tls_keeper_tick();
}

void
up_client(int fd)
{
    control_adopt(fd);
}
