/*
 * lease: wslay contexts, lent for the time of one read or one send.
 *
 * A context weighs more than a charge point, and is needed only while bytes
 * are in flight. Only whole frames are fed to one, so it is clean again
 * after each read, unless a message in fragments is open (then it stays
 * with its connection) or a close frame went through it (then it is spent).
 * Only this file includes wslay.
 */
#ifndef SIM_LEASE_H
#define SIM_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wslay/wslay.h>

#include "common/buf.h"

#define LEASE_MESSAGE_MAX (1024u * 1024u) /* bytes of one message */
#define LEASE_PING 9
#define LEASE_PONG 10

/* A wslay context on loan. wslay has no way to change user_data, so that
 * points here, and here stands whose it is for the moment. */
struct lease {
    wslay_event_context_ptr ctx;
    void                   *owner;
    const uint8_t          *in; /* whole frames, not yet given to wslay */
    size_t                  in_len;
    bool                    open;   /* a fragmented message is under way */
    bool                    closed; /* a close frame came */
    bool                    doomed; /* the owner dropped its connection */
    int                     code;
    char                    reason[128];
    struct lease           *next; /* in the pool */
};

/* out: where all bytes to be sent are gathered. message: gets each text,
 * binary, ping and pong; pings have their pong queued already. */
void lease_setup(struct buf *out,
    void (*message)(
        void *owner, int opcode, const char *p, size_t n, bool compressed));

struct lease *lease_take(void *owner);
void          lease_give(struct lease *lease, bool spent);

/* Whole frames from the server; answers and what was queued meanwhile are
 * gathered. False: the frames break the rules. */
bool lease_feed(struct lease *lease, const uint8_t *p, size_t n);
/* compressed: the payload is, and the frame bears RSV1. */
void lease_queue(
    struct lease *lease, int opcode, const void *p, size_t n, bool compressed);
void lease_write(struct lease *lease); /* gathers what was queued */
/* Gathers a close frame; code 0: an empty one. The context is spent. */
void lease_close(struct lease *lease, int code, const char *reason);

/* One frame by hand; flags are its first byte (FIN, RSV, opcode). */
void lease_frame(
    struct buf *out, unsigned flags, bool masked, const void *p, size_t n);

/* Bytes of the frame at p, its header included; 0: not all of the header is
 * there; -1: no frame a server may send. */
int64_t lease_frame_size(const uint8_t *p, size_t n);

#endif
