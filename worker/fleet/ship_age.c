/* ship_age: the age of the first event that waits. See ship_age.h. */
#include "fleet/ship_age.h"

#include <stdlib.h>

#include "buf.h"
#include "clock.h"
#include "helper.h"
#include "journal_dir.h"
#include "journal_line.h"
#include "log.h"

struct job {
    struct helper_job       h;
    const char             *dir;
    struct journal_dir_want want;
    uint64_t                ms; /* 0: not found */
    ship_age_fn            *found;
    void                   *ctx;
};

/* Slot 0 also asks about the journals of slots without a worker, at most 999.
 */
static struct helper ages =
    HELPER_INIT("ocppd-age", "the disk of the journal", 1000, 10000);

static void
work(struct helper_job *h)
{
    struct job         *a = (struct job *)h;
    struct buf          why = BUF_INIT(1024);
    struct journal_line line;
    const char         *when;
    size_t              n;

    struct journal_dir *files = journal_dir_open(a->dir, &a->want, &why);
    /* Errors of reading are reported when the events are shipped. */
    if (files != NULL && journal_dir_refresh(files, &why) &&
        journal_dir_next(files, UINT64_MAX, &line) &&
        journal_line_field(line.p, line.len, "timestamp", &when, &n) && n > 2)
        clock_parse_rfc3339(when + 1, n - 2, &a->ms);
    if (files != NULL)
        journal_dir_close(files);
    buf_free(&why);
}

static void
done(struct helper_job *h)
{
    struct job *a = (struct job *)h;

    if (a->ms != 0)
        a->found(a->ctx, a->ms);
    free(a);
}

void
ship_age_find(const char *dir, unsigned slot, uint64_t from, ship_age_fn *found,
    void *ctx)
{
    struct job *a = calloc(1, sizeof *a);

    if (a == NULL) {
        log_error("no memory: the age of the events that wait in journal %u is "
                  "counted from now",
            slot);
        return;
    }
    *a = (struct job){.h = {.work = work, .done = done},
        .dir = dir,
        .want = {.slot = (int)slot, .from = from},
        .found = found,
        .ctx = ctx};
    if (!helper_submit(&ages, &a->h))
        free(a); /* logged by the helper */
}
