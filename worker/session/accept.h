/*
 * accept: new connections from this worker's listening sockets.
 *
 * The master made the sockets and keeps them: when this worker dies, its
 * successor serves the clients that wait in their queues.
 */
#ifndef WORKER_SESSION_ACCEPT_H
#define WORKER_SESSION_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "listener.h"

void accept_open(const struct listener *listeners, unsigned n);
/* Another worker does not live: its clients are accepted here too, from the
 * descriptor fd, until accept_release(). */
void accept_adopt(int fd, enum listener_kind kind, unsigned slot);
void accept_release(unsigned slot);
/* No new connections while it holds. */
void     accept_hold(bool hold);
uint32_t accept_held_ms(void); /* for how long it has held */
/* No new connections from here on. */
void accept_close(void);
/* Goes on after a pause that a lack of descriptors or memory made. */
void accept_tick(void);

/* Goes on after a pause that limits.accept_rate made; each tick. */
void accept_resume(void);

#endif
