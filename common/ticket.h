/*
 * ticket: the keys of TLS session tickets, in shared memory.
 *
 * The master makes and rotates them; every worker reads them, so that any
 * worker resumes the session of any other. Protected by a seqlock: the writer
 * (only the master) makes `turn` odd, stores the keys, and makes it even; a
 * reader that sees it change reads again. If the master dies in between, the
 * daemon ends too.
 */
#ifndef COMMON_TICKET_H
#define COMMON_TICKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "fields.h"

#define TICKET_KEYS 3

/* A key in the format of HAProxy's files: 80 bytes, in base64. */
struct ticket_key {
    uint8_t name[16];
    uint8_t aes[32];
    uint8_t hmac[32];
};

struct ticket_keys {
    _Atomic uint32_t  turn;
    uint32_t          n;        /* 0: no tickets */
    uint32_t          current;  /* index of the key that seals new tickets */
    uint64_t          since_ms; /* time of the last rotation, wall clock */
    struct ticket_key key[TICKET_KEYS];
};

/* Called by the master: replaces all keys by new random ones. False without
 * random numbers; the keys are then unchanged. */
bool ticket_start(struct ticket_keys *k, uint64_t wall_ms);
/* Called by the master: the next key becomes the current one, the former
 * current key stays valid until the next rotation, and a new next key is drawn.
 * False as ticket_start(). */
bool ticket_rotate(struct ticket_keys *k, uint64_t wall_ms);
/* Master: loads the keys of a file: lines of 80 bytes in base64, empty lines
 * and comments with #. The last key is the next one, the key before it the
 * current one (as in HAProxy), and the one before that still opens tickets;
 * others are ignored. False with a sentence in why; the keys are then
 * unchanged. */
bool ticket_load(struct ticket_keys *k, const char *text, size_t len,
    uint64_t wall_ms, struct buf *why);
/* Called by the master: forgets all keys. No ticket is made or accepted. */
void ticket_none(struct ticket_keys *k);

/* Master: ticket_write() writes the keys as a record `tickets`, which the
 * caller wipes. ticket_read() reads it; false, with no key changed, if the
 * record is of another kind or damaged. */
void ticket_write(const struct ticket_keys *k, struct buf *out);
bool ticket_read(struct ticket_keys *k, struct fields *f);

/* Copies the current key; false if there is none. */
bool ticket_current(const struct ticket_keys *k, struct ticket_key *out);
/* Copies the key with that name; false if there is none. *old is set if it is
 * no longer the current one. */
bool ticket_find(const struct ticket_keys *k, const uint8_t name[16],
    struct ticket_key *out, bool *old);

#endif
