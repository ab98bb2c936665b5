/*
 * authfile: the charge points that may connect, and their keys.
 *
 * A text file with one charge point per line:
 *
 *   IDENTITY                          known; no key
 *   IDENTITY KEY                      known; must have this key
 *   IDENTITY KEY next=KEY             a new key was sent to it: both are valid
 *                                     until the new one is used
 *   IDENTITY KEY accepted=KEY         ... and it has accepted the new key
 *
 * Several new keys may be valid at the same time: one that the charge point has
 * accepted, and others that were sent and whose arrival was not confirmed. They
 * are kept in the order in which they were sent.
 *
 * IDENTITY is one word: blanks, %, # and control characters are written as %XX.
 * KEY is the text form of auth_key.h. # begins a comment.
 *
 * In memory an identity costs its name and 2 bytes, 48 for each key, and 6 to
 * 12 of an index.
 */
#ifndef COMMON_AUTHFILE_H
#define COMMON_AUTHFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth_key.h"
#include "buf.h"
#include "config.h"
#include "hash.h"
#include "identity.h"

#define AUTHFILE_MAX (512u << 20) /* bytes of the file */
#define AUTHFILE_LINE_MAX 1024    /* bytes of a line */
#define AUTHFILE_PATH_MAX 256

#define AUTHFILE_NEXT_MAX 4 /* new keys that are valid beside the key */

struct authfile_entry {
    bool    has_key;
    uint8_t nexts;    /* new keys, oldest first */
    uint8_t accepted; /* bit i: the charge point has accepted
                         next[i] */
    struct auth_key key;
    struct auth_key next[AUTHFILE_NEXT_MAX];
};

/* A zeroed one is an empty table. */
struct authfile {
    uint8_t        *bytes; /* records, one behind the other */
    size_t          len, cap;
    uint32_t       *slot;  /* offset of a record plus 1; 0 free */
    uint32_t        slots; /* a power of two */
    uint32_t        n;     /* identities */
    struct hash_key hash;  /* of the index */
};

enum authfile_result {
    AUTHFILE_GOOD,
    AUTHFILE_BROKEN, /* some lines are wrong; the others are in the table */
    AUTHFILE_MISSING,
    AUTHFILE_UNREADABLE /* the table is empty */
};

/* True if auth.mode needs the file. */
bool authfile_wanted(const struct config *c);
/* auth.file, or `auth' in server.state_dir. */
void authfile_path(const struct config *c, char out[AUTHFILE_PATH_MAX]);

/* Reads a file, or its text, into an empty table, which authfile_free() frees.
 * errors: one line for each, "FILE:LINE: error; remedy", at most 20.
 * authfile_parse(): false if there was an error; the other lines are in the
 * table. `name` is FILE. */
enum authfile_result authfile_read(
    struct authfile *a, const char *path, struct buf *errors);
bool authfile_parse(struct authfile *a, const char *name, const char *text,
    size_t len, struct buf *errors);
void authfile_free(struct authfile *a);

/* Copies the entry of an identity; false if there is none. */
bool authfile_find(const struct authfile *a, const char *name, size_t len,
    struct authfile_entry *out);
/* Iterates over the table: *at starts at 0; false at the end. name points into
   the memory of a. */
bool authfile_next(const struct authfile *a, size_t *at, const char **name,
    size_t *len, struct authfile_entry *out);

/*
 * These change an entry when a new key
 *
 *   is offered     it is sent to the charge point: it is valid from now on. If
 *                  there is no key yet, it is the key. If AUTHFILE_NEXT_MAX
 *                  new keys are valid, the oldest that is not accepted goes
 *   is accepted    older new keys are no longer needed: it has replaced them
 *   is withdrawn   it was refused: it is no longer valid, unless it was
 *                  accepted at an earlier attempt
 *   is used        it becomes the key; keys that were sent later are still
 *                  valid
 *
 * They return true if the entry has changed.
 */
bool authfile_offer(struct authfile_entry *e, const struct auth_key *k);
bool authfile_accept(struct authfile_entry *e, const struct auth_key *k);
bool authfile_withdraw(struct authfile_entry *e, const struct auth_key *k);
bool authfile_use(struct authfile_entry *e, const struct auth_key *k);

/* The index of the new key that matches; AUTHFILE_NEXT_MAX if none does. */
unsigned authfile_next_of(
    const struct authfile_entry *e, const struct auth_key *k);

/* --- the text ------------------------------------------------------------ */

/* Reads the entry of an identity from the text of a file; false if the identity
   has no line, or a line with an error. */
bool authfile_get(const struct buf *text, const char *name, size_t len,
    struct authfile_entry *e);

/* Writes the line of an identity into the text of a file; with NULL the line is
   removed. True if there was a line before. */
bool authfile_set(struct buf *text, const char *name, size_t len,
    const struct authfile_entry *e);

#endif
