/*
 * outbox: transaction messages that wait for their answer, in order.
 *
 * The StartTransaction, the MeterValues and the StopTransaction of a
 * transaction are stored until they are acknowledged, over any number of
 * connections. A message that is sent again has the same bytes. Items are on
 * the heap; an empty outbox is two NULL pointers.
 */
#ifndef SIM_OUTBOX_H
#define SIM_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

struct outbox_item {
    struct outbox_item *next;
    uint64_t meant_ns; /* time at which it should have been sent first */
    uint8_t  action;   /* enum message */
    uint8_t  attempts;
    bool     open; /* the transaction id is not filled in yet */
    uint16_t hole;
    uint32_t n;
    char     payload[]; /* with room for the transaction id */
};

struct outbox {
    struct outbox_item *head, *tail;
    uint32_t            count;
};

void outbox_push(struct outbox *o, enum message m, const struct message_text *t,
    uint64_t meant_ns);
void outbox_pop(struct outbox *o);
/* Fills in the transaction id; the payload does not change any more. */
void outbox_fill(struct outbox_item *i, int32_t transaction);

#endif
