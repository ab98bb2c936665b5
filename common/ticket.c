/* ticket: the keys of TLS session tickets. See ticket.h. */
#include "ticket.h"

#include <string.h>
#include <sys/random.h>

#include "base64.h"

/* A reader gives up after this many attempts; two are hardly ever needed. */
#define TRIES 1000

static void
store(struct ticket_keys *k, const struct ticket_key *keys, uint32_t n,
    uint32_t current, uint64_t wall_ms)
{
    atomic_fetch_add_explicit(&k->turn, 1, memory_order_acq_rel);
    atomic_thread_fence(memory_order_release);
    if (n > 0)
        memcpy(k->key, keys, n * sizeof *keys);
    explicit_bzero(k->key + n, (TICKET_KEYS - n) * sizeof *keys);
    k->n = n;
    k->current = current;
    k->since_ms = wall_ms;
    atomic_fetch_add_explicit(&k->turn, 1, memory_order_release);
}

static bool
draw(struct ticket_key *key)
{
    return getrandom(key, sizeof *key, 0) == (ssize_t)sizeof *key;
}

bool
ticket_start(struct ticket_keys *k, uint64_t wall_ms)
{
    struct ticket_key keys[2];
    bool              good = draw(&keys[0]) && draw(&keys[1]);

    if (good)
        store(k, keys, 2, 0, wall_ms);
    explicit_bzero(keys, sizeof keys);
    return good;
}

bool
ticket_rotate(struct ticket_keys *k, uint64_t wall_ms)
{
    struct ticket_key keys[TICKET_KEYS];

    if (k->n < 2)
        return ticket_start(k, wall_ms);
    keys[0] = k->key[k->current];
    keys[1] = k->key[k->current + 1 < k->n ? k->current + 1 : k->current];
    bool good = draw(&keys[2]);
    if (good)
        store(k, keys, 3, 1, wall_ms);
    explicit_bzero(keys, sizeof keys);
    return good;
}

/* Decodes a line of base64, which must hold exactly one key. */
static bool
decode(const char *p, size_t n, struct ticket_key *key)
{
    uint8_t bytes[BASE64_DECODED(128)];
    size_t  len;

    bool good =
        n <= 128 && base64_decode(p, n, bytes, &len) && len == sizeof *key;
    if (good)
        memcpy(key, bytes, sizeof *key);
    explicit_bzero(bytes, sizeof bytes);
    return good;
}

bool
ticket_load(struct ticket_keys *k, const char *text, size_t len,
    uint64_t wall_ms, struct buf *why)
{
    struct ticket_key keys[TICKET_KEYS];
    uint32_t          n = 0;
    unsigned          line = 0;
    bool              good = true;

    for (const char *end = text + len; good && text < end;) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t      m = (size_t)((stop == NULL ? end : stop) - text);
        const char *p = text;
        line++;
        text += m + (stop != NULL);
        if (m > 0 && p[m - 1] == '\r')
            m--;
        if (m == 0 || p[0] == '#')
            continue;
        if (n == TICKET_KEYS) {
            memmove(keys, keys + 1, sizeof keys - sizeof keys[0]);
            n--;
        }
        good = decode(p, m, &keys[n++]);
    }
    if (!good)
        buf_addf(why,
            "line %u is not 80 bytes in base64; `openssl rand -base64 80 | "
            "tr -d '\\n'` makes one",
            line);
    else if (n < 2)
        buf_addf(
            why, "%u keys; give at least two: the current and the next", n);
    else
        store(k, keys, n, n - 2, wall_ms);
    explicit_bzero(keys, sizeof keys);
    return good && n >= 2;
}

void
ticket_none(struct ticket_keys *k)
{
    store(k, NULL, 0, 0, 0);
}

void
ticket_write(const struct ticket_keys *k, struct buf *out)
{
    fields_begin(out, "tickets");
    fields_put_u64(out, "current", k->current);
    fields_put_u64(out, "since_ms", k->since_ms);
    for (uint32_t i = 0; i < k->n && i < TICKET_KEYS; i++) {
        char key[] = "key0";
        key[3] = (char)('0' + i);
        fields_put_bytes(out, key, &k->key[i], sizeof k->key[i]);
    }
    fields_end(out);
}

bool
ticket_read(struct ticket_keys *k, struct fields *f)
{
    struct ticket_key keys[TICKET_KEYS];
    uint32_t          n = 0;

    if (strcmp(f->word, "tickets") != 0)
        return false;
    for (; n < TICKET_KEYS; n++) {
        char key[] = "key0";
        key[3] = (char)('0' + n);
        const struct field *v = fields_find(f, key);
        if (v == NULL || v->len != sizeof keys[n])
            break;
        memcpy(&keys[n], v->value, v->len);
    }
    uint32_t current = (uint32_t)fields_u64(f, "current", n, TICKET_KEYS - 1);
    bool     good = n > 0 && current < n;
    if (good)
        store(k, keys, n, current, fields_u64(f, "since_ms", 0, UINT64_MAX));
    explicit_bzero(keys, sizeof keys);
    return good;
}

static bool
find(const struct ticket_keys *k, const uint8_t *name, struct ticket_key *out,
    bool *old)
{
    for (int i = 0; i < TRIES; i++) {
        uint32_t turn = atomic_load_explicit(&k->turn, memory_order_acquire);
        if (turn % 2 != 0)
            continue;
        uint32_t n = k->n, current = k->current, at;
        if (n > TICKET_KEYS)
            n = 0;
        for (at = 0; at < n; at++)
            if (name != NULL ? memcmp(k->key[at].name, name, 16) == 0
                             : at == current)
                break;
        if (at < n)
            *out = k->key[at];
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&k->turn, memory_order_relaxed) != turn)
            continue;
        *old = at < current;
        return at < n;
    }
    return false;
}

bool
ticket_current(const struct ticket_keys *k, struct ticket_key *out)
{
    bool old;

    return find(k, NULL, out, &old);
}

bool
ticket_find(const struct ticket_keys *k, const uint8_t name[16],
    struct ticket_key *out, bool *old)
{
    return find(k, name, out, old);
}
