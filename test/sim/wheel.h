/*
 * wheel: which of thousands of entries are due, few at any time.
 *
 * A ring of slots, one per tick; an entry lies in the slot of its tick
 * modulo the ring, and stays there for as many rounds as it takes. Entries
 * are links inside the things themselves, named by number, so that a point
 * pays twelve bytes for all its timers. The wheel owns only its slots.
 */
#ifndef SIM_WHEEL_H
#define SIM_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#define WHEEL_SLOTS 4096u
#define WHEEL_NONE UINT32_MAX

struct wheel_entry {
    uint32_t due;        /* tick; 0: not on the wheel */
    uint32_t next, prev; /* entry numbers, WHEEL_NONE at the ends */
};

struct wheel {
    uint32_t head[WHEEL_SLOTS];
    uint32_t now; /* the last tick turned to */
    /* Where the entries are: number i lies at base + i * stride. */
    char  *base;
    size_t stride;
    void (*fire)(uint32_t number); /* the entry is off the wheel already */
};

void wheel_init(struct wheel *w, void *first_entry, size_t stride,
    void (*fire)(uint32_t number));
/* On the wheel at this tick, at the earliest the next one. Replaces. */
void wheel_set(struct wheel *w, uint32_t number, uint32_t tick);
/* Fires all that is due up to and including tick now. */
void wheel_turn(struct wheel *w, uint32_t now);

#endif
