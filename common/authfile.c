/* authfile: the charge points that may connect, and their keys. See
 * authfile.h. */
#include "authfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

/* A record: length of the name, flags, name, keys. Flags: whether there is a
 * key, the number of new keys, and which of those were accepted. */
enum { HAS_KEY = 1, NEXTS_SHIFT = 1, NEXTS_MASK = 7, ACCEPTED_SHIFT = 4 };
#define HEAD 2

_Static_assert(AUTHFILE_NEXT_MAX <= NEXTS_MASK && AUTHFILE_NEXT_MAX <= 4,
    "the flags of a record are one byte");

bool
authfile_wanted(const struct config *c)
{
    return c->auth_mode == CONF_auth_mode_file ||
        c->auth_mode == CONF_auth_mode_list;
}

void
authfile_path(const struct config *c, char out[AUTHFILE_PATH_MAX])
{
    if (c->auth_file[0] != '\0')
        snprintf(out, AUTHFILE_PATH_MAX, "%s", c->auth_file);
    else
        snprintf(out, AUTHFILE_PATH_MAX, "%s/auth", c->server_state_dir);
}

/* --- new keys ------------------------------------------------------------ */

unsigned
authfile_next_of(const struct authfile_entry *e, const struct auth_key *k)
{
    for (unsigned i = 0; i < e->nexts; i++)
        if (auth_key_same(&e->next[i], k))
            return i;
    return AUTHFILE_NEXT_MAX;
}

/* Removes the new keys from..to-1. */
static void
drop_next(struct authfile_entry *e, unsigned from, unsigned to)
{
    unsigned below = (1u << from) - 1;

    memmove(&e->next[from], &e->next[to], (e->nexts - to) * sizeof *e->next);
    e->accepted = (uint8_t)((e->accepted & below) |
        (unsigned)(e->accepted >> to) << from);
    e->nexts = (uint8_t)(e->nexts - (to - from));
}

bool
authfile_offer(struct authfile_entry *e, const struct auth_key *k)
{
    unsigned i = 0;

    if (!e->has_key) {
        e->has_key = true;
        e->key = *k;
        return true;
    }
    if (auth_key_same(&e->key, k) ||
        authfile_next_of(e, k) != AUTHFILE_NEXT_MAX)
        return false;
    if (e->nexts == AUTHFILE_NEXT_MAX) {
        /* If there is no room, the oldest key that the charge point has not
         * accepted is removed. */
        while (i + 1 < e->nexts && (e->accepted >> i & 1))
            i++;
        drop_next(e, i, i + 1);
    }
    e->next[e->nexts++] = *k;
    return true;
}

bool
authfile_accept(struct authfile_entry *e, const struct auth_key *k)
{
    unsigned i = authfile_next_of(e, k);

    if (i == AUTHFILE_NEXT_MAX || (i == 0 && (e->accepted & 1)))
        return false;
    drop_next(e, 0, i);
    e->accepted |= 1;
    return true;
}

bool
authfile_withdraw(struct authfile_entry *e, const struct auth_key *k)
{
    unsigned i = authfile_next_of(e, k);

    if (i == AUTHFILE_NEXT_MAX || (e->accepted >> i & 1))
        return false;
    drop_next(e, i, i + 1);
    return true;
}

bool
authfile_use(struct authfile_entry *e, const struct auth_key *k)
{
    unsigned i = authfile_next_of(e, k);

    if (i == AUTHFILE_NEXT_MAX)
        return false;
    e->key = e->next[i];
    drop_next(e, 0, i + 1);
    return true;
}

/* --- table --------------------------------------------------------------- */

static size_t
keys_of(const uint8_t *r)
{
    return (r[1] & HAS_KEY) + (r[1] >> NEXTS_SHIFT & NEXTS_MASK);
}

static size_t
record_size(const uint8_t *r)
{
    return HEAD + r[0] + keys_of(r) * sizeof(struct auth_key);
}

static void
record_get(const uint8_t *r, struct authfile_entry *e)
{
    const uint8_t *p = r + HEAD + r[0];

    memset(e, 0, sizeof *e);
    e->has_key = r[1] & HAS_KEY;
    e->nexts = r[1] >> NEXTS_SHIFT & NEXTS_MASK;
    e->accepted = r[1] >> ACCEPTED_SHIFT;
    if (e->has_key) {
        memcpy(&e->key, p, sizeof e->key);
        p += sizeof e->key;
    }
    memcpy(e->next, p, e->nexts * sizeof *e->next);
}

