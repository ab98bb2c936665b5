/*
 * secure: TLS below a link, with the record layer of the gateway.
 *
 * Here, too, the SSL object lives for the handshake only: one machine can hold
 * a large fleet. A quiet link keeps 88 to 216 bytes of keys.
 */
#ifndef SIM_SECURE_H
#define SIM_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct secure {
    void    *state;  /* of the handshake; afterwards a record half read */
    uint32_t number; /* of the keys; 0 before the handshake is done */
    bool     on;
};

/* Once, before the first link. ca: file of trusted CAs, NULL: any.
 * certificate, key: of the client, NULL for none. version: 2, 3, or 0 for
 * both. False with words in why. */
bool secure_setup(const char *ca, const char *certificate, const char *key,
    unsigned version, struct buf *why);
/* Was it called? */
bool secure_wanted(void);

/* A new connection: appends its first bytes to wire. */
bool secure_start(struct secure *s, struct buf *wire);
/* Takes the n bytes at in, and writes the plain ones to out, which has room
 * for SECURE_ROOM more. What must be sent is appended to wire. The number of
 * plain bytes; -1 at the end, with why. *done: the handshake is done. */
#define SECURE_ROOM 65536u
long secure_read(struct secure *s, const uint8_t *in, size_t n, uint8_t *out,
    struct buf *wire, bool *done, const char **why);
/* The wire bytes of n plain ones, valid until the next call. */
const char *secure_seal(
    struct secure *s, const char *p, size_t n, size_t *sealed);
void secure_drop(struct secure *s);

#endif
