/*
 * lease: wslay contexts that links borrow for the time of one read or one
 * send.
 *
 * A context is larger than a charge point, and is needed only while bytes are
 * handled. Only whole frames are fed to it, so it is clean again after each
 * read. There are two exceptions: while a fragmented message is open, the
 * context stays with its connection; after a close frame it cannot be used
 * again. Only this file includes wslay.
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

/* A borrowed wslay context. wslay cannot change its user_data, which therefore
 * points to this struct; the present owner is a member of it. */
struct lease {
    wslay_event_context_ptr ctx;
    void                   *owner;
    const uint8_t          *in; /* whole frames that wslay has not read yet */
    size_t                  in_len;
    bool                    open;   /* a fragmented message is open */
    bool                    closed; /* a close frame was received */
    bool                    doomed; /* the owner has dropped its connection */
    int                     code;
    char                    reason[128];
    struct lease           *next; /* while it is in the pool */
};

/* out: buffer for all bytes to be sent. message: called for each text, binary,
 * ping and pong; when it is called for a ping, the pong is already queued. */
void lease_setup(struct buf *out,
    void (*message)(
        void *owner, int opcode, const char *p, size_t n, bool compressed));

struct lease *lease_take(void *owner);
void          lease_give(struct lease *lease, bool spent);

/* Reads whole frames from the server. Appends the answers, and the frames that
 * were queued before, to the buffer. False if the frames break the protocol. */
bool lease_feed(struct lease *lease, const uint8_t *p, size_t n);
/* compressed: the payload is compressed, so the frame gets RSV1. */
void lease_queue(
    struct lease *lease, int opcode, const void *p, size_t n, bool compressed);
void lease_write(
    struct lease *lease); /* appends what was queued to the buffer */
/* Appends a close frame; code 0: an empty one. The context cannot be used
 * again. */
void lease_close(struct lease *lease, int code, const char *reason);

/* Appends one frame without wslay; flags are its first byte (FIN, RSV,
 * opcode). */
void lease_frame(
    struct buf *out, unsigned flags, bool masked, const void *p, size_t n);

/* Returns the size of the frame at p, header included; 0 if the header is
 * incomplete; -1 if a server must not send such a frame. */
int64_t lease_frame_size(const uint8_t *p, size_t n);

#endif
