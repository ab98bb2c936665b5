/* tokens: the tokens of the HTTP API. See tokens.h. */
#include "access/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "authfile.h"
#include "base/master.h"
#include "ensure.h"
#include "file.h"

#define FILE_MAX (64u << 10)
#define BYTES 20

struct token {
    char                name[TOKENS_NAME_MAX + 1];
    enum tokens_role    role;
    struct authfile_key key;
};

static struct token tokens[TOKENS_MAX];
static unsigned     tokens_n;

const char *
tokens_role_name(enum tokens_role role)
{
    return role == TOKENS_ADMIN ? "admin" : role == TOKENS_READ ? "read" : "-";
}

static void
path_of(char out[CONF_TEXT_MAX + 16])
{
    snprintf(
        out, CONF_TEXT_MAX + 16, "%s/tokens", master.config.server_state_dir);
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
        !authfile_parse_key(key, key_n, &t->key))
        return false;
    memcpy(t->name, name, name_n);
    t->name[name_n] = '\0';
    t->role = role_n == 4 && memcmp(role, "read", 4) == 0 ? TOKENS_READ
        : role_n == 5 && memcmp(role, "admin", 5) == 0    ? TOKENS_ADMIN
                                                          : TOKENS_NONE;
    return t->role != TOKENS_NONE;
}

bool
tokens_read(struct buf *why)
{
    static struct token next[TOKENS_MAX];
    struct buf          text = BUF_INIT(FILE_MAX);
    char                path[CONF_TEXT_MAX + 16];
    unsigned            n = 0, line = 0;
    bool                good = true;

    path_of(path);
    enum file_result r = file_read(path, &text, why);
    if (r == FILE_MISSING) {
        buf_clear(why);
        tokens_n = 0;
    }
    if (r != FILE_READ) {
        buf_free(&text);
        return r == FILE_MISSING;
    }
    for (const char *p = text.p, *end = p + text.len; p < end && good;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *stop = eol != NULL ? eol : end, *q = p, *word;
        size_t      word_n;
        line++;
        if (file_next_word(&q, stop, &word, &word_n)) {
            good = n < TOKENS_MAX && parse(p, stop, &next[n]);
            n++;
        }
        p = stop + 1;
    }
    if (good) {
        memcpy(tokens, next, sizeof tokens);
        tokens_n = n;
    } else {
        buf_addf(why,
            "%s:%u: is no `NAME read|admin sha256:SALT:HASH`, or more than %d "
            "tokens; `ocppctl token` writes this file",
            path, line, TOKENS_MAX);
    }
    buf_free(&text);
    return good;
}

/* Every token is compared, whole, so that the time taken reveals nothing. */
enum tokens_role
tokens_judge(const char *token)
{
    enum tokens_role role = TOKENS_NONE;
    size_t           n = strlen(token);

    if (n != TOKENS_TEXT - 1)
        return TOKENS_NONE;
    for (unsigned i = 0; i < tokens_n; i++)
        if (authfile_matches(&tokens[i].key, (const uint8_t *)token, n))
            role = tokens[i].role;
    return role;
}

static bool
write_all(struct buf *why)
{
    struct buf text = BUF_INIT(FILE_MAX);
    char       path[CONF_TEXT_MAX + 16], key[AUTHFILE_KEY_TEXT];

    path_of(path);
    buf_adds(&text, "# Tokens of the HTTP API. Written by ocppctl token.\n");
    for (unsigned i = 0; i < tokens_n; i++) {
        authfile_key_text(&tokens[i].key, key);
        buf_addf(&text, "%s %s %s\n", tokens[i].name,
            tokens_role_name(tokens[i].role), key);
    }
    /* It stays the master's own: no other process reads it. */
    bool good = file_replace(path, text.p, text.len, (uid_t)-1, (gid_t)-1, why);
    buf_free(&text);
    return good;
}

static unsigned
find(const char *name)
{
    unsigned i = 0;

    while (i < tokens_n && strcmp(tokens[i].name, name) != 0)
        i++;
    return i;
}

bool
tokens_add(const char *name, enum tokens_role role, char out[TOKENS_TEXT],
    struct buf *why)
{
    uint8_t bytes[BYTES];

    if (!good_name(name, strlen(name))) {
        buf_addf(why, "a name has 1 to %d letters, digits and - _ .",
            TOKENS_NAME_MAX);
        return false;
    }
    if (find(name) < tokens_n) {
        buf_addf(why, "there is a token %s; remove it first", name);
        return false;
    }
    if (tokens_n == TOKENS_MAX) {
        buf_addf(why, "there are %d tokens; remove one first", TOKENS_MAX);
        return false;
    }
    ensure(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    struct token *t = &tokens[tokens_n++];
    memset(t, 0, sizeof *t);
    strcpy(t->name, name);
    t->role = role;
    authfile_make_key(&t->key, (const uint8_t *)out, TOKENS_TEXT - 1, NULL);
    if (write_all(why))
        return true;
    tokens_n--;
    return false;
}

bool
tokens_remove(const char *name, bool *was_there, struct buf *why)
{
    unsigned i = find(name);

    *was_there = i < tokens_n;
    if (!*was_there)
        return true;
    struct token gone = tokens[i];
    memmove(&tokens[i], &tokens[i + 1], (tokens_n - i - 1) * sizeof *tokens);
    tokens_n--;
    if (write_all(why))
        return true;
    tokens[tokens_n++] = gone;
    return false;
}

bool
tokens_at(unsigned i, const char **name, enum tokens_role *role)
{
    if (i >= tokens_n)
        return false;
    *name = tokens[i].name;
    *role = tokens[i].role;
    return true;
}
