/* profiles: keeps security profiles across a restart. See profiles.h. */
#include "profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

#define FILE_MAX (256u << 20)
#define SPARE 1000 /* superfluous lines after which the file is rewritten */

static void
path_of(const char *state_dir, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", state_dir, PROFILES_FILE);
}

void
profiles_put_line(
    struct buf *out, const char *name, size_t len, unsigned profile)
{
    buf_addf(out, "%u ", profile);
    file_put_word(out, name, len);
    buf_adds(out, "\n");
}

bool
profiles_append(const char *state_dir, const char *p, size_t n)
{
    char path[512];

    path_of(state_dir, path, sizeof path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    /* Whole lines are written by one call, because several workers append at
     * the same time. */
    ssize_t r = write(fd, p, n);
    int     error = r < 0 ? errno : ENOSPC;
    bool    good = r == (ssize_t)n && fdatasync(fd) == 0;
    if (r == (ssize_t)n && !good)
        error = errno;
    close(fd);
    errno = error;
    return good;
}

/* Reads a line. A damaged one, such as a line that was cut, is skipped. */
static bool
take_line(struct registry *r, const char *line, const char *end)
{
    const char *word;
    size_t      n, len;
    char        name[IDENTITY_MAX];
    uint32_t    entry;

    if (!file_next_word(&line, end, &word, &n) || n != 1 || word[0] < '2' ||
        word[0] > '3')
        return false;
    unsigned profile = (unsigned)(word[0] - '0');
    if (!file_next_word(&line, end, &word, &n) ||
        !file_get_word(word, n, name, sizeof name, &len) ||
        registry_look_up(r, name, len, true, &entry) != REGISTRY_OK)
        return false;
    registry_set_certificate(r, entry, profile, 0);
    return true;
}

static uint32_t
put_all(struct registry *r, struct buf *out)
{
    uint32_t count = 0, end;

    for (uint32_t i = 0; i < registry_used(r); i++) {
        unsigned    profile;
        size_t      len;
        const char *name = registry_name(r, i, &len);
        registry_certificate(r, i, &profile, &end);
        if (len == 0 || profile == 0)
            continue;
        profiles_put_line(out, name, len, profile);
        count++;
    }
    return count;
}

bool
profiles_load(struct registry *r, const char *state_dir, struct buf *why)
{
    struct buf text = BUF_INIT(FILE_MAX), all = BUF_INIT(FILE_MAX);
    char       path[512];
    uint32_t   lines = 0;

    path_of(state_dir, path, sizeof path);
    enum file_result got = file_read(path, &text, why);
    const char      *p = text.p, *end = p + text.len;
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            break;
        lines++;
        take_line(r, p, stop);
        p = stop + 1;
    }
    bool good = got != FILE_FAILED;
    if (good && lines > put_all(r, &all) + SPARE)
        good = file_replace(path, all.p, all.len, (uid_t)-1, (gid_t)-1, why);
    buf_free(&text);
    buf_free(&all);
    return good;
}
