/*
 * accept: new connections from this worker's listening sockets.
 *
 * The master made the sockets and keeps them: when this worker dies, whoever
 * waits in their queues is served by its successor.
 */
#ifndef WORKER_SESSION_ACCEPT_H
#define WORKER_SESSION_ACCEPT_H

void accept_open(const int *fds, unsigned n);
/* No new connections from here on. */
void accept_close(void);
/* Goes on after a pause that a lack of descriptors or memory made. */
void accept_tick(void);

/* Goes on after a pause that limits.accept_rate made; each tick. */
void accept_resume(void);

#endif
