/* verdicts: what the platform has last said of a token. See verdicts.h. */
#include "session/verdicts.h"

#include <string.h>

#include "hash.h"
#include "base/self.h"

#define HASH_VERDICT UINT64_C(0x766572)
#define SETS 4096 /* a power of two */
#define WAYS 4

static struct verdict table[SETS][WAYS];

static void
make_key(uint64_t key[2], const char *identity, size_t identity_len,
    const char *token, size_t token_len)
{
    const struct hash_key *k = &self.registry->key;

    for (unsigned i = 0; i < 2; i++)
        key[i] = hash_keyed(k,
            hash_keyed(k, HASH_VERDICT + i, identity, identity_len), token,
            token_len);
}

void
verdicts_put(const char *identity, size_t identity_len, const char *token,
    size_t token_len, const char *info, size_t info_len)
{
    uint64_t key[2];

    make_key(key, identity, identity_len, token, token_len);
    struct verdict *set = table[key[0] & (SETS - 1)], *v = set;

    /* Its own place, else a free one, else that of the oldest. */
    for (int i = 0; i < WAYS; i++) {
        if (set[i].len != 0 && set[i].key[0] == key[0] &&
            set[i].key[1] == key[1]) {
            v = &set[i];
            break;
        }
        if (v->len != 0 &&
            (set[i].len == 0 ||
                self.now_ms - set[i].at_ms > self.now_ms - v->at_ms))
            v = &set[i];
    }
    v->len = 0;
    if (info_len == 0 || info_len > VERDICT_MAX)
        return;
    v->key[0] = key[0];
    v->key[1] = key[1];
    v->at_ms = self.now_ms;
    v->len = (uint16_t)info_len;
    memcpy(v->info, info, info_len);
}

const struct verdict *
verdicts_get(const char *identity, size_t identity_len, const char *token,
    size_t token_len)
{
    uint64_t key[2];

    make_key(key, identity, identity_len, token, token_len);
    struct verdict *set = table[key[0] & (SETS - 1)];

    for (int i = 0; i < WAYS; i++)
        if (set[i].len != 0 && set[i].key[0] == key[0] &&
            set[i].key[1] == key[1] &&
            self.now_ms - set[i].at_ms < self.conf.answers_verdict_time)
            return &set[i];
    return NULL;
}
