/*
 * tls_keeper: certificates, keys and ticket keys, kept by the master.
 *
 * The master reads the bytes of the files but does not parse them. A forked
 * checker does, with the same code as the workers, so that OpenSSL never runs
 * in the one process that is never restarted. Files that the checker accepts
 * are passed to the workers in a sealed memfd; if it refuses them, the former
 * ones stay.
 */
#ifndef MASTER_WORKERS_TLS_KEEPER_H
#define MASTER_WORKERS_TLS_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"

/* Reads and checks the files that the configuration names; they become the
 * candidate for tls_keeper_adopt(). True also without TLS. False with lines in
 * errors; then nothing has changed. */
bool tls_keeper_check(
    const struct config *c, struct buf *errors, struct buf *notes);

/* The same in two steps, beside the loop. */
struct tls_loaded {
    int      fd;    /* of the bundle; -1: there is no TLS */
    uint64_t stamp; /* tls_bundle_stamp() of the files */
};
/* Reads the files, in any thread. False with lines in errors. */
bool tls_keeper_load(
    const struct config *c, struct tls_loaded *out, struct buf *errors);
/* On the loop: judged() is called once, then or later; until then *c, errors
 * and notes stay. The descriptor is the callee's. */
void tls_keeper_judge(const struct config *c, const struct tls_loaded *l,
    struct buf *errors, struct buf *notes, void (*judged)(bool good));
/* Puts the candidate into force: its table is written to shared memory, and
 * ticket keys are made by the configuration. */
void tls_keeper_adopt(void);
/* Called once a second: notices changed files, and rotates ticket keys. */
void tls_keeper_tick(void);

/* The memfd for the workers; -1 without TLS. */
int tls_keeper_bundle(void);

#endif
