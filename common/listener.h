/*
 * listener: a listening socket, as the master hands it to a worker.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

/* The protocol of its connections, behind a PROXY header if there is one. It is
 * also the index of the transport (worker/net/transport.h). */
enum listener_kind { LISTENER_PLAIN, LISTENER_TLS, LISTENER_KINDS };

struct listener {
    int                fd; /* bound and listening */
    enum listener_kind kind;
};

#endif
