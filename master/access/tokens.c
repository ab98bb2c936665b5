/* tokens: the tokens of the HTTP API. See tokens.h. */
#include "access/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "access/kept.h"
#include "auth_key.h"
#include "config.h"
#include "ensure.h"
#include "file.h"

#define FILE_MAX (64u << 10)
#define BYTES 20
#define PATH_SIZE (CONF_TEXT_MAX + 16)

struct token {
    char             name[TOKENS_NAME_MAX + 1];
    enum tokens_role role;
    struct auth_key  key;
};

struct tokens {
    struct token of[TOKENS_MAX];
    unsigned     n;
};

static struct tokens in_force;

const char *
tokens_role_name(enum tokens_role role)
{
    return role == TOKENS_ADMIN ? "admin" : role == TOKENS_READ ? "read" : "-";
}

static bool
good_name(const char *s, size_t n)
{
    return n > 0 && n <= TOKENS_NAME_MAX &&
        strspn(s,
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
            ".") >= n;
}

static bool
parse(const char *p, const char *end, struct token *t)
{
    const char *name, *role, *key, *more;
    size_t      name_n, role_n, key_n, more_n;

    if (!file_next_word(&p, end, &name, &name_n) ||
        !file_next_word(&p, end, &role, &role_n) ||
        !file_next_word(&p, end, &key, &key_n) ||
        file_next_word(&p, end, &more, &more_n) || !good_name(name, name_n) ||
        !auth_key_parse(key, key_n, &t->key))
        return false;
    memcpy(t->name, name, name_n);
    t->name[name_n] = '\0';
    t->role = role_n == 4 && memcmp(role, "read", 4) == 0 ? TOKENS_READ
        : role_n == 5 && memcmp(role, "admin", 5) == 0    ? TOKENS_ADMIN
                                                          : TOKENS_NONE;
    return t->role != TOKENS_NONE;
}

static bool
read_text(
    struct tokens *t, const char *path, const struct buf *text, struct buf *why)
{
    unsigned line = 0;
    bool     good = true;

    for (const char *p = text->p, *end = p + text->len; p < end && good;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *stop = eol != NULL ? eol : end, *q = p, *word;
        size_t      word_n;
        line++;
        if (file_next_word(&q, stop, &word, &word_n))
            good = t->n < TOKENS_MAX && parse(p, stop, &t->of[t->n++]);
        p = stop + 1;
    }
    if (!good)
        buf_addf(why,
            "%s:%u: the line is not `NAME read|admin sha256:SALT:HASH`, or "
            "more than %d tokens; `ocppctl token` writes this file",
            path, line, TOKENS_MAX);
    return good;
}

struct tokens *
tokens_read(const char *dir, struct buf *why)
{
    struct tokens *t = calloc(1, sizeof *t);
    struct buf     text = BUF_INIT(FILE_MAX);
    char           path[PATH_SIZE];
    bool           good = false;

    snprintf(path, sizeof path, "%s/tokens", dir);
    buf_clear(why);
    buf_adds(why, "server.state_dir: ");
    switch (t != NULL ? file_read(path, &text, why) : FILE_FAILED) {
    case FILE_MISSING:
        good = !kept_vanished(KEPT_TOKENS, path, why);
        if (good)
            buf_clear(why);
        break;
    case FILE_READ:
        kept_exists(KEPT_TOKENS);
        buf_clear(why);
        good = read_text(t, path, &text, why);
        break;
    case FILE_FAILED:
        break;
    }
    buf_free(&text);
    if (good)
        return t;
    tokens_free(t);
    return NULL;
}

void
tokens_free(struct tokens *t)
{
    if (t != NULL)
        explicit_bzero(t, sizeof *t);
    free(t);
}

void
tokens_adopt(struct tokens *t)
{
    in_force = *t;
    tokens_free(t);
}

/* Every token is compared as a whole, so that the time taken reveals
 * nothing. */
enum tokens_role
tokens_judge(const char *token)
{
    enum tokens_role role = TOKENS_NONE;
    size_t           n = strlen(token);

    if (n != TOKENS_TEXT - 1)
        return TOKENS_NONE;
    for (unsigned i = 0; i < in_force.n; i++)
        if (auth_key_matches(&in_force.of[i].key, (const uint8_t *)token, n))
            role = in_force.of[i].role;
    return role;
}

/* Writes the file. Returns t, or NULL with a sentence in why. */
static struct tokens *
write_all(struct tokens *t, const char *dir, struct buf *why)
{
    struct buf text = BUF_INIT(FILE_MAX);
    char       path[PATH_SIZE], key[AUTH_KEY_TEXT];

    snprintf(path, sizeof path, "%s/tokens", dir);
    buf_adds(&text, "# Tokens of the HTTP API. Written by ocppctl token.\n");
    for (unsigned i = 0; i < t->n; i++) {
        auth_key_text(&t->of[i].key, key);
        buf_addf(&text, "%s %s %s\n", t->of[i].name,
            tokens_role_name(t->of[i].role), key);
    }
    /* The file belongs to the master's user, because no other process reads
       it. */
    bool good = file_replace(path, text.p, text.len, (uid_t)-1, (gid_t)-1, why);
    buf_free(&text);
    if (good) {
        kept_exists(KEPT_TOKENS);
        return t;
    }
    tokens_free(t);
    return NULL;
}

static unsigned
find(const struct tokens *t, const char *name)
{
    unsigned i = 0;

    while (i < t->n && strcmp(t->of[i].name, name) != 0)
        i++;
    return i;
}

static bool
may_add(const struct tokens *t, const char *name, struct buf *why)
{
    if (!good_name(name, strlen(name)))
        buf_addf(why,
            "the name of a token has 1 to %d letters, digits, - _ and .",
            TOKENS_NAME_MAX);
    else if (find(t, name) < t->n)
        buf_addf(why, "a token %s exists already; remove it first", name);
    else if (t->n == TOKENS_MAX)
        buf_addf(why, "there are %d tokens; remove one first", TOKENS_MAX);
    else
        return true;
    return false;
}

struct tokens *
tokens_add(const char *dir, const char *name, enum tokens_role role,
    char out[TOKENS_TEXT], struct buf *why)
{
    struct tokens *all = tokens_read(dir, why);
    uint8_t        bytes[BYTES];

    if (all == NULL)
        return NULL;
    if (!may_add(all, name, why)) {
        tokens_free(all);
        return NULL;
    }
    ensure(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    struct token *t = &all->of[all->n++];
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->role = role;
    auth_key_make(&t->key, (const uint8_t *)out, TOKENS_TEXT - 1, NULL);
    return write_all(all, dir, why);
}

struct tokens *
tokens_remove(
    const char *dir, const char *name, bool *was_there, struct buf *why)
{
    struct tokens *all = tokens_read(dir, why);

    if (all == NULL)
        return NULL;
    unsigned i = find(all, name);
    *was_there = i < all->n;
    if (!*was_there)
        return all;
    all->n--;
    memmove(&all->of[i], &all->of[i + 1], (all->n - i) * sizeof all->of[0]);
    return write_all(all, dir, why);
}

bool
tokens_at(unsigned i, const char **name, enum tokens_role *role)
{
    if (i >= in_force.n)
        return false;
    *name = in_force.of[i].name;
    *role = in_force.of[i].role;
    return true;
}
