/*
 * secure: TLS below a link, with the record layer of the gateway.
 *
 * As in the gateway, the SSL object exists only during the handshake, so one
 * machine can hold a large fleet. A quiet link keeps 88 to 216 bytes for its
 * keys.
 */
#ifndef SIM_SECURE_H
#define SIM_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct secure {
    void
        *state; /* during the handshake its state, later an incomplete record */
    uint32_t number; /* of the keys; 0 before the handshake is done */
    bool     on;
};

/* Called once, before the first link. ca: file of trusted CAs, NULL: any.
 * certificate, key: of the client, NULL: none. version: 2, 3, or 0 for both (of
 * TLS 1.x). False, with the reason in why. */
bool secure_setup(const char *ca, const char *certificate, const char *key,
    unsigned version, struct buf *why);
/* True if secure_setup() was called. */
bool secure_wanted(void);

/* Begins a connection: appends the first bytes to wire. */
bool secure_start(struct secure *s, struct buf *wire);
/* Reads the n bytes at in, and writes the plain bytes to out, which must have
 * room for SECURE_ROOM more. Appends to wire what must be sent. Returns the
 * number of plain bytes; -1 at the end of the connection, with the reason in
 * why. *done: set when the handshake is complete. */
#define SECURE_ROOM 65536u
long secure_read(struct secure *s, const uint8_t *in, size_t n, uint8_t *out,
    struct buf *wire, bool *done, const char **why);
/* Returns the encrypted form of n plain bytes, valid until the next call. */
const char *secure_seal(
    struct secure *s, const char *p, size_t n, size_t *sealed);
void secure_drop(struct secure *s);

#endif
