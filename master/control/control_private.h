/*
 * control_private: the struct of a client of the control socket, for control.c,
 * control_reply.c and control_move.c only.
 */
#ifndef MASTER_CONTROL_CONTROL_PRIVATE_H
#define MASTER_CONTROL_CONTROL_PRIVATE_H

#include <ev.h>

#include "control/control.h"

/* HELD: the line waits until an upgrade has ended. */
enum phase { LINE, HELD, WAIT, STREAM, REPLY };

/* The public part (control.h) comes first. */
struct peer {
    struct client shown;
    enum phase    phase;
    int           fd;
    ev_io         in, out;
    ev_timer      timer;
    uint64_t      deadline_ms; /* LINE, REPLY; monotonic */
    struct buf    line;
    struct buf    reply; /* the bytes from `written` on must still be sent */
    size_t        written;
    const char   *late;   /* WAIT: the reply at the deadline */
    uint64_t      former; /* its id in the old program; 0: it connected to this
                             one */
};

/* The client in one of the CONTROL_CLIENTS places; NULL if the place is free.
 */
struct peer *control_peer(unsigned i);

/* Adds a client in phase LINE. Takes over fd, which is closed if there is no
 * place; then returns NULL. */
struct peer *control_add(int fd, uid_t uid, bool admin);

/* Closes the connection and frees the client. */
void control_drop(struct peer *p);

/* Sends what the reply of a client holds (a callback, w->data: the client). */
void control_send_cb(struct ev_loop *loop, ev_io *w, int events);

/* Sets the timer of a client, in seconds. */
void control_set_timer(struct peer *p, double after, double repeat);

#endif