/* The place of a name in the index, or the free place where it belongs. */
static uint32_t *
place(const struct authfile *a, const char *name, size_t len)
{
    uint32_t i = (uint32_t)hash_keyed(&a->hash, 0, name, len);

    for (;; i++) {
        uint32_t *s = &a->slot[i & (a->slots - 1)];
        if (*s == 0)
            return s;
        const uint8_t *r = a->bytes + *s - 1;
        if (r[0] == len && memcmp(r + HEAD, name, len) == 0)
            return s;
    }
}

static bool
grow_index(struct authfile *a)
{
    uint32_t  slots = a->slots ? 2 * a->slots : 64;
    uint32_t *fresh = calloc(slots, sizeof *fresh);

    if (fresh == NULL)
        return false;
    free(a->slot);
    a->slot = fresh;
    a->slots = slots;
    for (size_t at = 0; at < a->len; at += record_size(a->bytes + at)) {
        const uint8_t *r = a->bytes + at;
        *place(a, (const char *)r + HEAD, r[0]) = (uint32_t)at + 1;
    }
    return true;
}

enum add { ADDED, THERE, NO_MEMORY };

static enum add
add(struct authfile *a, const char *name, size_t len,
    const struct authfile_entry *e)
{
    size_t need = HEAD + len + (1 + AUTHFILE_NEXT_MAX) * sizeof e->key;

    if (a->n + a->n / 2 >= a->slots && !grow_index(a))
        return NO_MEMORY;
    uint32_t *s = place(a, name, len);
    if (*s != 0)
        return THERE;
    if (a->len + need > a->cap) {
        size_t   cap = a->cap ? a->cap + a->cap / 2 : 4096;
        uint8_t *p = realloc(a->bytes, cap);
        if (p == NULL)
            return NO_MEMORY;
        a->bytes = p;
        a->cap = cap;
    }
    uint8_t *r = a->bytes + a->len, *p = r + HEAD + len;
    r[0] = (uint8_t)len;
    r[1] = (uint8_t)((e->has_key ? HAS_KEY : 0) | e->nexts << NEXTS_SHIFT |
        e->accepted << ACCEPTED_SHIFT);
    memcpy(r + HEAD, name, len);
    if (e->has_key) {
        memcpy(p, &e->key, sizeof e->key);
        p += sizeof e->key;
    }
    memcpy(p, e->next, e->nexts * sizeof *e->next);
    *s = (uint32_t)a->len + 1;
    a->len += record_size(r);
    a->n++;
    return ADDED;
}

bool
authfile_find(const struct authfile *a, const char *name, size_t len,
    struct authfile_entry *out)
{
    if (a->slots == 0)
        return false;
    uint32_t *s = place(a, name, len);
    if (*s == 0)
        return false;
    record_get(a->bytes + *s - 1, out);
    return true;
}

bool
authfile_next(const struct authfile *a, size_t *at, const char **name,
    size_t *len, struct authfile_entry *out)
{
    if (*at >= a->len)
        return false;
    const uint8_t *r = a->bytes + *at;
    *name = (const char *)r + HEAD;
    *len = r[0];
    record_get(r, out);
    *at += record_size(r);
    return true;
}

void
authfile_free(struct authfile *a)
{
    if (a->bytes != NULL)
        explicit_bzero(a->bytes, a->len);
    free(a->bytes);
    free(a->slot);
    memset(a, 0, sizeof *a);
}

/* --- text ---------------------------------------------------------------- */

/* Reads one line. Returns what is wrong with it, or NULL. *len is 0 if the line
   holds no entry. */
static const char *
parse_line(const char *p, size_t n, char name[IDENTITY_MAX], size_t *len,
    struct authfile_entry *e)
{
    const char *end = p + n, *word;
    size_t      k;

    *len = 0;
    memset(e, 0, sizeof *e);
    if (n > AUTHFILE_LINE_MAX)
        return "the line is too long; 1024 bytes are enough for any identity";
    if (memchr(p, '\0', n) != NULL)
        return "the line holds a NUL byte; the file must be text";
    if (!file_next_word(&p, end, &word, &k))
        return NULL;
    if (!file_get_word(word, k, name, IDENTITY_MAX, len))
        return "the identity is longer than 48 bytes or has a % without two "
               "hexadecimal digits; `ocppctl auth add` writes it right";
    if (!file_next_word(&p, end, &word, &k))
        return NULL;
    e->has_key = true;
    if (!auth_key_parse(word, k, &e->key))
        return "the key is not sha256:SALT:HASH with 32 and 64 hexadecimal "
               "digits; `ocppctl auth add` makes it from a key";
    while (file_next_word(&p, end, &word, &k)) {
        bool   accepted = k > 9 && memcmp(word, "accepted=", 9) == 0;
        size_t prefix = accepted ? 9 : 5;
        if (!accepted && (k < 5 || memcmp(word, "next=", 5) != 0))
            return "behind the key is something else than "
                   "next=sha256:SALT:HASH; remove it";
        if (e->nexts == AUTHFILE_NEXT_MAX)
            return "there are more than 4 new keys; remove the oldest";
        if (!auth_key_parse(word + prefix, k - prefix, &e->next[e->nexts]))
            return "behind the key is something else than "
                   "next=sha256:SALT:HASH; remove it";
        e->accepted |= (uint8_t)(accepted << e->nexts);
        e->nexts++;
    }
    return NULL;
}

