/*
 * auth_redis: the credentials that Redis holds ([auth] mode = redis).
 *
 * Each connection is looked up, so changes by the platform take effect at
 * once. The opening handshake waits meanwhile, and its connection is not
 * read. Redis may be silent: unreachable, failing, or slower than
 * auth.timeout. Then the key of the previous connection of the identity is
 * required, if Redis confirmed it within auth.remember; the registry keeps
 * that one (its hash), for all workers.
 *
 *     auth_redis_ask --> up_auth_answered(FOUND | NONE | SILENT)
 *
 * A new key that a command sets must be known before it
 * leaves: its command waits until Redis has it.
 *
 *     auth_redis_offer: false ... up_auth_offered --> auth_redis_offer: true
 */
#ifndef WORKER_ACCESS_AUTH_REDIS_H
#define WORKER_ACCESS_AUTH_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authfile.h"
#include "channel.h"

struct conn;

enum auth_redis_word {
    KEYS_SILENT, /* no answer; entry holds what is remembered */
    KEYS_NONE,   /* Redis does not know the identity */
    KEYS_FOUND
};

struct auth_redis_answer {
    enum auth_redis_word       word;
    struct authfile_entry      entry; /* has_key: false with NONE */
    const struct authfile_key *shown; /* of entry, by auth_check(); or NULL */
};

/* Asks about c's identity. False: Redis cannot be asked, and nothing follows.
 * Else up_auth_answered() comes exactly once, unless c dies before it. */
bool auth_redis_ask(struct conn *c, const char *name, size_t len);
/* Asks for the epoch of c's identity, so that the generation that this gateway
 * draws for the connection is above what any gateway was granted before. False
 * if Redis cannot be asked, or was. Else up_auth_answered() comes without an
 * answer, as the handshake is to be looked at again. */
bool auth_redis_fence(struct conn *c, const char *name, size_t len);
/* Fills in what stands for an answer of Redis while it is silent: the key that
 * the identity of a registry entry showed before. REGISTRY_NONE: none. */
void auth_redis_recall(uint32_t entry, struct auth_redis_answer *out);
/* The identity of a registry entry showed this key, which Redis has. */
void auth_redis_remember(uint32_t entry, const struct authfile_key *key);

/* A new key of c's charge point: true if Redis has it. */
bool auth_redis_offer(struct conn *c, const char *name, size_t len,
    const struct authfile_key *key);
/* Any other than CHANNEL_KEY_OFFERED. One that gets lost leaves both
 * keys in force until the new one is used again. */
void auth_redis_notify(enum channel_key what, const char *name, size_t len,
    const struct authfile_key *key);

/* Ends questions that Redis has not answered in time; often. */
void auth_redis_tick(void);

#endif
