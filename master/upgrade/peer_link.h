/*
 * peer_link: records and descriptors between the masters of two programs.
 *
 * A stream socket pair. Each record is one line (fields.h); a descriptor that
 * belongs to a record is sent with it, and the record has the field `fd=1`.
 * Neither end blocks: what cannot be sent at once is kept and sent later.
 */
#ifndef MASTER_UPGRADE_PEER_LINK_H
#define MASTER_UPGRADE_PEER_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include <ev.h>

#include "buf.h"
#include "fields.h"

#define PEER_LINK_LINE_MAX (1024u * 1024) /* bytes of one record */
#define PEER_LINK_FDS 256 /* received, of records still to be read */

struct peer_link_chunk;

struct peer_link {
    int                     fd; /* -1: closed */
    ev_io                   in, out;
    size_t                  scanned; /* bytes of `lines` that hold no newline */
    struct buf              lines;
    struct peer_link_chunk *first, **last;
    int                     fds[PEER_LINK_FDS];
    unsigned                fds_n;
    int error; /* errno of a record that this end could not send; 0: none */
    /* Called for each record. passed: its descriptor, which the function takes
     * over, or -1. The function may close the link. */
    void (*record)(struct fields *f, int passed);
    /* Called once, when the other end has closed the link or has sent a line
     * that is not a record. Not called from within peer_link_send(). */
    void (*ended)(void);
};

/* Takes over fd, one end of the pair. The caller has set record and ended. */
void peer_link_open(struct peer_link *l, int fd);
void peer_link_close(struct peer_link *l);

/* Sends one whole line. passed: a descriptor that is sent with it and stays
 * open here, or -1; with a descriptor, the line must have `fd=1`. Does nothing
 * on a closed link. If there is no memory or no free descriptor, the link ends,
 * which both sides notice. */
void peer_link_send(struct peer_link *l, const struct buf *line, int passed);
/* Sends a record that is only a word. */
void peer_link_say(struct peer_link *l, const char *word);
/* Waits for at most ms until everything is sent. False if something is left. */
bool peer_link_flush(struct peer_link *l, unsigned ms);

#endif
