/*
 * pair: one end of the socket pair between two workers, over which connections
 * move: lines of text, and descriptors beside them.
 *
 * The master makes the pair, of type SOCK_STREAM and non-blocking. The
 * descriptors of a batch are sent with its first byte, in the order of the
 * lines, so they arrive before their lines. All memory that held lines is
 * overwritten, because they contain keys of TLS.
 */
#ifndef WORKER_MOVE_PAIR_H
#define WORKER_MOVE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Descriptors of one batch; the kernel accepts 253. */
#define PAIR_FDS 200
#define PAIR_BATCH (256u << 10)    /* bytes after which a batch is sent */
#define PAIR_LINE_MAX (128u << 20) /* bytes of one line */

struct pair {
    int        fd; /* -1: closed */
    struct buf out;
    size_t     sent; /* bytes of out */
    int        out_fds[PAIR_FDS];
    unsigned   out_n;
    struct buf in;
    size_t     taken; /* bytes of in */
    int       *in_fds;
    size_t     in_n, in_taken, in_cap;
};

/* Takes over fd, one end of a socket pair, which pair_close() closes. */
void pair_open(struct pair *p, int fd);
/* Closes the end and the descriptors that were not taken, and wipes the
   buffers. */
void pair_close(struct pair *p);

/* Makes room for n bytes in p->out, where lines are appended. False if memory
 * is out. The former memory is wiped. */
bool pair_reserve(struct pair *p, size_t n);
/* Adds the descriptor of the line that was appended; it stays open here. False
 * if the batch has no room for one and must be sent first. */
bool pair_pass(struct pair *p, int fd);
/* True if the batch has PAIR_FDS descriptors or PAIR_BATCH bytes, and must be
   sent. */
bool pair_full(const struct pair *p);

/* True if bytes of the batch were sent: its descriptors belong to the other
   end. */
bool pair_begun(const struct pair *p);
/* Discards a batch of which no byte was sent. */
void pair_drop(struct pair *p);

enum pair_result {
    PAIR_DONE,
    PAIR_WAITS, /* the socket is full, or no bytes are there */
    PAIR_ENDED  /* the other end is closed */
};

/* Sends the batch in p->out. After PAIR_WAITS the next call sends the rest.
 */
enum pair_result pair_send(struct pair *p);
/* The same, and waits for at most ms; PAIR_WAITS if something is left then. */
enum pair_result pair_send_within(struct pair *p, uint64_t ms);

/* Takes the next line, which may be overwritten and is valid until the next
 * call. */
enum pair_result pair_line(struct pair *p, char **line, size_t *len);
/* True if the other end is closed; bytes that it has sent may still be
   unread. */
bool pair_has_ended(const struct pair *p);
/* Takes the next descriptor, which the caller must close; -1 if there is
   none. */
int pair_take(struct pair *p);

#endif
