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

/* Handles a record. passed: its descriptor, or -1. True if the record is one of
 * these; then the descriptor was taken over. */
bool received_take(struct fields *f, int passed);
/* True if `state`, which comes last, was received. */
bool received_complete(void);

/* True if this program can continue with these records; otherwise false, with
   the reason in *why. */
bool        received_check(struct buf *why);
unsigned    received_slots(void); /* of the old program */
const char *received_version(void);

/* Reads the state into the segment, which must exist. False, with the reason in
 * *why. */
bool received_take_state(struct buf *why);
/* Opens the control socket: that of the old program, or a new one if the path
   differs. */
void received_open_control(void);

#endif
