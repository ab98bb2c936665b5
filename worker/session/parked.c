/* parked: CALLs of charge points that cannot be answered yet. See parked.h. */
#include "session/parked.h"

#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "journal/journal.h"
#include "session/deferred.h"

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

/* Removes p, to which *link points, from the list. */
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
parked_tick(void (*handle)(struct conn *c, struct parked *p))
{
    struct parked **link = &first, *end = NULL;
    bool            stalled = journal_stalled_ms() > 0;

    /* CALLs that are parked during this loop wait for the next tick. */
    for (struct parked *p = first; p != NULL; p = p->next)
        end = p;
    for (bool more = end != NULL; more;) {
        struct parked *p = *link;
        struct conn   *c = conn_find(p->conn);
        more = p != end;
        if (c != NULL && !(p->journal && stalled)) {
            p->again = false;
            handle(c, p);
            c = conn_find(p->conn); /* an answer may have ended the
                                       connection */
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
parked_late(uint64_t wait_ms, void (*late)(struct conn *c))
{
    for (struct parked *p = first; p != NULL; p = p->next) {
        struct conn *c = conn_find(p->conn);
        if (c == NULL || self.now_us - p->since_us < wait_ms * 1000)
            continue;
        late(c);
    }
}

/* --- the move to another process ----------------------------------------- */

/* Most connections have no parked CALL. */
void
parked_write(const struct conn *c, struct buf *out)
{
    for (const struct parked *p = first; p != NULL; p = p->next) {
        if (p->conn != c->self)
            continue;
        fields_begin(out, "parked");
        fields_put_u64(out, "since", p->since_us);
        fields_put_u64(out, "resolved", p->resolved_ms);
        fields_put_u64(out, "journal", p->journal);
        fields_put_bytes(out, "frame", p->frame, p->len);
        fields_end(out);
    }
}

bool
parked_read(struct conn *c, struct fields *f)
{
    if (strcmp(f->word, "parked") != 0)
        return false;
    const struct field *frame = fields_find(f, "frame");
    uint64_t since = fields_u64(f, "since", self.now_us, self.now_us);
    uint64_t resolved = fields_u64(f, "resolved", 0, UINT64_MAX);
    bool     journal = fields_bool(f, "journal", false);

    if (c == NULL || c->state != CONN_OPEN || frame == NULL)
        return true;
    struct parked **end = last;
    /* If there is no memory, the CALL is dropped and the charge point sends it
       again. */
    if (parked_put(c, frame->value, frame->len, resolved, journal))
        (*end)->since_us = since;
    return true;
}

void
parked_forget(const struct conn *c)
{
    for (struct parked **link = &first; *link != NULL;)
        if ((*link)->conn == c->self)
            drop(link, *link);
        else
            link = &(*link)->next;
}
