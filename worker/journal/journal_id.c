/* journal_id: a unique name of the journal. See journal_id.h. */
#include "journal/journal_id.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/self.h"
#include "config.h"
#include "journal_line.h"

#define PATH_MAX_BYTES (CONF_TEXT_MAX + 32)

static char id[17];

static bool
read_id(const char *path)
{
    FILE *f = fopen(path, "re");
    bool  ok =
        f != NULL && fscanf(f, "%16[0-9a-f]", id) == 1 && strlen(id) == 16;

    if (f != NULL)
        fclose(f);
    if (!ok)
        id[0] = '\0';
    return ok;
}

static bool
make_id(const char *path)
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
    if (ok)
        (void)!link(temp, path);
    unlink(temp);
    return read_id(path);
}

bool
journal_id_open(const char *state_dir)
{
    char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/" JOURNAL_DIR "/id", state_dir);
    return read_id(path) || make_id(path);
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
