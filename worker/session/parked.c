/* parked: CALLs of charge points that cannot be answered yet. See parked.h. */
#include "session/parked.h"

#include <stdlib.h>
#include <string.h>

#include "session/answers.h"
#include "session/deferred.h"
#include "base/self.h"
#include "journal/journal.h"
#include "session/session.h"

static struct parked  *first;
static struct parked **last = &first;
static size_t          bytes;

bool
parked_put(struct conn *c, const char *frame, size_t len, uint64_t resolved_ms,
    bool journal)
{
    if (bytes + len > self.conf.limits_buffer_memory)
        return false;
    struct parked *p = malloc(sizeof *p + len);
    if (p == NULL)
        return false;
    *p = (struct parked){.conn = c->self,
        .since_us = self.now_us,
        .resolved_ms = resolved_ms,
        .journal = journal,
        .len = len};
    memcpy(p->frame, frame, len);
    bytes += len;
    *last = p;
    last = &p->next;
    deferred_hold(c);
    STAT_INC(self.st, calls_parked);
    return true;
}

/* Takes p, to which *link points, out of the list. */
static void
drop(struct parked **link, struct parked *p)
{
    *link = p->next;
    if (last == &p->next)
        last = link;
    bytes -= p->len;
    free(p);
    STAT_DEC(self.st, calls_parked);
}

void
parked_tick(void)
{
    struct parked **link = &first, *end = NULL;
    bool            stalled = journal_stalled_ms() > 0;

    /* Those that are parked meanwhile have their turn at the next tick. */
    for (struct parked *p = first; p != NULL; p = p->next)
        end = p;
    for (bool more = end != NULL; more;) {
        struct parked *p = *link;
        struct conn   *c = conn_find(p->conn);
        more = p != end;
        if (c != NULL && !(p->journal && stalled)) {
            p->again = false;
            answers_again(c, p);
            c = conn_find(p->conn); /* an answer may have ended it */
        }
        if (c == NULL || (!p->again && !(p->journal && stalled))) {
            drop(link, p);
            if (c != NULL) {
                deferred_unhold(c);
                conn_settle(c);
            }
        } else {
            link = &p->next;
        }
    }
}

void
parked_close(uint64_t wait_ms)
{
    for (struct parked *p = first; p != NULL; p = p->next) {
        struct conn *c = conn_find(p->conn);
        if (c == NULL || self.now_us - p->since_us < wait_ms * 1000)
            continue;
        session_end(c, CLOSE_journal_stalled, NULL);
        conn_settle(c);
    }
}
