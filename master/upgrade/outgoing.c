/* outgoing: the slot of the old program that moves now. See outgoing.h. */
#include "upgrade/outgoing.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "cref.h"
#include "upgrade/foreign.h"
#include "upgrade/heirs.h"
#include "upgrade/offer.h"
#include "workers/slot.h"
#include "workers/supervise.h"

static struct {
    struct peer_link  *link;
    struct state_file *file;
    unsigned           slot;
    bool               asked;  /* the process was asked to hand over */
    bool               killed; /* ... and was killed, because it did not
                                  answer */
    bool taken;                /* the new program has the commands of the
                                  slot */
    bool went;                 /* `go` was sent */
    bool left;                 /* the process has ended */
} out;

static void
begin(unsigned slot)
{
    out.slot = slot;
    out.asked = out.killed = out.taken = out.went = out.left = false;
}

void
outgoing_first(struct peer_link *l, struct state_file *file)
{
    out.link = l;
    out.file = file;
    begin(0);
}

void
outgoing_next(void)
{
    begin(out.slot + 1);
}

unsigned
outgoing_slot(void)
{
    return out.slot;
}

bool
outgoing_begun(void)
{
    return out.slot > 0 || out.taken;
}

/* --- the steps of a slot -------------------------------------------------- */

static void
send_take(void)
{
    offer_commands(out.link, out.slot);
    offer_slot(out.link, "take", out.slot, false);
    out.taken = true;
}

bool
outgoing_heir(unsigned slot, int end, bool must, struct buf *why)
{
    if (slot != out.slot || end < 0) {
        if (end >= 0)
            close(end);
        buf_addf(
            why, "the new program has asked for worker %u out of turn", slot);
        return false;
    }
    bool sent = false;
    if (foreign_lives(slot))
        sent = foreign_hand_over(slot, end);
    else if (!out.left)
        sent = supervise_hand_over(slot, end, must);
    int error = errno; /* after EPIPE the death of the process is reported */
    close(end);
    out.asked = true;
    if (sent || out.left)
        return true;
    if (slot_pid(slot) == 0 && !foreign_lives(slot)) {
        outgoing_left(false); /* there is no process */
    } else if (error == EAGAIN) {
        buf_addf(why, "worker %u does not read its channel", slot);
        return false;
    }
    return true;
}

void
outgoing_frozen(void)
{
    if (!out.left)
        send_take();
}

void
outgoing_go(void)
{
    struct channel_msg m = {.type = CHANNEL_go};

    out.went = true;
    if (!foreign_go(out.slot))
        slot_send(out.slot, &m, NULL, 0);
}

void
outgoing_left(bool well)
{
    if (out.left)
        return;
    bool died = !well || !out.taken;
    if (!out.taken)
        send_take();
    out.left = true;
    if (died)
        state_file_lost(out.file, out.slot);
    offer_slot(out.link, "gone", out.slot, died);
}

bool
outgoing_kill_silent(void)
{
    if (!out.asked || out.taken || out.killed)
        return false;
    out.killed = true;
    if (foreign_lives(out.slot))
        foreign_kill(out.slot);
    else if (slot_pid(out.slot) > 0)
        kill(slot_pid(out.slot), SIGKILL);
    return true;
}

/* --- after the death of the new master ------------------------------------ */

bool
outgoing_went(void)
{
    return out.went;
}

bool
outgoing_sends(void)
{
    return out.went && !out.left;
}

void
outgoing_adopt(void)
{
    for (unsigned i = 0; i < out.slot; i++)
        heirs_adopt(i);
    if (out.left)
        heirs_adopt(out.slot);
    if (!outgoing_sends() && out.slot < CREF_SLOTS)
        heirs_kill(out.slot);
}

void
outgoing_adopt_last(void)
{
    out.left = true;
    heirs_adopt(out.slot);
}
