/*
 * access: the credential file and the deny list.
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

#include "authfile.h"
#include "config.h"

/* Checks the files. False with one line for each error in why. again: at a
 * reload, when a missing file that was there is an error. */
bool access_check(const struct config *next, bool again, struct buf *why);
/* A reload took place: workers read both files again. */
void access_read_again(void);

/* Sets the entry of one identity in the credential file; NULL removes it.
 * False with a sentence. */
bool access_set(const char *name, size_t len, const struct authfile_entry *e,
    bool *was_there, struct buf *why);

/* The text of the deny list; a comment line if there is no file. */
bool access_denied(struct buf *text, struct buf *why);

enum access_deny {
    ACCESS_DENY_FAILED,  /* nothing changed; why has a sentence */
    ACCESS_DENY_WRONG,   /* kind or what is malformed; why has a sentence */
    ACCESS_DENY_ABSENT,  /* to be removed, but not there */
    ACCESS_DENY_PRESENT, /* was there: removed, or added again */
    ACCESS_DENY_ADDED
};
/* Adds or removes one line of the deny list. */
enum access_deny access_deny(
    const char *kind, const char *what, bool add, struct buf *why);

/* CHANNEL_key: what a worker reports about a key. */
void access_key(unsigned slot, uint64_t what, const char *body, size_t len);
/* Once a second. */
void access_tick(void);

#endif
