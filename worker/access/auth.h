/*
 * auth: whether a charge point has the key of its identity.
 *
 * With auth.mode = redis, auth_redis.h has the credentials. Otherwise each
 * worker has the credential file (authfile.h) in memory. The master raises
 * shm.auth_version when the file changed and was found right; a worker reads it
 * again then. If it cannot, the table that it had stays in force.
 *
 * A new key travels as a command (dialect_new_key()):
 *
 *   sent       it is written down as the next key, by the master into the
 *              file, or in Redis                                  (offered)
 *   accepted   older new keys are no longer needed                (accepted)
 *   refused    it is taken out again, unless an earlier attempt to send it
 *              was accepted                                       (withdrawn)
 *   used       the charge point showed it: it becomes the key     (used)
 *
 * The datagram leaves before the CALL does, and Redis has answered before; so
 * a key that a charge point took is never unknown here, whichever process
 * dies in between.
 */
#ifndef WORKER_ACCESS_AUTH_H
#define WORKER_ACCESS_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "close.h"
#include "net/http.h"
#include "access/auth_redis.h"

/* Reads the file, before the first connection. */
void auth_open(void);
/* Has a helper read the file if there is a newer one. Called when the master
 * has announced one, and once a second. */
void auth_tick(void);
/* True while a handshake has to wait, because the file has changed and is
 * being read. It waits for a second at most: then the previous table is used.
 */
bool auth_waits(void);

/* Whether auth_redis_ask() comes first; auth_check() wants its answer then. */
bool auth_asks(void);
/* REFUSE_REASONS if it is accepted; otherwise the reason, with a detail for
 * the operator that contains no secret. */
enum refuse_reason auth_check(const struct http_request *r, const char *name,
    size_t len, struct auth_redis_answer *answer, const char **detail);
/* It was accepted, and has this entry of the registry. */
void auth_welcomed(uint32_t entry, const struct auth_redis_answer *answer);

/* A command is about to be sent to c: false if it has to wait until
 * up_auth_offered(), or for another try. */
bool auth_command_goes(struct conn *c, const char *identity, const char *action,
    const char *payload);
/* It was answered. */
void auth_command_ended(const char *identity, const char *action,
    const char *payload, bool accepted);

#endif
