/*
 * received: the records that the new program gets from the old one before it
 * starts: sockets, locks, and the state of the segment. upgrade.h lists them.
 */
#ifndef MASTER_UPGRADE_RECEIVED_H
#define MASTER_UPGRADE_RECEIVED_H

#include <stdbool.h>

#include "buf.h"
#include "fields.h"

/* The link's descriptor, from the environment; -1 if this process was started
 * in the usual way. Removes the variable. */
int received_descriptor(void);

/* Takes a record, and its descriptor or -1. The descriptor is taken over if
 * this returns true. */
bool received_take(struct fields *f, int passed);
/* True if `state`, which comes last, was received. */
bool received_complete(void);

/* True if this program can go on with these records; otherwise false with a
   sentence. */
bool        received_check(struct buf *why);
unsigned    received_slots(void); /* of the old program */
const char *received_version(void);

/* Takes over the state, when the segment was made. False with a sentence. */
bool received_take_state(struct buf *why);
/* Opens the control socket: that of the old program, or a new one if the path
   differs. */
void received_open_control(void);

#endif