bool
authfile_parse(struct authfile *a, const char *file, const char *text,
    size_t len, struct buf *errors)
{
    unsigned line = 0, wrong = 0;

    if (a->slots == 0)
        hash_key_draw(&a->hash);
    for (size_t at = 0; at < len;) {
        const char           *p = text + at;
        const char           *end = memchr(p, '\n', len - at);
        size_t                n = end != NULL ? (size_t)(end - p) : len - at;
        struct authfile_entry e;
        char                  name[IDENTITY_MAX];
        size_t                name_len;

        at += n + 1;
        line++;
        const char *why = parse_line(p, n, name, &name_len, &e);
        if (why == NULL && name_len == 0)
            continue;
        if (why == NULL)
            switch (add(a, name, name_len, &e)) {
            case ADDED:
                continue;
            case THERE:
                why = "the identity occurs in an earlier line; remove one of "
                      "the two";
                break;
            case NO_MEMORY:
                buf_addf(errors, "%s:%u: there is no memory for this line\n",
                    file, line);
                return false;
            }
        if (wrong++ < FILE_ERRORS_MAX)
            buf_addf(errors, "%s:%u: %s\n", file, line, why);
    }
    if (wrong > FILE_ERRORS_MAX)
        buf_addf(
            errors, "%s: and %u more errors\n", file, wrong - FILE_ERRORS_MAX);
    return wrong == 0;
}

enum authfile_result
authfile_read(struct authfile *a, const char *path, struct buf *errors)
{
    struct buf           text = BUF_INIT(AUTHFILE_MAX);
    enum authfile_result result;

    enum file_result r = file_read(path, &text, errors);
    if (r == FILE_READ)
        result = authfile_parse(a, path, text.p, text.len, errors)
            ? AUTHFILE_GOOD
            : AUTHFILE_BROKEN;
    else {
        buf_addc(errors, '\n');
        result = r == FILE_MISSING ? AUTHFILE_MISSING : AUTHFILE_UNREADABLE;
    }
    buf_free(&text);
    return result;
}

struct wanted {
    const char *name;
    size_t      len;
};

static bool
is_line_of(const char *line, size_t n, const void *arg)
{
    const struct wanted *w = arg;
    const char          *p = line, *word;
    char                 name[IDENTITY_MAX];
    size_t               k, len;

    return file_next_word(&p, line + n, &word, &k) &&
        file_get_word(word, k, name, sizeof name, &len) && len == w->len &&
        memcmp(name, w->name, len) == 0;
}

bool
authfile_get(const struct buf *text, const char *name, size_t len,
    struct authfile_entry *e)
{
    struct wanted w = {name, len};

    for (size_t at = 0; at < text->len;) {
        const char *p = text->p + at;
        const char *end = memchr(p, '\n', text->len - at);
        size_t      n = end != NULL ? (size_t)(end - p) : text->len - at;
        char        same[IDENTITY_MAX];
        size_t      same_len;
        at += n + 1;
        if (is_line_of(p, n, &w))
            return parse_line(p, n, same, &same_len, e) == NULL;
    }
    return false;
}

bool
authfile_set(struct buf *text, const char *name, size_t len,
    const struct authfile_entry *e)
{
    struct wanted w = {name, len};
    struct buf    line = BUF_INIT(AUTHFILE_LINE_MAX);
    char          key[AUTH_KEY_TEXT];

    if (e == NULL)
        return file_set_line(text, is_line_of, &w, NULL);
    file_put_word(&line, name, len);
    if (e->has_key) {
        auth_key_text(&e->key, key);
        buf_addf(&line, " %s", key);
    }
    for (unsigned i = 0; e->has_key && i < e->nexts; i++) {
        auth_key_text(&e->next[i], key);
        buf_addf(
            &line, " %s=%s", e->accepted >> i & 1 ? "accepted" : "next", key);
    }
    bool found = file_set_line(text, is_line_of, &w, buf_cstr(&line));
    buf_free(&line);
    return found;
}
