/* ship: sends the journal's events to Redis. See ship.h. */
#include "fleet/ship.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/self.h"
#include "fleet/redis.h"
#include "fleet/ship_journey.h"
#include "journal/journal.h"
#include "journal/journal_id.h"
#include "journal_dir.h"
#include "journal_line.h"

/* s until the first look at an event that waits */
#define AGAIN_S 0.002
#define AGAIN_MAX_S 0.1
#define HINT_MS 5000 /* ms between writes of the hint */

static struct ship_journey *journeys;

static char       dir[CONF_TEXT_MAX + 16];
static bool       poked;
static uint32_t   hint_ms;
static ev_prepare turn;
static ev_timer   again; /* an event waits for another slot */

/* Stores the floor on which other workers rely. */
static void
store_floors(void)
{
    uint64_t orphans = UINT64_MAX;

    for (struct ship_journey *j = journeys; j != NULL; j = j->next) {
        if (j->going)
            j->floor = j->sent == NULL && j->blocked != 0
                ? j->blocked
                : ship_journey_safe(j) + 1;
        if (!j->own && !j->ended && j->floor < orphans)
            orphans = j->floor;
        if (j->own && j->going)
            atomic_store(&self.mem->ship_floor,
                j->sent == NULL && j->read >= journal_committed() &&
                        self.mem->journal_floor == UINT64_MAX
                    ? UINT64_MAX
                    : j->floor);
    }
    if (self.slot == 0)
        atomic_store(&self.shm->orphans_floor, orphans);
}

static void
again_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
    poked = true;
}

/* Called when an event waits for another slot, whose events may take long to be
 * shipped. same: the event waited at the last look, too. */
static void
look_again(bool same)
{
    static double after_s;

    if (ev_is_active(&again))
        return;
    after_s = !same             ? AGAIN_S
        : after_s < AGAIN_MAX_S ? after_s * 2
                                : AGAIN_MAX_S;
    /* ev_timer_start() has made the relative time absolute, so it is set
     * again. */
    ev_timer_set(&again, after_s, 0);
    ev_timer_start(self.loop, &again);
}

static void
add(unsigned slot, bool own)
{
    struct ship_journey *j = ship_journey_new(dir, slot, own);

    if (j == NULL)
        return;
    j->next = journeys;
    journeys = j;
}

static void
add_orphans(void)
{
    struct journal_dir_list list;
    int                     fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (journal_dir_find(fd, &list) == 0) {
        for (size_t i = 0; i < list.n; i++) {
            unsigned slot = list.v[i].slot;
            if (slot >= self.shm->slots &&
                (i == 0 || list.v[i - 1].slot != slot))
                add(slot, false);
        }
        free(list.v);
    }
    close(fd);
}

static void
turn_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    for (struct ship_journey *j = journeys; j != NULL; j = j->next)
        poked |= j->stirred;
    if (!poked)
        return;
    poked = false;
    for (struct ship_journey *j = journeys; j != NULL; j = j->next) {
        uint64_t blocked = j->blocked;
        j->stirred = false;
        if (j->going && ship_journey_advance(j))
            look_again(j->blocked == blocked);
    }
    store_floors();
}

void
ship_open(void)
{
    if (!redis_on())
        return;
    snprintf(dir, sizeof dir, "%s/%s", self.conf.server_state_dir, JOURNAL_DIR);
    if (journal_id()[0] == '\0')
        return; /* reported when the worker started */
    if (self.slot == 0)
        add_orphans();
    add(self.slot, true);
    store_floors();
    ev_init(&again, again_cb);
    ev_prepare_init(&turn, turn_cb);
    ev_prepare_start(self.loop, &turn);
}

void
ship_poke(void)
{
    poked = true;
    for (struct ship_journey *j = journeys; j != NULL; j = j->next)
        if (j->own && j->waiting_ms == 0)
            j->waiting_ms = self.wall_ms;
}

void
ship_lost(void)
{
    for (struct ship_journey *j = journeys; j != NULL; j = j->next)
        if (j->going || j->asking)
            ship_journey_stop(j, false);
}

void
ship_tick(void)
{
    uint64_t lag_ms = 0;

    for (struct ship_journey *j = journeys; j != NULL; j = j->next) {
        if (j->ended)
            continue;
        if (!j->going && !j->asking &&
            (!j->failed || self.now_ms - j->failed_ms >= j->pause_ms))
            ship_journey_ask(j);
        if (self.now_ms - hint_ms >= HINT_MS)
            ship_journey_write_hint(j);
        uint64_t ms = ship_journey_lag_ms(j);
        lag_ms = ms > lag_ms ? ms : lag_ms;
    }
    if (self.now_ms - hint_ms >= HINT_MS)
        hint_ms = self.now_ms;
    STAT_SET(self.st, ship_lag_ms, lag_ms);
    poked = true;
}

bool
ship_idle(void)
{
    for (struct ship_journey *j = journeys; j != NULL; j = j->next)
        if (j->own &&
            (!j->going || j->sent != NULL || j->read < journal_committed()))
            return false;
    return true;
}
