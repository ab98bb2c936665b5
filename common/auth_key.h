/*
 * auth_key: the key of a charge point, as it is stored: salted and hashed.
 *
 * As text it is sha256:SALT:HASH, in hexadecimal digits: 16 bytes of salt and
 * the SHA-256 of salt and key. A fast hash is enough: keys are 16 to 20 random
 * bytes, which cannot be guessed at any speed.
 *
 * Keys are compared in canonical form: 40 hexadecimal digits and the 20 bytes
 * that they encode are the same key (OCPP-J 1.6 section 6.2.2; charge points
 * send either form). SHA-256 comes from libcrypto.
 */
#ifndef COMMON_AUTH_KEY_H
#define COMMON_AUTH_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_KEY_MAX 256  /* bytes of a key, before it is hashed */
#define AUTH_KEY_TEXT 105 /* bytes of sha256:SALT:HASH, with its NUL */

struct auth_key {
    uint8_t salt[16];
    uint8_t hash[32];
};

/* Writes the canonical form of a key: a text of nothing but pairs of
 * hexadecimal digits becomes bytes; any other key stays as it is. out has room
 * for len bytes. Returns the length. */
size_t auth_key_canonical(const uint8_t *in, size_t len, uint8_t *out);
/* Decodes a text of pairs of hexadecimal digits. False if it has any other
   character, or an odd number of digits. */
bool auth_key_unhex(const uint8_t *in, size_t len, uint8_t *out, size_t *n);

/* Hashes a key, given in canonical form. salt: 16 bytes; with NULL a random
 * salt is drawn. Without random numbers the process is aborted (ensure.h). */
void auth_key_make(
    struct auth_key *k, const uint8_t *key, size_t len, const uint8_t *salt);
/* True if the key of len bytes, or the hashed key, is the same. The comparison
 * takes constant time, so that the time reveals nothing about the key. */
bool auth_key_matches(const struct auth_key *k, const uint8_t *key, size_t len);
bool auth_key_same(const struct auth_key *a, const struct auth_key *b);
/* Equal for the same identity and key, so that a key can be recognized
 * without being stored. */
void auth_key_make_offered(struct auth_key *k, const char *name, size_t n,
    const uint8_t *key, size_t len);

/* Write and read a key as sha256:SALT:HASH. False if the text has another
 * form. */
void auth_key_text(const struct auth_key *k, char out[AUTH_KEY_TEXT]);
bool auth_key_parse(const char *text, size_t len, struct auth_key *k);

#endif
