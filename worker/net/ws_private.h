/*
 * ws_private: the struct of a lease, for ws.c, ws_pool.c and ws_move.c only.
 */
#ifndef WORKER_NET_WS_PRIVATE_H
#define WORKER_NET_WS_PRIVATE_H

#include <wslay/wslay.h>

#include "net/ws.h"

#define WS_HELD_MAX (2 + 4 + FRAME_CONTROL_MAX) /* a masked control frame */
#define WS_PONGS_MAX 2048

enum stage { BEFORE_START, STARTED, ENDED }; /* of the frame in wslay */

struct ws {
    wslay_event_context_ptr ctx;
    void                   *owner;
    uint8_t                *bits;
    struct ws              *next; /* the next lease in the pool */
    size_t                  max;  /* bytes of one message */

    uint64_t big; /* bytes of a message that is too big; 0: not known */
    uint8_t  begin_n;
    char     begin[WS_BEGIN_MAX]; /* its first bytes */

    uint64_t left;       /* payload bytes of this frame that are still to
                            come */
    const uint8_t *feed; /* what wslay may read now */
    size_t         feed_n;
    enum stage     stage;
    bool           control;    /* the frame in wslay is a control frame */
    bool           busy;       /* inside ws_input() */
    bool           open;       /* a fragmented message is not finished */
    bool           single;     /* the frame is a message by itself */
    bool           compressed; /* the open or single message is compressed */
    uint8_t        opcode;     /* opcode of that message */
    uint8_t        head_n;
    uint8_t        head[FRAME_HEAD_IN]; /* header of a frame whose payload is
                                           incomplete */
    uint64_t sum;           /* bytes that the frames of the open message
                               announced */
    uint64_t       payload; /* bytes of the frame in wslay */
    struct buf     msg;     /* the bytes of a message that came in pieces */
    const uint8_t *whole;   /* or the message in wslay's own buffer */

    enum ws_result result;
    int            status;
    const char    *why;

    uint8_t  close[4]; /* close frame that is due */
    uint8_t  close_n;
    uint8_t  held_n;
    uint16_t pongs_n;
    uint8_t  held[WS_HELD_MAX];
    uint8_t  pongs[WS_PONGS_MAX]; /* frames, ready to go */
};

/* ws_clean(), which is asked twice for each message. */
static inline bool
ws_is_clean(const struct ws *ws)
{
    return ws->result == WS_GO_ON && ws->held_n == 0 && ws->left == 0 &&
        !ws->open && ws->pongs_n == 0 && ws->close_n == 0 &&
        !(*ws->bits & FRAME_CLOSE_RECEIVED);
}

/* What wslay calls: in ws.c. */
extern const struct wslay_event_callbacks ws_callbacks;

/* The message that a lease collects: true if n more bytes are within the limit
 * of all leases; adds them (false if memory is out); frees the message. In
 * ws_pool.c. */
bool ws_message_fits(const struct ws *ws, size_t n);
bool ws_message_add(struct ws *ws, const void *data, size_t n);
void ws_message_free(struct ws *ws);

#endif
