/*
 * dispatch: the master's end of the channels.
 *
 * Passes on what workers tell each other, and brings answers of workers to
 * the control clients that asked.
 */
#ifndef MASTER_DISPATCH_H
#define MASTER_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cref.h"

/* Takes some datagrams of a worker; false when its end is closed. */
bool dispatch_receive(unsigned slot, int fd);
/* Is there another one? */
bool dispatch_has_more(int fd);

void dispatch_worker_gone(unsigned slot);   /* its process is dead */
void dispatch_worker_failed(unsigned slot); /* and will have no successor */
void dispatch_tick(uint64_t now_ms);        /* once a second */

/* A number for a request or tap, never 0, never again. */
uint64_t dispatch_next_id(void);

#endif
