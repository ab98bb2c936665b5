/*
 * access: the credential file and the deny list.
 *
 * The master alone writes them: for an operator (`ocppctl auth' and `deny'),
 * and for a charge point that got a new key. Workers read them when the version
 * in shared memory changes; the master keeps no copy in memory. Their disk may
 * hang, so they are read and written in the thread of base/files.h.
 */
#ifndef MASTER_ACCESS_ACCESS_H
#define MASTER_ACCESS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "authfile.h"
#include "config.h"
#include "denyfile.h"
#include "fields.h"

/* The paths of the files, and the owner of a file that is made.
 * access_files() fills a copy for a job in the thread of base/files.h. */
struct access_files {
    char  auth[AUTHFILE_PATH_MAX], deny[DENYFILE_PATH_MAX];
    uid_t uid;
    gid_t gid;
};
void access_files(struct access_files *out);

/* --- in any thread: they may wait for the disk --- */

/* Checks the files that next needs. now: the configuration in force at a
 * reload, when a missing file that was there is an error, and NULL at a start.
 * False with one line for each error in why. */
bool access_check(const struct config *next, const struct config *now,
    struct buf *why, struct buf *notes);

/* Sets the entry of one identity in the credential file; NULL removes it.
 * False with a sentence. access_auth_changed() is to follow. */
bool access_set(const struct access_files *f, const char *name, size_t len,
    const struct authfile_entry *e, bool *was_there, struct buf *why);

/* Reads the text of the deny list; a comment line if there is no file. False
 * with a sentence in why. */
bool access_denied(
    const struct access_files *f, struct buf *text, struct buf *why);

enum access_deny {
    ACCESS_DENY_FAILED,  /* nothing changed; why has a sentence */
    ACCESS_DENY_WRONG,   /* kind or what is malformed; why has a sentence */
    ACCESS_DENY_ABSENT,  /* it could not be removed, because it was not there */
    ACCESS_DENY_PRESENT, /* it was there: it was removed, or added again */
    ACCESS_DENY_ADDED
};
/* Adds or removes one line of the deny list. access_deny_changed() is to
 * follow. */
enum access_deny access_deny(const struct access_files *f, const char *kind,
    const char *what, bool add, struct buf *why);

/* --- on the loop --- */

/* Workers read the file again. */
void access_auth_changed(void);
void access_deny_changed(void);

/* Handles CHANNEL_key: a worker reports an event of a key. */
void access_key(unsigned slot, uint64_t what, const char *body, size_t len);
/* Once a second: what is not in the file yet is written. */
void access_tick(void);
/* Reports of workers that are not in the file yet, for the new program of an
 * upgrade: the i-th as a record "key"; false behind the last. A report that
 * is taken twice changes nothing the second time. */
bool access_write_key(unsigned i, struct buf *out);
void access_read_key(struct fields *f);

#endif
