/* journal_id: a unique name of the journal. See journal_id.h. */
#include "journal/journal_id.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/self.h"
#include "config.h"
#include "file.h"
#include "journal_line.h"
#include "log.h"

#define PATH_MAX_BYTES (CONF_TEXT_MAX + 32)

static char id[17];

/* The longest time that worker 0 has for making a new file. */
#define PATIENCE_MS 2000

static bool
read_id(const char *path)
{
    struct buf  text = BUF_INIT(64), why = BUF_INIT(CONF_TEXT_MAX + 256);
    bool        read = file_read(path, &text, &why) == FILE_READ;
    size_t      n = text.len;
    const char *p = buf_cstr(&text);

    id[0] = '\0';
    if (read && strspn(p, "0123456789abcdef") == 16 &&
        (n == 16 || (n == 17 && p[16] == '\n')))
        memcpy(id, p, 16);
    buf_free(&text);
    buf_free(&why);
    return id[0] != '\0';
}

/* replace: the file that is there is damaged. */
static bool
make_id(const char *path, bool replace)
{
    char     temp[PATH_MAX_BYTES + 16];
    uint64_t n;

    if (getrandom(&n, sizeof n, 0) != sizeof n)
        return false;
    snprintf(temp, sizeof temp, "%s.%u", path, self.slot);
    FILE *f = fopen(temp, "we");
    if (f == NULL)
        return false;
    bool ok = fprintf(f, "%016" PRIx64 "\n", n) > 0 && fflush(f) == 0 &&
        fsync(fileno(f)) == 0;
    ok &= fclose(f) == 0;
    /* If several workers make the file at the same time, the first one wins. */
    if (ok && replace)
        ok = rename(temp, path) == 0;
    else if (ok)
        (void)!link(temp, path);
    unlink(temp);
    return ok && read_id(path);
}

/* Worker 0 replaces the file, so that all workers have the same id. */
static bool
mend_id(const char *path)
{
    if (self.slot == 0) {
        log_error("%s is damaged; it gets a new id, and the events that the "
                  "journal holds are shipped again, with the same eventIds",
            path);
        return make_id(path, true);
    }
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (read_id(path))
            return true;
    }
    errno = EINVAL;
    return false;
}

bool
journal_id_open(const char *state_dir)
{
    char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/" JOURNAL_DIR "/id", state_dir);
    if (read_id(path))
        return true;
    return access(path, F_OK) == 0 ? mend_id(path) : make_id(path, false);
}

const char *
journal_id(void)
{
    return id;
}

const char *
journal_id_of_events(void)
{
    static char text[sizeof self.shm->node + 16];

    if (text[0] == '\0')
        snprintf(text, sizeof text, "%.*s%s%.8s", (int)sizeof self.shm->node,
            self.shm->node,
            config_has_redis(&self.conf) && id[0] != '\0' ? "-" : "",
            config_has_redis(&self.conf) ? id : "");
    return text;
}
