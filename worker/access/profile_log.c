/* profile_log: security profiles for the next start. See profile_log.h. */
#include "access/profile_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "helper.h"
#include "log.h"
#include "profiles.h"

/* The most bytes of lines that wait for the disk. */
#define WAITING_MAX (4u << 20)

static struct helper helper =
    HELPER_INIT("ocppd-profiles", "the disk of server.state_dir", 1, 2000);

struct lines {
    struct helper_job h;
    struct buf        text;
    char              state_dir[CONF_TEXT_MAX];
    int               error;
};

static struct buf waiting = BUF_INIT(WAITING_MAX);
static bool       reported;

static void submit(void);

static void
work(struct helper_job *h)
{
    struct lines *l = (struct lines *)h;

    if (!profiles_append(l->state_dir, l->text.p, l->text.len))
        l->error = errno;
}

static void
done(struct helper_job *h)
{
    struct lines *l = (struct lines *)h;

    if (l->error != 0 && !reported)
        log_error(
            "%s/%s: cannot write: %s; after a restart "
            "tls.refuse_downgrade will not know the identities in these %zu "
            "bytes",
            l->state_dir, PROFILES_FILE, strerror(l->error), l->text.len);
    reported = l->error != 0;
    buf_free(&l->text);
    free(l);
    submit();
}

static void
submit(void)
{
    if (waiting.len == 0 || helper_busy(&helper))
        return;
    struct lines *l = calloc(1, sizeof *l);
    if (l == NULL)
        return;
    l->h.work = work;
    l->h.done = done;
    l->text = waiting;
    snprintf(
        l->state_dir, sizeof l->state_dir, "%s", self.conf.server_state_dir);
    if (helper_submit(&helper, &l->h))
        waiting = BUF_INIT(WAITING_MAX);
    else
        free(l);
}

void
profile_log_put(const char *name, size_t len, unsigned profile)
{
    profiles_put_line(&waiting, name, len, profile);
    submit();
}
