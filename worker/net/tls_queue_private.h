/* tls_queue_private: the handshake of one connection, for tls_queue.c and
   tls_queue_move.c only. */
#ifndef WORKER_NET_TLS_QUEUE_PRIVATE_H
#define WORKER_NET_TLS_QUEUE_PRIVATE_H

#include "buf.h"
#include "net/tls_queue.h"

/* Bytes of one handshake that wait for their step; OpenSSL takes at most
 * 100 KB of certificates. */
#define TLS_IN_MAX (128u * 1024)
/* Bytes of a handshake that was not answered yet, which are a ClientHello: one
 * record. Many clients can wait for their first step. */
#define TLS_HELLO_MAX (RECORD_HEAD + RECORD_TEXT)

enum place { NOWHERE, READY, PARKED, FLYING };

struct tls_job {
    struct tls_job       *next, *prev;
    struct conn          *c;
    struct tls_handshake *h; /* NULL before its first step and when done */
    struct tls_peer       peer;
    struct buf            in;
    struct buf            raw; /* from the first step on: all bytes received
                                  until something was sent, so that it can be
                                  moved */
    bool     spoken;           /* something was sent */
    uint32_t moved_ms;         /* self.now_ms of the last step */
    uint8_t  place;            /* the list it is in */
    bool     done;
};

/* Makes the job of the connection, which has none. NULL if memory is out. */
struct tls_job *tls_queue_job(struct conn *c);

#endif
