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

/* Watches the listening sockets, which stay open until the process ends. */
void accept_open(const struct listener *listeners, unsigned n);
/* Another worker is not alive: its clients are accepted here too, from its
 * listening socket, until accept_release(). Takes over fd, which is closed
 * then, or at once if this worker is being drained or memory is out. */
void accept_adopt(int fd, enum listener_kind kind, unsigned slot);
void accept_release(unsigned slot);
/* Stops accepting connections while `hold` is true. */
void     accept_hold(bool hold);
uint32_t accept_held_ms(void); /* ms since the hold began */
/* Stops accepting connections; it cannot be resumed. */
void accept_close(void);
/* Resumes after a pause caused by a lack of descriptors or memory. Called once
   a second. */
void accept_tick(void);

/* Resumes after a pause caused by limits.accept_rate. Called in each tick. */
void accept_resume(void);

#endif
