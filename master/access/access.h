/*
 * access: the two files that say who may connect and who may not.
 *
 * The master alone writes them: for an operator (`ocppctl auth' and `deny'),
 * and for a charge point that got a new key. Workers read them when the
 * version in shared memory moves; nothing of them is kept here.
 */
#ifndef MASTER_ACCESS_ACCESS_H
#define MASTER_ACCESS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

/* Are the files right? False with lines that say what is not. again: at a
 * reload, when a file that was there must not be gone. */
bool access_check(const struct config *next, bool again, struct buf *why);
/* A reload took place: workers read both files again. */
void access_read_again(void);

/* CHANNEL_key: what a worker says about a key. */
void access_key(unsigned slot, uint64_t what, const char *body, size_t len);
/* Once a second. */
void access_tick(void);

#endif
