/* wheel: finds the entries that are due. See wheel.h. */
#include "wheel.h"

#include <stddef.h>

#include "common/ensure.h"

static struct wheel_entry *
entry(const struct wheel *w, uint32_t number)
{
    return (struct wheel_entry *)(void *)(w->base + number * w->stride);
}

void
wheel_init(struct wheel *w, void *first_entry, size_t stride,
    void (*fire)(uint32_t number))
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        w->head[i] = WHEEL_NONE;
    w->now = 0;
    w->base = first_entry;
    w->stride = stride;
    w->fire = fire;
}

static void
take_off(struct wheel *w, uint32_t number)
{
    struct wheel_entry *e = entry(w, number);

    if (e->due == 0)
        return;
    if (e->prev == WHEEL_NONE)
        w->head[e->due % WHEEL_SLOTS] = e->next;
    else
        entry(w, e->prev)->next = e->next;
    if (e->next != WHEEL_NONE)
        entry(w, e->next)->prev = e->prev;
    e->due = 0;
}

void
wheel_set(struct wheel *w, uint32_t number, uint32_t tick)
{
    struct wheel_entry *e = entry(w, number);

    take_off(w, number);
    if (tick <= w->now)
        tick = w->now + 1;
    uint32_t *head = &w->head[tick % WHEEL_SLOTS];
    e->due = tick;
    e->prev = WHEEL_NONE;
    e->next = *head;
    if (*head != WHEEL_NONE)
        entry(w, *head)->prev = number;
    *head = number;
}

void
wheel_turn(struct wheel *w, uint32_t now)
{
    while (w->now < now) {
        uint32_t tick = ++w->now;
        /* fire() may set or remove any entry, so the search begins anew after
         * each call. It ends, because new entries are due at a later tick. */
        uint32_t i = w->head[tick % WHEEL_SLOTS];
        while (i != WHEEL_NONE) {
            struct wheel_entry *e = entry(w, i);
            if (e->due > tick) {
                i = e->next;
                continue;
            }
            ensure(e->due == tick);
            take_off(w, i);
            w->fire(i);
            i = w->head[tick % WHEEL_SLOTS];
        }
    }
}
