/*
 * outbox: transaction messages on their way, in order.
 *
 * Start, MeterValues and Stop of a transaction are kept from when they were
 * made until they are acknowledged, over any number of connections. What
 * was sent once is sent again byte for byte. Items are malloced; an empty
 * outbox is two NULL pointers.
 */
#ifndef SIM_OUTBOX_H
#define SIM_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

struct outbox_item {
    struct outbox_item *next;
    uint64_t            meant_ns; /* when it should have been sent first */
    uint8_t             action;   /* enum message */
    uint8_t             attempts;
    bool                open; /* the hole is not filled yet */
    uint16_t            hole;
    uint32_t            n;
    char                payload[]; /* with room for a transaction id */
};

struct outbox {
    struct outbox_item *head, *tail;
    uint32_t            count;
};

void outbox_push(struct outbox *o, enum message m, const struct message_text *t,
    uint64_t meant_ns);
void outbox_pop(struct outbox *o);
/* Puts the transaction id in its place; it stays as it is from then on. */
void outbox_fill(struct outbox_item *i, int32_t transaction);

#endif
