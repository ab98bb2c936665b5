/* ship_order: events that wait for other journals. See ship_order.h. */
#include "fleet/ship_order.h"

#include "base/self.h"

/* True if the events of a slot with numbers below this one are in Redis. Other
 * journals do not wait for a slot that stays down, whose journal is shipped
 * when it works again. */
static bool
is_shipped(unsigned slot, uint64_t below)
{
    if (slot >= self.shm->slots)
        return atomic_load(&self.shm->orphans_floor) >= below;
    const struct shm_worker *w = shm_worker(self.shm, slot);
    return atomic_load(&w->ship_floor) >= below ||
        atomic_load(&w->state) == SHM_WORKER_FAILED;
}

/* True if this event is in the journal of the slot, or will be. Otherwise it
 * may be lost, and with it the name of the event that it had to follow. */
static bool
is_kept(unsigned slot, uint64_t number)
{
    if (slot >= self.shm->slots)
        return false;
    const struct shm_worker *w = shm_worker(self.shm, slot);
    return number >= atomic_load(&w->complete_from) &&
        atomic_load(&w->state) != SHM_WORKER_FAILED;
}

bool
ship_order_waits(unsigned from, bool own, const struct journal_line *line)
{
    unsigned slot;
    uint64_t number;

    if (!journal_line_after(line, &slot, &number) || number > line->number)
        return false;
    if (slot != JOURNAL_AFTER_ALL && !is_shipped(slot, number + 1))
        return slot != from;
    if (slot != JOURNAL_AFTER_ALL && is_kept(slot, number))
        return false;
    /* The line must follow all events below the number, which may be the line's
     * own number: then it is the first one drawn since the daemon started. */
    for (slot = 0; slot <= self.shm->slots; slot++)
        if (slot != from && !(slot == self.shm->slots && !own) &&
            !is_shipped(slot, number))
            return true;
    return false;
}
