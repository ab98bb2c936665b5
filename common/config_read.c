/*
 * config_read: ocppd.conf(5) and overrides. See config_read.h.
 *
 * inih splits a line into key and value. It gets one checked line at a time,
 * because by itself it would cut long lines and parse the rest as a new line,
 * repeat the former key for an indented line, and not pass the number of the
 * line to its handler. So a line is passed to inih whole, without blanks and
 * comment, and only if it can be read in one way. In the place of any other
 * line inih gets an empty line, and an error is reported.
 *
 * Comments: # or ;, at the start of a line or after a blank, to its end.
 */
#include "config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <ini.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_check.h"
#include "ensure.h"
#include "expand.h"
#include "knob.h"
#include "reading.h"

/* --- one setting --------------------------------------------------------- */

static void
set(struct reading *r, struct place at, enum conf_knob k, const char *written)
{
    struct buf         value = BUF_INIT(CONF_FILE_MAX), why = BUF_INIT(4096);
    enum expand_result found = expand_value(written, r->files, &value, &why);

    /* This process may not see the variables and files of the daemon, so the
     * setting keeps its value. */
    if (found == EXPAND_MISSING && r->partial) {
        buf_free(&value);
        buf_free(&why);
        return;
    }
    bool whole = found == EXPAND_PLAIN || found == EXPAND_DONE;
    r->bad[k] = !whole || !knob_parse(k, buf_cstr(&value), r->c, &why);
    if (!r->bad[k]) {
        r->c->origin[k] = at.line;
        r->c->origin_file[k] = (uint8_t)at.file;
        r->c->origin_expanded[k] = found == EXPAND_DONE;
    } else if (reading_error(r)) {
        reading_put_place(r, at);
        buf_addf(r->errors, "%s.%s = ", knobs[k].section, knobs[k].key);
        reading_put_value(r, k, written);
        if (found == EXPAND_DONE && !knob_is_secret(k)) {
            buf_adds(r->errors, " (");
            reading_put_shown(r, value.p, value.len);
            buf_adds(r->errors, ")");
        }
        /* The reason may quote text from the file or from -o, which may hold
           control characters. */
        for (size_t i = 0; i < why.len; i++)
            why.p[i] = (char)((unsigned char)why.p[i] < 0x20 ? '?' : why.p[i]);
        buf_addf(r->errors, ": %s\n", buf_cstr(&why));
    }
    buf_free(&value);
    buf_free(&why);
}

/* --- the file ------------------------------------------------------------ */

static bool
blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Narrows [*s, *e) to its content without blanks and a comment. */
static void
strip(const char **s, const char **e)
{
    while (*s < *e && blank(**s))
        ++*s;
    for (const char *p = *s; p < *e; p++)
        if ((*p == '#' || *p == ';') && (p == *s || blank(p[-1])))
            *e = p;
    while (*e > *s && blank((*e)[-1]))
        --*e;
}

static bool
is_key(const char *s, size_t n)
{
    if (n == 0 || n > KEY_MAX_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                (s[i] >= '0' && s[i] <= '9') || s[i] == '_' || s[i] == '-'))
            return false;
    return true;
}

/* Checks a stripped line that opens a section. True if inih may read it. */
static bool
section_ok(struct reading *r, const char *s, size_t n)
{
    const char *close = memchr(s, ']', n);
    char        name[KEY_MAX_BYTES + 1] = "";

    r->skip = true; /* the following lines are skipped, unless this line opens a
                     * section */
    if (close == NULL || close != s + n - 1) {
        reading_bad_line(r, s, n,
            "is not a section; write its name in brackets and "
            "nothing else, as [%s]",
            knob_sections[0].name);
        return false;
    }
    if (n - 2 < sizeof name)
        memcpy(name, s + 1, n - 2);
    if (strlen(name) != n - 2 || !knob_is_section(name)) {
        reading_unknown_section(r, r->at, s + 1, n - 2);
        return false;
    }
    r->skip = false;
    return true;
}

