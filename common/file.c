/* file: small text files that the daemon keeps. See file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hex.h"

enum file_result
file_read(const char *path, struct buf *text, struct buf *why)
{
    struct stat st;
    int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        if (errno == ENOENT) {
            buf_addf(why, "%s does not exist", path);
            return FILE_MISSING;
        }
        buf_addf(why, "%s: cannot open it: %s%s", path, strerror(errno),
            errno == EACCES
                ? "; let the user of this process read it (chown, chmod)"
                : "");
        return FILE_FAILED;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        buf_addf(why, "%s is not a regular file", path);
        close(fd);
        return FILE_FAILED;
    }
    bool fits = (uint64_t)st.st_size < text->max;
    if (!fits || !buf_reserve(text, (size_t)st.st_size + 1)) {
        if (fits)
            buf_addf(why, "%s: there is no memory to read it", path);
        else
            buf_addf(why, "%s: has %lld bytes, and may have %zu", path,
                (long long)st.st_size, text->max - 1);
        close(fd);
        return FILE_FAILED;
    }
    for (;;) {
        char    piece[65536];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            buf_addf(why, "%s: cannot read it: %s", path, strerror(errno));
        else if (n > 0 && !buf_add(text, piece, (size_t)n))
            buf_addf(why, "%s grew while it was read; try again", path);
        else if (n > 0)
            continue;
        close(fd);
        return n == 0 ? FILE_READ : FILE_FAILED;
    }
}

bool
file_write(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t r = write(fd, p, n);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && errno == EAGAIN) {
            struct pollfd w = {.fd = fd, .events = POLLOUT};
            poll(&w, 1, 1000);
            continue;
        }
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

bool
file_sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

/* Makes the name of a file durable in its directory. */
static void
sync_parent(const char *path)
{
    char  dir[PATH_MAX];
    char *slash;

    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (slash != NULL)
        slash[slash == dir] = '\0';
    file_sync_directory(slash != NULL ? dir : ".");
}

bool
file_replace(const char *path, const char *p, size_t n, uid_t uid, gid_t gid,
    struct buf *why)
{
    char        fresh[PATH_MAX];
    struct stat st;
    mode_t      mode = 0640;
    const char *what = "make";

    if (stat(path, &st) == 0) {
        mode = st.st_mode & 07777;
        uid = st.st_uid;
        gid = st.st_gid;
    }
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh); /* left by a crash */
    int fd =
        open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        goto fail;
    /* A process without the right to change the owner keeps the owner. */
    what = "give its owner to";
    if (((uid != (uid_t)-1 && uid != geteuid()) ||
            (gid != (gid_t)-1 && gid != getegid())) &&
        fchown(fd, uid, gid) != 0 && geteuid() == 0)
        goto fail;
    what = "write";
    if (fchmod(fd, mode) != 0 || !file_write(fd, p, n) || fsync(fd) != 0)
        goto fail;
    if (close(fd) != 0) {
        fd = -1;
        goto fail;
    }
    fd = -1;
    what = "rename";
    if (rename(fresh, path) != 0)
        goto fail;
    sync_parent(path);
    return true;
fail:
    buf_addf(why, "%s: cannot %s it: %s; the old file stays", fresh, what,
        strerror(errno));
    if (fd >= 0)
        close(fd);
    unlink(fresh);
    return false;
}

bool
file_set_line(struct buf *text,
    bool (*is)(const char *line, size_t n, const void *arg), const void *arg,
    const char *line)
{
    struct buf out = BUF_INIT(text->max);
    bool       found = false;

    /* Reserve all memory at once, because the file may be large. */
    if (!buf_reserve(&out, text->len + (line != NULL ? strlen(line) + 1 : 0)))
        out.overflow = true;
    for (size_t at = 0; at < text->len;) {
        const char *p = text->p + at;
        const char *end = memchr(p, '\n', text->len - at);
        size_t      n = end != NULL ? (size_t)(end - p) : text->len - at;
        at += n + 1;
        if (!found && is(p, n, arg)) {
            found = true;
            if (line != NULL) {
                buf_adds(&out, line);
                buf_addc(&out, '\n');
            }
            continue;
        }
        buf_add(&out, p, n);
        buf_addc(&out, '\n');
    }
    if (!found && line != NULL) {
        buf_adds(&out, line);
        buf_addc(&out, '\n');
    }
    out.overflow |= text->overflow;
    buf_free(text);
    *text = out;
    return found;
}

/* --- words --------------------------------------------------------------- */

static bool
blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool
file_next_word(const char **p, const char *end, const char **word, size_t *n)
{
    while (*p < end && blank(**p))
        ++*p;
    if (*p == end || **p == '#')
        return false;
    *word = *p;
    while (*p < end && !blank(**p))
        ++*p;
    *n = (size_t)(*p - *word);
    return true;
}

void
file_put_word(struct buf *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c <= 0x20 || c == 0x7f || c == '%' || c == '#')
            buf_addf(out, "%%%02X", c);
        else
            buf_addc(out, (char)c);
    }
}

bool
file_get_word(const char *word, size_t n, char *out, size_t max, size_t *len)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        char c = word[i];
        if (c == '%') {
            int h = i + 2 < n ? hex_digit(word[i + 1]) : -1;
            int l = i + 2 < n ? hex_digit(word[i + 2]) : -1;
            if (h < 0 || l < 0)
                return false;
            c = (char)(h << 4 | l);
            i += 2;
        }
        if (k == max)
            return false;
        out[k++] = c;
    }
    *len = k;
    return k > 0;
}
