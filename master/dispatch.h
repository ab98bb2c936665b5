/*
 * switch: the master's end of the channels.
 *
 * Passes on what workers tell each other, and brings answers of workers to
 * the control clients that asked.
 */
#ifndef MASTER_SWITCH_H
#define MASTER_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cref.h"

/* Takes some datagrams of a worker; false when its end is closed. */
bool switch_receive(unsigned slot, int fd);
/* Is there another one? */
bool switch_has_more(int fd);

void switch_worker_gone(unsigned slot);   /* its process is dead */
void switch_worker_failed(unsigned slot); /* and will have no successor */
void switch_tick(uint64_t now_ms);        /* once a second */

/* A number for a request or tap, never 0, never again. */
uint64_t switch_next_id(void);

#endif