/* Checks a stripped line that should be a setting. True if it is one. */
static bool
setting_ok(struct reading *r, const char *s, size_t n, size_t *key_len,
    const char **value)
{
    const char *equals = memchr(s, '=', n);

    if (equals == NULL) {
        reading_bad_line(r, s, n,
            "has no =; write key = value, the whole value on "
            "one line");
        return false;
    }
    *value = equals + 1;
    while (*value < s + n && blank(**value))
        ++*value;
    while (equals > s && blank(equals[-1]))
        equals--;
    *key_len = (size_t)(equals - s);
    if (!is_key(s, *key_len)) {
        reading_bad_line(r, s, n,
            "does not begin with the name of a key; write "
            "key = value");
        return false;
    }
    return true;
}

static void include(struct reading *r, const char *value, size_t n);

/* An ini_reader: gives inih the next line, after checking it. */
static char *
next_line(char *to, int size, void *reading)
{
    struct reading *r = reading;
    const char     *s = r->next, *e, *value;
    size_t          n, key_len;

    ensure(size > 2);
    if (s == r->end)
        return NULL;
    e = memchr(s, '\n', (size_t)(r->end - s));
    if (e == NULL)
        e = r->end;
    r->next = e == r->end ? e : e + 1;
    if (r->at.line++ == 0 && e - s >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        s += 3;
    strip(&s, &e);
    n = (size_t)(e - s);
    snprintf(to, (size_t)size, "\n");
    if (n == 0)
        return to;
    if (memchr(s, '\0', n) != NULL) {
        reading_bad_line(
            r, s, n, "holds a NUL byte; the file must be plain text");
    } else if (*s == '[') {
        if (section_ok(r, s, n))
            snprintf(to, (size_t)size, "%.*s\n", (int)n, s);
    } else if (r->skip || !setting_ok(r, s, n, &key_len, &value)) {
        ; /* an error, reported */
    } else if (key_len == 7 && memcmp(s, "include", 7) == 0) {
        include(r, value, (size_t)(e - value));
    } else {
        size_t room = (size_t)size - 3; /* for =, newline and NUL */
        size_t used = key_len + (size_t)(e - value);
        if (used <= room)
            snprintf(to, (size_t)size, "%.*s=%.*s\n", (int)key_len, s,
                (int)(e - value), value);
        else
            reading_bad_line(r, s, n,
                "is too long; key and value may have %zu "
                "bytes together, these have %zu",
                room, used);
    }
    return to;
}

/* An ini_handler. */
static int
on_setting(
    void *reading, const char *section, const char *key, const char *value)
{
    struct reading *r = reading;
    enum conf_knob  k = knob_find(section, key);
    struct place   *seen = &r->seen[r->at.file > 0][k < CONF_KNOBS ? k : 0];

    if (k == CONF_KNOBS) {
        reading_unknown_key(r, r->at, section, key, value);
    } else if (seen->line != 0 && seen->file == r->at.file) {
        if (reading_error(r)) {
            reading_put_place(r, r->at);
            buf_addf(r->errors, "%s.%s = ", section, key);
            reading_put_value(r, k, value);
            buf_addf(r->errors,
                ": is already set in line %d; remove one of "
                "the two\n",
                seen->line);
        }
    } else {
        *seen = r->at;
        set(r, r->at, k, value);
    }
    return 1;
}

/* --- other files --------------------------------------------------------- */

/* The whole of a file, at most text->max bytes. */
static bool
read_whole(const char *path, bool regular, struct buf *text, struct buf *why)
{
    struct stat st;
    ssize_t     n = 0;
    int         fd = open(
                path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));

    if (fd < 0) {
        buf_addf(why, "cannot be opened: %s", strerror(errno));
        return false;
    }
    if (regular && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        buf_adds(why, "is not a regular file");
        close(fd);
        return false;
    }
    bool room = buf_reserve(text, text->max);
    while (room && text->len < text->max) {
        n = read(fd, text->p + text->len, text->max - text->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        text->len += (size_t)n;
    }
    if (!room || n < 0)
        buf_addf(why, "cannot be read: %s", strerror(room ? errno : ENOMEM));
    close(fd);
    return room && n >= 0;
}

/* Reads one file as if its lines stood in the place of the current line. */
static void
include_file(struct reading *r, const char *path)
{
    struct reading outer = *r;
    struct buf     text = BUF_INIT(CONF_FILE_MAX + 1), why = BUF_INIT(1024);

    bool readable = read_whole(path, true, &text, &why);
    if (!readable && r->partial)
        ;
    else if (r->included_n == CONF_INCLUDED_MAX)
        reading_bad_line(r, path, strlen(path),
            "is one file too many; %d can be included", CONF_INCLUDED_MAX);
    else if (strlen(path) >= sizeof r->c->included[0])
        reading_bad_line(r, path, strlen(path),
            "is too long a path; %zu bytes are possible",
            sizeof r->c->included[0] - 1);
    else if (!readable)
        reading_bad_line(r, path, strlen(path), "%s", buf_cstr(&why));
    else if (text.len > CONF_FILE_MAX)
        reading_bad_line(r, path, strlen(path),
            "is larger than 1MiB, so it is not a configuration; name another "
            "file");
    else {
        memcpy(r->c->included[r->included_n++], path, strlen(path) + 1);
        r->at = (struct place){0, r->included_n};
        r->next = buf_cstr(&text);
        r->end = r->next + text.len;
        if (ini_parse_stream(next_line, r, on_setting, r) < 0)
            reading_bad_line(
                r, path, strlen(path), "there is no memory for it");
        r->next = outer.next;
        r->end = outer.end;
        r->at = outer.at;
        r->skip = outer.skip;
    }
    buf_free(&text);
    buf_free(&why);
}

/* A folder that does not exist holds no files. */
static int
glob_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

/* include = PATTERN. A relative pattern begins at the folder of the file. The
 * files are read in the order of their names. */
static void
include(struct reading *r, const char *value, size_t n)
{
    char        pattern[2 * PATH_MAX];
    const char *slash = r->file != NULL ? strrchr(r->file, '/') : NULL;
    glob_t      found;

    if (!r->files || r->at.file != 0) {
        reading_bad_line(r, value, n,
            r->files ? "only the main file may include others"
                     : "only a file may include others");
        return;
    }
    if (n == 0 || n >= PATH_MAX) {
        reading_bad_line(r, value, n,
            "is not a pattern of files; write one such as conf.d/*.conf");
        return;
    }
    int dir = value[0] == '/' || slash == NULL ? 0 : (int)(slash - r->file) + 1;
    snprintf(pattern, sizeof pattern, "%.*s%.*s", dir, r->file, (int)n, value);
    int         result = glob(pattern, 0, glob_error, &found);
    const char *bracket = strchr(pattern, '[');
    bool        wild = strpbrk(pattern, "*?") != NULL ||
        (bracket != NULL && strchr(bracket, ']') != NULL);
    if (result == GLOB_NOMATCH && wild)
        return; /* no file matches yet */
    if (result != 0 && r->partial)
        return;
    if (result != 0) {
        reading_bad_line(r, value, n, "cannot be included: %s",
            result == GLOB_NOMATCH       ? strerror(ENOENT)
                : result == GLOB_NOSPACE ? strerror(ENOMEM)
                                         : "a folder cannot be read");
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        include_file(r, found.gl_pathv[i]);
    globfree(&found);
}

/* --- the command line ---------------------------------------------------- */

static void
override(struct reading *r, const char *text)
{
    const struct place cli = {-1, 0};
    const char        *equals = strchr(text, '=');
    const char        *dot = strchr(text, '.');
    const char        *e = text + strlen(text);
    char               section[KEY_MAX_BYTES + 1], key[KEY_MAX_BYTES + 1];

    if (equals == NULL || dot == NULL || dot > equals) {
        if (reading_error(r)) {
            buf_adds(r->errors, "-o: ");
            reading_put_shown(r, text, strlen(text));
            buf_addf(r->errors,
                ": is not a setting; write section.key=value, "
                "such as %s.%s=%s\n",
                knobs[0].section, knobs[0].key, knobs[0].def);
        }
        return;
    }
    const char *s = equals + 1, *key_end = equals;
    while (blank(*s))
        s++;
    while (e > s && blank(e[-1]))
        e--;
    while (key_end > dot + 1 && blank(key_end[-1]))
        key_end--;
    snprintf(section, sizeof section, "%.*s", (int)(dot - text), text);
    snprintf(key, sizeof key, "%.*s", (int)(key_end - dot - 1), dot + 1);

    struct buf value = BUF_INIT(CONF_FILE_MAX);
    buf_add(&value, s, (size_t)(e - s));
    enum conf_knob k = knob_find(section, key);
    if (k != CONF_KNOBS)
        set(r, cli, k, buf_cstr(&value));
    else if (!knob_is_section(section))
        reading_unknown_section(r, cli, section, strlen(section));
    else
        reading_unknown_key(r, cli, section, key, buf_cstr(&value));
    buf_free(&value);
}

/* --- reading ------------------------------------------------------------- */

static bool
read_all(struct reading *r, const char *text, size_t len,
    const struct config_override *overrides, size_t n_overrides)
{
    struct config *c = r->c;
    struct buf     why = BUF_INIT(1024);

    memset(c, 0, sizeof *c);
    for (unsigned k = 0; k < CONF_KNOBS; k++)
        ensure(knob_parse((enum conf_knob)k, knobs[k].def, c, &why));
    buf_free(&why);
    if (len > CONF_FILE_MAX) {
        buf_addf(r->errors,
            "%s: is larger than 1MiB, so it is not a "
            "configuration; name another file\n",
            r->file);
        return false;
    }
    r->next = text;
    r->end = text + len;
    if (len > 0 && ini_parse_stream(next_line, r, on_setting, r) < 0) {
        buf_addf(r->errors, "%s: there is no memory to read it\n", r->file);
        return false;
    }
    for (size_t i = 0; i < n_overrides; i++)
        override(r, overrides[i].text);
    if (!r->partial)
        check_config(c, r->bad, reading_fault, r);
    return r->errors_n == 0;
}

bool
config_read_text(struct config *c, const char *name, const char *text,
    size_t len, const struct config_override *overrides, size_t n_overrides,
    struct buf *errors)
{
    struct reading r = {.c = c, .file = name, .errors = errors};

    return read_all(&r, text, len, overrides, n_overrides);
}

static bool
read_file(struct reading *r, const struct config_override *overrides,
    size_t n_overrides)
{
    struct buf text = BUF_INIT(CONF_FILE_MAX + 1), why = BUF_INIT(1024);
    bool       good = false;

    r->files = true;
    if (r->file == NULL)
        return read_all(r, "", 0, overrides, n_overrides);
    if (read_whole(r->file, false, &text, &why))
        good = read_all(r, buf_cstr(&text), text.len, overrides, n_overrides);
    else
        buf_addf(r->errors, "%s: %s; name the configuration with -c\n", r->file,
            buf_cstr(&why));
    buf_free(&text);
    buf_free(&why);
    return good;
}

bool
config_read(struct config *c, const char *file,
    const struct config_override *overrides, size_t n_overrides,
    struct buf *errors)
{
    struct reading r = {.c = c, .file = file, .errors = errors};

    return read_file(&r, overrides, n_overrides);
}

bool
config_read_partial(struct config *c, const char *file, struct buf *errors)
{
    struct reading r = {
        .c = c, .file = file, .errors = errors, .partial = true};

    return read_file(&r, NULL, 0);
}

/* The number of a file in c->included. A file that is not in the list is added.
 * 0 if the list is full. */
static uint8_t
included_number(struct config *c, const char *path)
{
    for (unsigned i = 0; i < CONF_INCLUDED_MAX; i++) {
        if (c->included[i][0] == '\0')
            memcpy(c->included[i], path, strlen(path) + 1);
        if (strcmp(c->included[i], path) == 0)
            return (uint8_t)(i + 1);
    }
    return 0;
}

void
config_keep_restart(
    struct config *next, const struct config *running, struct buf *notes)
{
    for (unsigned i = 0; i < CONF_KNOBS; i++) {
        enum conf_knob k = (enum conf_knob)i;
        if (knobs[k].reload != KNOB_RESTART)
            continue;
        if (!knob_same(k, next, running)) {
            buf_addf(notes, "%s.%s = ", knobs[k].section, knobs[k].key);
            if (!knob_is_secret(k))
                knob_print(k, next, notes);
            buf_adds(notes, ": takes effect at the next restart");
            if (!knob_is_secret(k)) {
                buf_adds(notes, "; until then it is ");
                size_t before = notes->len;
                knob_print(k, running, notes);
                if (notes->len == before)
                    buf_adds(notes, "empty");
            }
            buf_addc(notes, '\n');
        }
        knob_copy(k, next, running);
        next->origin[k] = running->origin[k];
        next->origin_expanded[k] = running->origin_expanded[k];
        unsigned from = running->origin_file[k];
        next->origin_file[k] =
            from > 0 ? included_number(next, running->included[from - 1]) : 0;
    }
}
