/* digest: a set of texts, by their digests. See digest.h. */
#include "digest.h"

#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"

static uint64_t
mix(uint64_t h, uint64_t word, uint64_t odd)
{
    h = (h ^ word) * odd;
    return h ^ (h >> 29);
}

struct digest
digest_of(const struct span *parts, unsigned count)
{
    struct digest d = {0x243f6a8885a308d3u, 0x13198a2e03707344u};

    for (unsigned i = 0; i < count; i++) {
        const char *p = parts[i].p;
        size_t      n = parts[i].n;
        for (; n > 0;) {
            uint64_t word = 0;
            size_t   take = n < 8 ? n : 8;
            memcpy(&word, p, take);
            d.a = mix(d.a, word, 0x9e3779b97f4a7c15u);
            d.b = mix(d.b, word + d.a, 0xd6e8feb86659fd93u);
            p += take;
            n -= take;
        }
        /* The length separates the parts. */
        d.a = mix(d.a, parts[i].n, 0xbf58476d1ce4e5b9u);
        d.b = mix(d.b, ~(uint64_t)parts[i].n, 0x94d049bb133111ebu);
    }
    d.b |= 1u;
    return d;
}

struct digest
digest_number(int64_t n)
{
    struct span s = {(const char *)&n, sizeof n};

    return digest_of(&s, 1);
}

static struct digest_slot *
probe(const struct digest_set *s, struct digest key)
{
    size_t i = (size_t)key.a & (s->size - 1);

    while ((s->slots[i].key.a | s->slots[i].key.b) != 0 &&
        (s->slots[i].key.a != key.a || s->slots[i].key.b != key.b))
        i = (i + 1) & (s->size - 1);
    return &s->slots[i];
}

static void
grow(struct digest_set *s)
{
    struct digest_set bigger = {
        .size = s->size ? s->size * 2 : 1024, .count = s->count};

    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    ensure(bigger.slots != NULL);
    for (size_t i = 0; i < s->size; i++)
        if ((s->slots[i].key.a | s->slots[i].key.b) != 0)
            *probe(&bigger, s->slots[i].key) = s->slots[i];
    free(s->slots);
    *s = bigger;
}

struct digest_slot *
digest_slot(struct digest_set *s, struct digest key)
{
    if (s->count * 4 >= s->size * 3)
        grow(s);
    struct digest_slot *slot = probe(s, key);
    if ((slot->key.a | slot->key.b) == 0) {
        slot->key = key;
        s->count++;
    }
    return slot;
}

struct digest_slot *
digest_find(const struct digest_set *s, struct digest key)
{
    if (s->size == 0)
        return NULL;
    struct digest_slot *slot = probe(s, key);
    return (slot->key.a | slot->key.b) != 0 ? slot : NULL;
}

void
digest_free(struct digest_set *s)
{
    free(s->slots);
    *s = (struct digest_set){0};
}
