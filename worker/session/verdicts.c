/* verdicts: the platform's last verdict on a token. See verdicts.h. */
#include "session/verdicts.h"

#include <string.h>

#include "base/self.h"
#include "hash.h"

#define HASH_VERDICT UINT64_C(0x766572)
/* Time is counted in units that do not wrap within 13 years: a verdict must not
 * become valid again. */
#define UNIT_US 100000u
#define UNIT_MS (UNIT_US / 1000)
#define SETS 4096 /* a power of two */
#define WAYS 4

static struct verdict table[SETS][WAYS];

static uint32_t
now(void)
{
    return (uint32_t)(self.now_us / UNIT_US);
}

static uint64_t
age_ms(const struct verdict *v)
{
    return (uint64_t)(uint32_t)(now() - v->at) * UNIT_MS;
}

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

    /* Use the place of the same key; if there is none, a free place; if there
     * is none, that of the oldest verdict. */
    for (int i = 0; i < WAYS; i++) {
        if (set[i].len != 0 && set[i].key[0] == key[0] &&
            set[i].key[1] == key[1]) {
            v = &set[i];
            break;
        }
        if (v->len != 0 && (set[i].len == 0 || age_ms(&set[i]) > age_ms(v)))
            v = &set[i];
    }
    v->len = 0;
    if (info_len == 0 || info_len > VERDICT_MAX)
        return;
    v->key[0] = key[0];
    v->key[1] = key[1];
    v->at = now();
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
            age_ms(&set[i]) < self.conf.answers_verdict_time)
            return &set[i];
    return NULL;
}

/* --- the move to another process ----------------------------------------- */

void
verdicts_write(struct buf *out)
{
    for (unsigned i = 0; i < SETS * WAYS; i++) {
        const struct verdict *v = &table[i / WAYS][i % WAYS];
        uint64_t              age = age_ms(v);
        if (v->len == 0 || age >= self.conf.answers_verdict_time)
            continue;
        fields_begin(out, "verdict");
        fields_put_list(out, "key", v->key, 2);
        fields_put_u64(out, "age", age);
        fields_put_bytes(out, "info", v->info, v->len);
        fields_end(out);
    }
}

bool
verdicts_read(struct fields *f)
{
    uint64_t key[2];

    if (strcmp(f->word, "verdict") != 0)
        return false;
    const struct field *info = fields_find(f, "info");
    if (!fields_list(f, "key", key, 2) || info == NULL || info->len == 0 ||
        info->len > VERDICT_MAX)
        return true;
    struct verdict *set = table[key[0] & (SETS - 1)];
    for (int i = 0; i < WAYS; i++)
        if (set[i].len == 0) {
            set[i].key[0] = key[0];
            set[i].key[1] = key[1];
            set[i].at = now() -
                (uint32_t)(fields_u64(f, "age", 0, UINT32_MAX) / UNIT_MS);
            set[i].len = (uint16_t)info->len;
            memcpy(set[i].info, info->value, info->len);
            break;
        }
    return true;
}
