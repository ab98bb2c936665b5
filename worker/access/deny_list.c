/* deny_list: the deny list as this worker has read it. See deny_list.h. */
#include "access/deny_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "denyfile.h"
#include "helper.h"
#include "log.h"

/* Ms; a round of the sweep takes less. */
#define ROUND_MS 2500
/* Ms that a handshake waits for a list that is being read. */
#define PATIENCE_MS 1000

static struct denyfile denied;
static uint64_t        version;
static uint64_t        read_us;  /* when it was read */
static bool            new_list; /* no round of the sweep has ended since */
static bool            stale;    /* the last reading failed */

/* A helper reads the list, because its disk may take any time. */
struct loading {
    struct helper_job h;
    char              path[DENYFILE_PATH_MAX];
    uint64_t          version;
    struct denyfile   list;
    struct buf        why;
    bool              good;
};

static struct helper helper =
    HELPER_INIT("ocppd-deny", "the disk of the deny list", 1, 2000);
static bool     loading, behind;
static uint32_t behind_ms;

static void
load_work(struct helper_job *h)
{
    struct loading *l = (struct loading *)h;

    l->good = denyfile_read(&l->list, l->path, &l->why) == DENYFILE_GOOD;
}

static void
load_done(struct helper_job *h)
{
    struct loading *l = (struct loading *)h;
    bool            any = l->list.ranges + l->list.names > 0;

    loading = behind = false;
    version = l->version;
    if (!l->good && !stale)
        log_error("%.*s; %s", (int)strcspn(buf_cstr(&l->why), "\n"),
            buf_cstr(&l->why),
            any ? "the other lines of the deny list are in force"
                : "the deny list stays as it was; trying again each second");
    stale = !l->good && !any;
    if (!stale) {
        denyfile_free(&denied);
        denied = l->list;
    }
    read_us = self.now_us;
    new_list = denied.ranges + denied.names > 0;
    buf_free(&l->why);
    free(l);
}

/* If `here` is set, the list is read at once and without a helper, which is
 * allowed only while there is no connection. */
static void
load(bool here)
{
    struct loading *l = loading ? NULL : calloc(1, sizeof *l);

    if (!behind) {
        behind = true;
        behind_ms = self.now_ms;
    }
    if (l == NULL)
        return;
    l->h.work = load_work;
    l->h.done = load_done;
    l->why = (struct buf)BUF_INIT(16384);
    l->version = self.shm->deny_version;
    denyfile_path(&self.conf, l->path);
    loading = true;
    if (!(here ? helper_run(&l->h) : helper_submit(&helper, &l->h))) {
        loading = false;
        free(l);
    }
}

void
deny_list_open(void)
{
    load(true);
}

void
deny_list_tick(void)
{
    if (stale || version != self.shm->deny_version)
        load(false);
    if (new_list && self.now_us - read_us > ROUND_MS * 1000)
        new_list = false;
}

bool
deny_list_waits(void)
{
    if (version == self.shm->deny_version)
        return false;
    load(false);
    return self.now_ms - behind_ms < PATIENCE_MS;
}

bool
deny_list_has_address(const uint64_t addr[2])
{
    return denyfile_has_address(&denied, addr);
}

bool
deny_list_has_name(const char *name, size_t len)
{
    return denyfile_has_name(&denied, name, len);
}

uint64_t
deny_list_us(void)
{
    return read_us;
}

bool
deny_list_is_new(void)
{
    return new_list;
}
