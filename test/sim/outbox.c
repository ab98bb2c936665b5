/* outbox: transaction messages that wait for their answer. See outbox.h. */
#include "outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"

#define ID_MAX 11

void
outbox_push(struct outbox *o, enum message m, const struct message_text *t,
    uint64_t meant_ns)
{
    struct outbox_item *i = malloc(sizeof *i + t->n + ID_MAX);

    ensure(i != NULL);
    *i = (struct outbox_item){.meant_ns = meant_ns,
        .action = (uint8_t)m,
        .open = t->hole != 0,
        .hole = (uint16_t)t->hole,
        .n = (uint32_t)t->n};
    memcpy(i->payload, t->p, t->n);
    if (o->tail != NULL)
        o->tail->next = i;
    else
        o->head = i;
    o->tail = i;
    o->count++;
}

void
outbox_pop(struct outbox *o)
{
    struct outbox_item *i = o->head;

    ensure(i != NULL);
    o->head = i->next;
    if (o->head == NULL)
        o->tail = NULL;
    o->count--;
    free(i);
}

void
outbox_fill(struct outbox_item *i, int32_t transaction)
{
    char digits[ID_MAX + 1];
    int  n = snprintf(digits, sizeof digits, "%" PRId32, transaction);

    ensure(i->open && n > 0 && n <= ID_MAX);
    memmove(i->payload + i->hole + n, i->payload + i->hole, i->n - i->hole);
    memcpy(i->payload + i->hole, digits, (size_t)n);
    i->n += (uint32_t)n;
    i->open = false;
}
