/*
 * wheel: finds the entries that are due, among thousands of which few are due
 * at any time.
 *
 * A ring of slots, one per tick. An entry is in the slot of its tick modulo
 * the size of the ring, and stays there for as many rounds as necessary.
 * Entries are links inside the caller's structs, and are identified by their
 * number, so that all timers of a charge point together take twelve bytes. The
 * wheel owns only its slots.
 */
#ifndef SIM_WHEEL_H
#define SIM_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#define WHEEL_SLOTS 4096u
#define WHEEL_NONE UINT32_MAX

struct wheel_entry {
    uint32_t due;        /* tick; 0: not in the wheel */
    uint32_t next, prev; /* numbers of entries, WHEEL_NONE at the ends */
};

struct wheel {
    uint32_t head[WHEEL_SLOTS];
    uint32_t now; /* the last tick that was handled */
    /* Entry number i is at base + i * stride. */
    char  *base;
    size_t stride;
    /* Called for an entry that was just removed. */
    void (*fire)(uint32_t number);
};

void wheel_init(struct wheel *w, void *first_entry, size_t stride,
    void (*fire)(uint32_t number));
/* Puts the entry into the wheel at this tick, at the earliest at the next one.
 * If it is there already, it is moved. */
void wheel_set(struct wheel *w, uint32_t number, uint32_t tick);
/* Fires all entries that are due up to and including tick now. */
void wheel_turn(struct wheel *w, uint32_t now);

#endif
