/*
 * auth_redis: the credentials that Redis holds ([auth] mode = redis).
 *
 * Each connection is looked up, so changes by the platform take effect at once.
 * The opening handshake waits meanwhile, and its connection is not read. If
 * Redis is silent (unreachable, failing, or slower than auth.timeout), the key
 * of the identity's previous connection is accepted, if Redis has confirmed it
 * within auth.remember. The registry keeps the hash of that key for all
 * workers.
 *
 *     auth_redis_ask --> up_auth_answered(FOUND | NONE | SILENT)
 *
 * A new key must be in Redis before it is sent to the charge point, so its
 * command waits:
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
    KEYS_SILENT, /* no answer; entry holds the remembered key */
    KEYS_NONE,   /* Redis does not know the identity */
    KEYS_FOUND
};

struct auth_redis_answer {
    enum auth_redis_word   word;
    struct authfile_entry  entry; /* has_key: false with NONE */
    const struct auth_key *shown; /* the key of entry that matched, set by
                                         auth_check(); or NULL */
};

/* Asks Redis about c's identity. False: Redis cannot be asked, and nothing
 * follows. Otherwise up_auth_answered() is called exactly once, unless c dies
 * before. */
bool auth_redis_ask(struct conn *c, const char *name, size_t len);
/* Asks Redis for the epoch of c's identity, so that the generation of this
 * connection becomes higher than any that another gateway was granted. False if
 * Redis cannot be asked, or was asked already. Otherwise up_auth_answered() is
 * called without an answer, and the handshake continues. */
bool auth_redis_fence(struct conn *c, const char *name, size_t len);
/* Fills in an answer while Redis is silent: the remembered key of the identity
 * with this registry entry. REGISTRY_NONE: no key. */
void auth_redis_recall(uint32_t entry, struct auth_redis_answer *out);
/* Remembers a key that Redis has confirmed for the identity with this registry
   entry. */
void auth_redis_remember(uint32_t entry, const struct auth_key *key);

/* Sends a new key of c's charge point to Redis. True if Redis has it already;
   otherwise up_auth_offered() follows. */
bool auth_redis_offer(
    struct conn *c, const char *name, size_t len, const struct auth_key *key);
/* Reports any event of a key except CHANNEL_KEY_OFFERED to Redis. If this is
 * lost, both keys stay valid until the new one is used again. */
void auth_redis_notify(enum channel_key what, const char *name, size_t len,
    const struct auth_key *key);

/* Ends questions that Redis has not answered in time. Called several times a
   second. */
void auth_redis_tick(void);

#endif
