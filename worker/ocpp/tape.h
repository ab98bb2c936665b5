/*
 * tape: lends the tapes that JSON texts are scanned onto.
 *
 * One scan needs up to 80 MiB of tokens, and a second tape is needed only if a
 * text is scanned while another one is in use. So a worker has three tapes,
 * lent as a stack: the last one borrowed is returned first, and borrowing a
 * fourth one aborts the process (ensure.h). A tape takes memory only when used,
 * and the memory of an unusually large text is released to the system.
 *
 *     struct json *j = tape_borrow(TAPE_MESSAGE);
 *     if (json_scan(j, text, len)) ...
 *     tape_return(j);
 *
 * One thread only. A received message with more than TAPE_VALUES values is
 * refused, so that each event made from messages fits onto a tape for events.
 */
#ifndef WORKER_OCPP_TAPE_H
#define WORKER_OCPP_TAPE_H

#include "ocpp/json.h"

/* The most values of one received message. */
#define TAPE_VALUES (2u << 20)

enum tape_size {
    TAPE_MESSAGE, /* TAPE_VALUES */
    TAPE_EVENT    /* a line of the journal: a message, its answer, the rest */
};

/* Reserves the address space of all tapes: a worker that cannot have it ends
 * before it has a connection, and not with its first message. False without
 * it. */
bool tape_open(void);

/* Never NULL; max_depth is JSON_DEPTH_MAX. */
struct json *tape_borrow(enum tape_size size);
void         tape_return(struct json *j);

#endif
