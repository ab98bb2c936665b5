/*
 * state_file: the records of the segment (shm_state.h) in a file without a
 * name, for the new program.
 *
 * Written some thousand entries at a time, between which the loop continues.
 * Entries of the registry still change afterwards; the rest, written when no
 * worker of the old program is left, holds those that have changed since.
 */
#ifndef MASTER_UPGRADE_STATE_FILE_H
#define MASTER_UPGRADE_STATE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "buf.h"
#include "cref.h"

struct state_file {
    int        fd; /* -1 */
    bool       rest;
    uint32_t   at;   /* entry */
    uint32_t  *sums; /* checksums of the entries when they were first written */
    struct buf text;
    bool       lost[CREF_SLOTS]; /* slots all of whose entries belong to the
                                    rest */
    ev_idle idle;
    void (*done)(int fd);
};

/* Starts writing. done: called with the file, which it must send before it
 * returns, because the file is closed then; -1 with errno if there is no memory
 * for it. */
void state_file_write(struct state_file *s, void (*done)(int fd));
/* Called when the connections of a slot have not moved, so that its entries
   belong to the rest. */
void state_file_lost(struct state_file *s, unsigned slot);
/* Starts writing the rest; done as above. */
void state_file_write_rest(struct state_file *s, void (*done)(int fd));
/* Stops writing, without a call of done(), and frees the memory. */
void state_file_close(struct state_file *s);

/* Calls record() for each line of such a file. False if the file cannot be
 * read, or a line is not a record. */
struct fields;
bool state_file_read(int fd, void (*record)(struct fields *f));

#endif
