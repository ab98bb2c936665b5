/*
 * parked: CALLs of charge points that cannot be answered yet.
 *
 * A StartTransaction waits here while another worker may still make its event
 * durable, while the journals are being read back, or until there are
 * transaction ids. Any transaction message waits here while the journal is
 * full. Each CALL is handled again, as if it had just arrived, until it can be
 * decided. When its connection ends it is dropped, because the charge point
 * sends it again.
 */
#ifndef WORKER_SESSION_PARKED_H
#define WORKER_SESSION_PARKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"

struct parked {
    struct parked *next;
    cref           conn;
    uint64_t       since_us;    /* self.now_us when it arrived */
    uint64_t       resolved_ms; /* transactions_find() */
    bool           again;       /* it still cannot be decided */
    bool           journal;     /* it waits for the journal */
    size_t         len;
    char           frame[];
};

/* Keeps a copy of the frame. False, and nothing is kept, if all parked frames
 * would hold more than limits.buffer_memory, or if memory is out. */
bool parked_put(struct conn *c, const char *frame, size_t len,
    uint64_t resolved_ms, bool journal);

/* Writes the lines after a connection's record (moving.h), one for each CALL.
 * parked_read() reads one of them; false if the line is not one. */
void parked_write(const struct conn *c, struct buf *out);
bool parked_read(struct conn *c, struct fields *f);
/* Called when these CALLs have moved to another process. */
void parked_forget(const struct conn *c);

/* Lets each be handled again; handle() sets p->again if it still cannot be
 * decided. Called several times a second. */
void parked_tick(void (*handle)(struct conn *c, struct parked *p));

/* Calls late() for the connections whose CALLs have waited for at least
   wait_ms. */
void parked_late(uint64_t wait_ms, void (*late)(struct conn *c));

#endif
