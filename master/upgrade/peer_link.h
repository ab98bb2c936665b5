/*
 * peer_link: records and descriptors between the masters of two programs.
 *
 * A stream socket pair. Each record is one line (fields.h); a descriptor that
 * belongs to one travels with it, and the record has the field `fd=1`. Neither
 * end blocks: what cannot be sent at once waits here.
 */
#ifndef MASTER_UPGRADE_PEER_LINK_H
#define MASTER_UPGRADE_PEER_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include <ev.h>

#include "buf.h"
#include "fields.h"

#define PEER_LINK_LINE_MAX (1024u * 1024) /* of one record */
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
    /* A record; passed is its descriptor, the callee's from now on, or -1. It
     * may close the link. */
    void (*record)(struct fields *f, int passed);
    /* The other end is gone, or has sent what is no record; called once, not
     * from within peer_link_send(). */
    void (*ended)(void);
};

/* Takes fd. record and ended are set by the caller before. */
void peer_link_open(struct peer_link *l, int fd);
void peer_link_close(struct peer_link *l);

/* Sends one whole line, and passed (which stays open here) unless it is -1;
 * the line has to have `fd=1` then. Nothing happens on a closed link. Without
 * memory or a descriptor, both ends find that the link has ended. */
void peer_link_send(struct peer_link *l, const struct buf *line, int passed);
/* A line of one word. */
void peer_link_say(struct peer_link *l, const char *word);
/* Sends what waits, for at most ms. False if something is left. */
bool peer_link_flush(struct peer_link *l, unsigned ms);

#endif
