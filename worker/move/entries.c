/* entries: registry entries from another segment. See entries.h. */
#include "move/entries.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/master_link.h"
#include "base/self.h"
#include "fields.h"
#include "log.h"
#include "shm_state.h"

#define READ_BYTES 65536
/* Size of the buffer: the longest line and one more read. */
#define LINES_MAX (256u * 1024)

static int        file = -1;
static struct buf lines = {.max = LINES_MAX};
static off_t      at;
static uint64_t   taken, lost;
static ev_idle    idle;

static void
finish(void)
{
    ev_idle_stop(self.loop, &idle);
    close(file);
    file = -1;
    buf_free(&lines);
    if (taken + lost > 0)
        log_info("took over %llu registry entries of identities that are "
                 "offline, lost %llu",
            (unsigned long long)taken, (unsigned long long)lost);
    master_link_inherited(taken, lost);
}

static void
take(char *line, size_t len)
{
    struct fields f;
    uint32_t      entry;

    if (fields_parse(&f, line, len) &&
        shm_state_read_entry(self.shm, &f, &entry) == REGISTRY_OK)
        taken++;
    else
        lost++;
}

static void
idle_cb(struct ev_loop *loop, ev_idle *w, int revents)
{
    size_t used = 0;

    (void)loop, (void)w, (void)revents;
    if (!buf_reserve(&lines, READ_BYTES)) {
        log_error("a registry entry of the former program is too long; this "
                  "entry and those after it are lost");
        lost++;
        finish();
        return;
    }
    ssize_t n = pread(file, lines.p + lines.len, READ_BYTES, at);
    if (n <= 0) {
        finish();
        return;
    }
    at += n;
    lines.len += (size_t)n;
    for (char *nl;
         (nl = memchr(lines.p + used, '\n', lines.len - used)) != NULL;
         used = (size_t)(nl + 1 - lines.p))
        take(lines.p + used, (size_t)(nl + 1 - lines.p) - used);
    buf_consume(&lines, used);
}

void
entries_read(int fd)
{
    if (file >= 0) { /* a program reads such a file at most once */
        close(fd);
        return;
    }
    file = fd;
    at = 0;
    taken = lost = 0;
    ev_idle_init(&idle, idle_cb);
    ev_idle_start(self.loop, &idle);
}
