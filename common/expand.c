/* expand: ${NAME} and ${file:PATH} in the value of a setting. See expand.h. */
#include "expand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES (64u * 1024) /* bytes of a file's first line */

static bool
is_name(const char *s, size_t n)
{
    if (n == 0 || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                (s[i] >= '0' && s[i] <= '9') || s[i] == '_'))
            return false;
    return true;
}

/* A pipe or a device could make the reader wait, so only a regular file is
 * read. */
static bool
put_file(const char *path, struct buf *out, struct buf *why)
{
    char        text[FILE_BYTES];
    struct stat st;
    size_t      n = 0;
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0) {
        buf_addf(why, "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        buf_addf(why, "%s is not a regular file; name one", path);
        close(fd);
        return false;
    }
    while (n < sizeof text) {
        ssize_t got = read(fd, text + n, sizeof text - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    const char *nl = n > 0 ? memchr(text, '\n', n) : NULL;
    if (nl != NULL)
        n = (size_t)(nl - text);
    if (n > 0 && text[n - 1] == '\r')
        n--;
    if (n == 0 || n == sizeof text || memchr(text, '\0', n) != NULL) {
        buf_addf(why, "%s: the first line %s; put the value alone on it", path,
            n == 0                 ? "is empty"
                : n == sizeof text ? "has more than 64 KiB"
                                   : "holds a NUL byte");
        return false;
    }
    return buf_add(out, text, n);
}

static enum expand_result
put_one(const char *s, size_t n, bool files, struct buf *out, struct buf *why)
{
    char        name[512];
    const char *other = NULL;

    if (n >= sizeof name) {
        buf_addf(why, "has a ${...} of more than %zu bytes; shorten it",
            sizeof name - 1);
        return EXPAND_WRONG;
    }
    memcpy(name, s, n);
    name[n] = '\0';
    if (strncmp(name, "file:", 5) == 0) {
        if (files)
            return put_file(name + 5, out, why) ? EXPAND_DONE : EXPAND_MISSING;
        buf_adds(
            why, "names a file, which is possible only in configuration files");
        return EXPAND_WRONG;
    }
    char *colon = strstr(name, ":-");
    if (colon != NULL) {
        *colon = '\0';
        other = colon + 2;
    }
    if (!is_name(name, strlen(name))) {
        buf_addf(why,
            "${%s} is not a variable; write ${NAME}, ${NAME:-DEFAULT} or "
            "${file:PATH}, or $${ for the characters ${ themselves",
            name);
        return EXPAND_WRONG;
    }
    const char *value = getenv(name);
    if (other != NULL && (value == NULL || value[0] == '\0'))
        value = other;
    if (value == NULL) {
        buf_addf(why,
            "the environment variable %s is not set; set it for this process, "
            "or write ${%s:-DEFAULT}",
            name, name);
        return EXPAND_MISSING;
    }
    buf_adds(out, value);
    return EXPAND_DONE;
}

enum expand_result
expand_value(const char *value, bool files, struct buf *out, struct buf *why)
{
    enum expand_result result = EXPAND_PLAIN;

    while (*value != '\0') {
        if (strncmp(value, "$${", 3) == 0) {
            buf_adds(out, "${");
            value += 3;
        } else if (strncmp(value, "${", 2) == 0) {
            const char *end = strchr(value, '}');
            if (end == NULL) {
                buf_adds(why,
                    "has a ${ without its }; write $${ for the characters "
                    "themselves");
                return EXPAND_WRONG;
            }
            result =
                put_one(value + 2, (size_t)(end - value) - 2, files, out, why);
            if (result != EXPAND_DONE)
                return result;
            value = end + 1;
        } else {
            buf_addc(out, *value++);
        }
    }
    if (out->overflow) {
        buf_addf(why,
            "has more than %zu bytes after its variables are replaced; shorten "
            "them",
            out->max);
        return EXPAND_WRONG;
    }
    return result;
}

void
expand_escape(const char *value, struct buf *out)
{
    for (; *value != '\0'; value++) {
        if (value[0] == '$' && value[1] == '{')
            buf_addc(out, '$');
        buf_addc(out, *value);
    }
}
