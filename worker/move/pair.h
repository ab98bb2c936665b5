/*
 * pair: one end of the socket pair between two workers, over which connections
 * move: lines of text, and descriptors beside them.
 *
 * The pair is a SOCK_STREAM one, made by the master, and does not block. The
 * descriptors of the lines in a batch go with its first byte, in the order of
 * the lines, so that they have arrived when their lines have. All memory that
 * held lines is overwritten, since they hold keys of TLS.
 */
#ifndef WORKER_MOVE_PAIR_H
#define WORKER_MOVE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define PAIR_FDS 200               /* of one batch; the kernel takes 253 */
#define PAIR_BATCH (256u << 10)    /* bytes after which a batch is sent */
#define PAIR_LINE_MAX (128u << 20) /* of one line */

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

void pair_open(struct pair *p, int fd);
/* Closes it and what was not taken, and wipes the buffers. */
void pair_close(struct pair *p);

/* Room for n bytes in p->out, where lines are appended. False without memory;
 * what was there is wiped where it was. */
bool pair_reserve(struct pair *p, size_t n);
/* The descriptor of the line that was appended; it stays open here. False if
 * the batch has no room for one: it must be sent first. */
bool pair_pass(struct pair *p, int fd);
bool pair_full(const struct pair *p);

/* Bytes of the batch have been sent: its descriptors are the other end's. */
bool pair_begun(const struct pair *p);
/* Takes back a batch that was not begun. */
void pair_drop(struct pair *p);

enum pair_result {
    PAIR_DONE,
    PAIR_WAITS, /* the socket is full, or nothing is there */
    PAIR_ENDED  /* the other end is gone */
};

/* Sends what is in p->out. Of PAIR_WAITS the rest is sent with the next call.
 */
enum pair_result pair_send(struct pair *p);
/* The same, and waits for at most ms. */
enum pair_result pair_send_within(struct pair *p, uint64_t ms);

/* The next line, which may be written to and is valid until the next call;
 * what is behind it is another line or not there yet. */
enum pair_result pair_line(struct pair *p, char **line, size_t *len);
/* The other end is closed; what it has sent may still be there. */
bool pair_has_ended(const struct pair *p);
/* The next descriptor, -1 if there is none; the caller's now. */
int pair_take(struct pair *p);

#endif
