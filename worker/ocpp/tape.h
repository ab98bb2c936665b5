/*
 * tape: lends the tapes that JSON texts are scanned onto.
 *
 * One scan needs up to 100 MiB of tokens, and more than one tape is needed only
 * where a text is judged while another one is in use. So a worker has a few of
 * them, lent as a stack: the last one borrowed is returned first. They are
 * address space until they are used, and what an unusually large text used is
 * given back to the system.
 *
 *     struct json *j = tape_borrow(TAPE_MESSAGE);
 *     if (json_scan(j, text, len)) ...
 *     tape_return(j);
 *
 * One thread only. The number of values is limited at the door: a message
 * with more than TAPE_VALUES is refused, so that each event that is made from
 * messages fits onto a tape of its own size.
 */
#ifndef WORKER_OCPP_TAPE_H
#define WORKER_OCPP_TAPE_H

#include "ocpp/json.h"

/* Values of one message of the outside. */
#define TAPE_VALUES (2u << 20)

enum tape_size {
    TAPE_MESSAGE, /* TAPE_VALUES */
    TAPE_EVENT    /* a line of the journal: a message, its answer, the rest */
};

/* Never NULL; max_depth is JSON_DEPTH_MAX. */
struct json *tape_borrow(enum tape_size size);
void         tape_return(struct json *j);

#endif
