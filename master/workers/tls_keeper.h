/*
 * tls_keeper: certificates, keys and ticket keys, kept by the master.
 *
 * The master reads the bytes of the files and parses none of them: a forked
 * checker does, with the workers' own loader, so that no call of OpenSSL runs
 * in the one process that is never restarted. What the checker accepts is
 * handed to the workers in a sealed memfd; what it refuses changes nothing.
 */
#ifndef MASTER_WORKERS_TLS_KEEPER_H
#define MASTER_WORKERS_TLS_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"

/* Reads and checks what the configuration names. True without TLS, too. False
 * with lines in errors; nothing has changed. What was found stays a candidate
 * until tls_keeper_adopt(). */
bool tls_keeper_check(
    const struct config *c, struct buf *errors, struct buf *notes);

/* The same in two steps, beside the loop. */
struct tls_loaded {
    int      fd; /* of the bundle; -1: there is no TLS */
    uint64_t stamp;
};
/* Reads the files, in any thread. False with lines in errors. */
bool tls_keeper_load(
    const struct config *c, struct tls_loaded *out, struct buf *errors);
/* On the loop: judged() is called once, then or later; until then *c, errors
 * and notes stay. The descriptor is the callee's. */
void tls_keeper_judge(const struct config *c, const struct tls_loaded *l,
    struct buf *errors, struct buf *notes, void (*judged)(bool good));
/* The candidate is in force: its table goes into shared memory, the ticket
 * keys follow the configuration. */
void tls_keeper_adopt(void);
/* Once a second: looks whether files have changed, rotates ticket keys. */
void tls_keeper_tick(void);

/* The memfd for the workers; -1 without TLS. */
int tls_keeper_bundle(void);

#endif
