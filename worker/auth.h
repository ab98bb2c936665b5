/*
 * auth: whether a charge point is who it says.
 *
 * Each worker has the credential file (authfile.h) in memory. The master
 * raises shm.auth_version when the file changed and was found right; a
 * worker reads it again then. Where it cannot, what it had stays in force.
 *
 * A new key travels as a command, ChangeConfiguration of AuthorizationKey:
 *
 *   sent       the master is told, and writes it as the next key  (offered)
 *   refused    ... and takes it out again                         (withdrawn)
 *   used       the charge point showed it: it becomes the key     (used)
 *
 * The datagram leaves before the CALL does; so a key that a charge point
 * took is never unknown here, whichever process dies in between.
 */
#ifndef WORKER_AUTH_H
#define WORKER_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "close.h"
#include "http.h"

/* Reads the file if there is a newer one. At the start, when told, and once
 * a second. */
void auth_tick(void);

/* REFUSE_REASONS if it is welcome; else why not, with a detail for the
 * operator that holds no secret. */
enum refuse_reason auth_check(const struct http_request *r, const char *name,
    size_t len, const char **detail);

/* A command is about to be sent to a charge point / was answered. */
void auth_command_sent(const char *identity, const char *action,
    const char *payload);
void auth_command_ended(const char *identity, const char *action,
    const char *payload, bool accepted);

#endif
