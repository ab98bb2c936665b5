/* adoption: serves the listening sockets of a worker that is not alive. See
 * adoption.h. */
#include "workers/adoption.h"

#include <stdlib.h>

#include "base/master.h"
#include "channel.h"
#include "ensure.h"
#include "log.h"
#include "workers/slot.h"

#define PATIENCE_MS 1000

static struct slot {
    bool lives;
    int  by; /* the worker that accepts in its place; -1: none */
} * slots;

static void
make_slots(void)
{
    slots = calloc(master.slots, sizeof *slots);
    ensure(slots != NULL);
    for (unsigned i = 0; i < master.slots; i++)
        slots[i] = (struct slot){.lives = true, .by = -1};
}

/* A worker that hangs reads this datagram when it continues. If it has died,
 * its copies of the sockets are closed. */
static bool
let_go(unsigned slot)
{
    struct channel_msg m = {.type = CHANNEL_release, .arg = slot};

    if (slots[slot].by < 0)
        return true;
    if (!slot_send((unsigned)slots[slot].by, &m, NULL, 0) &&
        slot_state((unsigned)slots[slot].by) == SHM_WORKER_READY)
        return false; /* its channel is full; tried again at the next pulse */
    slots[slot].by = -1;
    return true;
}

static void
adopt(unsigned slot, const struct listen_set *set)
{
    unsigned by = slot;

    do
        by = (by + 1) % master.slots;
    while (by != slot && !slots[by].lives);
    if (by == slot)
        return; /* no worker lives */
    for (unsigned i = 0; i < set->n; i++) {
        struct channel_msg m = {
            .type = CHANNEL_adopt, .arg = slot, .id = set->at[i].kind};
        if (!slot_send_fd(by, &m, set->at[i].fd))
            return; /* tried again at the next pulse; adopting twice is
                       harmless */
    }
    slots[slot].by = (int)by;
    log_warn("worker %u accepts no connections; worker %u accepts those that "
             "wait for it",
        slot, by);
}

void
adoption_replaced(unsigned slot)
{
    for (unsigned i = 0; slots != NULL && i < master.slots; i++)
        if (slots[i].by == (int)slot)
            slots[i].by = -1;
}

void
adoption_look(unsigned n, const struct listen_set *set, uint64_t lived_ms,
    uint64_t now_ms)
{
    if (slots == NULL)
        make_slots();
    struct slot *s = &slots[n];

    s->lives = now_ms < lived_ms + PATIENCE_MS;
    if (s->lives || set->n == 0) {
        let_go(n);
        return;
    }
    if (s->by >= 0 && !slots[s->by].lives && !let_go(n))
        return;
    if (s->by < 0)
        adopt(n, set);
}
