/* denyfile: the addresses and identities that are refused. See denyfile.h. */
#include "denyfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file.h"

void
denyfile_path(const struct config *c, char out[DENYFILE_PATH_MAX])
{
    if (c->limits_deny_file[0] != '\0')
        snprintf(out, DENYFILE_PATH_MAX, "%s", c->limits_deny_file);
    else
        snprintf(out, DENYFILE_PATH_MAX, "%s/deny", c->server_state_dir);
}

/* The content of a line. */
struct entry {
    bool                 is_name;
    struct cidr          range;
    struct denyfile_name name;
};

static const char *
parse_entry(const char *kind, size_t kind_len, const char *what,
    size_t what_len, struct entry *e)
{
    char   text[CIDR_LEN];
    size_t n;

    memset(e, 0, sizeof *e);
    if (kind_len == 7 && memcmp(kind, "address", 7) == 0) {
        if (what_len >= sizeof text)
            what_len = 0;
        memcpy(text, what, what_len);
        text[what_len] = '\0';
        if (!cidr_parse(text, &e->range))
            return "is not an address; write 192.0.2.1, 192.0.2.0/24 or "
                   "2001:db8::/32";
        return NULL;
    }
    if (kind_len == 8 && memcmp(kind, "identity", 8) == 0) {
        e->is_name = true;
        if (!file_get_word(what, what_len, e->name.name, IDENTITY_MAX, &n))
            return "is not an identity; it has 1 to 48 bytes, and a % is "
                   "written %25";
        e->name.len = (uint8_t)n;
        return NULL;
    }
    return "is neither `address ADDRESS' nor `identity NAME'";
}

/* Reads one line into *e. Returns an error text or NULL. *some is false if the
 * line holds no entry. */
static const char *
parse_line(const char *p, size_t n, struct entry *e, bool *some)
{
    const char *end = p + n, *kind, *what, *more;
    size_t      kind_len, what_len;

    *some = false;
    if (!file_next_word(&p, end, &kind, &kind_len))
        return NULL;
    *some = true;
    if (!file_next_word(&p, end, &what, &what_len))
        return "is one word; write `address ADDRESS' or `identity NAME'";
    if (file_next_word(&p, end, &more, &(size_t){0}))
        return "has more than two words; write one entry a line";
    return parse_entry(kind, kind_len, what, what_len, e);
}

static int
compare_names(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct denyfile_name));
}

/* Room for one more element; false if there is no memory for it. */
static bool
one_more(void **p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    void *more = array_grow(*p, cap, size);
    if (more == NULL)
        return false;
    *p = more;
    return true;
}

static bool
add(struct denyfile *d, const struct entry *e)
{
    void *p = e->is_name ? (void *)d->name : (void *)d->range;
    bool  fits = e->is_name
         ? one_more(&p, d->names, &d->names_cap, sizeof *d->name)
         : one_more(&p, d->ranges, &d->ranges_cap, sizeof *d->range);

    if (!fits)
        return false;
    if (e->is_name) {
        d->name = p;
        d->name[d->names++] = e->name;
    } else {
        d->range = p;
        d->range[d->ranges++] = e->range;
    }
    return true;
}

bool
denyfile_parse(struct denyfile *d, const char *file, const char *text,
    size_t len, struct buf *errors)
{
    unsigned line = 0, wrong = 0;

    for (size_t at = 0; at < len;) {
        const char  *p = text + at;
        const char  *end = memchr(p, '\n', len - at);
        size_t       n = end != NULL ? (size_t)(end - p) : len - at;
        struct entry e;
        bool         some;

        at += n + 1;
        line++;
        const char *why = parse_line(p, n, &e, &some);
        if (why == NULL && some && !e.is_name &&
            d->ranges == DENYFILE_ADDRESSES)
            why = "is one address more than 10000; use a packet filter instead";
        if (why != NULL) {
            if (wrong++ < FILE_ERRORS_MAX)
                buf_addf(errors, "%s:%u: the entry %s\n", file, line, why);
            continue;
        }
        if (!some)
            continue;
        if (!add(d, &e)) {
            buf_addf(errors, "%s:%u: there is no memory for this line\n", file,
                line);
            wrong++;
            break;
        }
    }
    if (d->names > 0)
        qsort(d->name, d->names, sizeof *d->name, compare_names);
    if (wrong > FILE_ERRORS_MAX)
        buf_addf(
            errors, "%s: and %u more errors\n", file, wrong - FILE_ERRORS_MAX);
    return wrong == 0;
}

enum denyfile_result
denyfile_read(struct denyfile *d, const char *path, struct buf *errors)
{
    struct buf           text = BUF_INIT(DENYFILE_MAX), why = BUF_INIT(1024);
    enum denyfile_result result = DENYFILE_GOOD;

    switch (file_read(path, &text, &why)) {
    case FILE_MISSING:
        break;
    case FILE_READ:
        if (!denyfile_parse(d, path, text.p, text.len, errors))
            result = DENYFILE_BROKEN;
        break;
    case FILE_FAILED:
        buf_addf(errors, "%s\n", buf_cstr(&why));
        result = DENYFILE_UNREADABLE;
        break;
    }
    buf_free(&text);
    buf_free(&why);
    return result;
}

void
denyfile_free(struct denyfile *d)
{
    free(d->range);
    free(d->name);
    memset(d, 0, sizeof *d);
}

bool
denyfile_has_address(const struct denyfile *d, const uint64_t addr[2])
{
    for (size_t i = 0; i < d->ranges; i++)
        if (cidr_has(&d->range[i], addr))
            return true;
    return false;
}

bool
denyfile_has_name(const struct denyfile *d, const char *name, size_t len)
{
    struct denyfile_name n = {.len = (uint8_t)len};

    if (d->names == 0 || len > sizeof n.name)
        return false;
    memcpy(n.name, name, len);
    return bsearch(&n, d->name, d->names, sizeof n, compare_names) != NULL;
}

static bool
is_same(const char *line, size_t n, const void *arg)
{
    const struct entry *want = arg;
    struct entry        e;
    bool                some;

    if (parse_line(line, n, &e, &some) != NULL || !some ||
        e.is_name != want->is_name)
        return false;
    return e.is_name ? memcmp(&e.name, &want->name, sizeof e.name) == 0
                     : e.range.bits == want->range.bits &&
            e.range.addr[0] == want->range.addr[0] &&
            e.range.addr[1] == want->range.addr[1];
}

bool
denyfile_set(struct buf *text, const char *kind, const char *what, bool adding,
    const char **why)
{
    struct buf   word = BUF_INIT(1024), line = BUF_INIT(1024);
    struct entry e;

    if (strcmp(kind, "identity") == 0)
        file_put_word(&word, what, strlen(what));
    else
        buf_adds(&word, what);
    *why = parse_entry(kind, strlen(kind), buf_cstr(&word), word.len, &e);
    bool found = false;
    if (*why == NULL) {
        if (e.is_name) {
            buf_addf(&line, "identity %s", buf_cstr(&word));
        } else {
            char range[CIDR_LEN];
            cidr_text(&e.range, range);
            buf_addf(&line, "address %s", range);
        }
        found =
            file_set_line(text, is_same, &e, adding ? buf_cstr(&line) : NULL);
    }
    buf_free(&word);
    buf_free(&line);
    return found;
}
