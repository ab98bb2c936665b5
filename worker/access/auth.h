/*
 * auth: checks that a charge point has the key of its identity.
 *
 * With auth.mode = redis, auth_redis.h has the credentials. Otherwise each
 * worker has the credential file (authfile.h) in memory. The master raises
 * shm.auth_version when the file has changed and has no errors; each worker
 * then reads it again. If that fails, the worker keeps its previous table.
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
 * The datagram is sent before the CALL, or Redis has answered before the CALL.
 * So a key that a charge point has accepted is never unknown here, whichever
 * process dies in between.
 */
#ifndef WORKER_ACCESS_AUTH_H
#define WORKER_ACCESS_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "access/auth_redis.h"
#include "close.h"
#include "net/http.h"

/* Reads the file, before the first connection. */
void auth_open(void);
/* Starts a helper that reads the file if there is a newer one. Called when the
 * master has announced one, and once a second. */
void auth_tick(void);
/* True while a handshake has to wait, because the file has changed and is
 * being read. It waits for a second at most: then the previous table is used.
 */
bool auth_waits(void);

/* True if auth_redis_ask() must be called first, whose answer auth_check()
   needs. */
bool auth_asks(void);
/* Returns REFUSE_REASONS if the credentials are accepted; otherwise the reason,
 * with a detail for the operator that contains no secret. */
enum refuse_reason auth_check(const struct http_request *r, const char *name,
    size_t len, struct auth_redis_answer *answer, const char **detail);
/* Called when the connection was accepted. entry: its registry entry. */
void auth_welcomed(uint32_t entry, const struct auth_redis_answer *answer);

/* Called before a command is sent to c. False if the command must wait, until
 * up_auth_offered() or for another try. */
bool auth_command_goes(struct conn *c, const char *identity, const char *action,
    const char *payload);
/* Called when that command has an outcome. */
void auth_command_ended(const char *identity, const char *action,
    const char *payload, bool accepted);

#endif
