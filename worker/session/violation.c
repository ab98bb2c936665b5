/* violation: errors of charge points, as counters and events. See
 * violation.h. */
#include "session/violation.h"

#include "base/self.h"
#include "ocpp/secrets.h"
#include "session/publish.h"

#define SHOWN_KEPT ((size_t)256 << 10)

static uint64_t
publish(struct conn *c, const char *kind, const char *detail, const char *frame,
    size_t len, size_t max)
{
    static struct buf      shown = {.max = SECRETS_FRAME_MAX};
    struct publish_subject subject = publish_subject(c);
    struct publish        *p = publish_begin(EVENT_violation, &subject);

    writer_open(&p->w, "payload", '{');
    writer_str(&p->w, "kind", kind);
    writer_str(&p->w, "detail", detail ? detail : "");
    if (frame != NULL && max > 0) {
        buf_clear(&shown);
        secrets_put_frame(&shown, frame, len, max);
        writer_strn(&p->w, "frame", shown.p, shown.len < max ? shown.len : max);
        writer_u64(&p->w, "frameLength", len);
    }
    writer_close(&p->w);
    if (shown.cap > SHOWN_KEPT)
        buf_free(&shown);
    return publish_end(p);
}

void
violation_report_whole(struct conn *c, const char *kind, const char *detail,
    const char *frame, size_t len)
{
    /* A frame is cut if it does not fit into an event after its characters are
     * escaped. */
    if (publish(c, kind, detail, frame, len, len) == 0)
        violation_report(c, kind, detail, frame, len);
}

void
violation_report(struct conn *c, const char *kind, const char *detail,
    const char *frame, size_t len)
{
    uint8_t minute = (uint8_t)(self.now_ms / 60000);

    if (c->session.violations_minute != minute) {
        c->session.violations_minute = minute;
        c->session.violations = 0;
    }
    if (c->session.violations >= self.conf.ocpp_violation_rate) {
        STAT_INC(self.st, violations_quiet);
        return;
    }
    c->session.violations++;
    publish(c, kind, detail, frame, len, self.conf.ocpp_violation_frame);
}

#define SEEN 2048 /* identities */

static struct {
    uint64_t set;
    uint32_t entry1; /* registry entry + 1; 0: free */
} seen[SEEN];

uint64_t
violation_seen(const struct conn *c)
{
    uint32_t entry1 = c->session.entry + 1;

    return seen[entry1 % SEEN].entry1 == entry1 ? seen[entry1 % SEEN].set : 0;
}

void
violation_count(const struct conn *c, uint64_t set)
{
    uint32_t entry1 = c->session.entry + 1;

    if (set != 0) {
        seen[entry1 % SEEN].set = violation_seen(c) | set;
        seen[entry1 % SEEN].entry1 = entry1;
    }
    for (; set != 0; set &= set - 1)
        STAT_INC(self.st, deviations[__builtin_ctzll(set)]);
}

void
violation_put(struct writer *w, uint64_t set)
{
    if (set == 0)
        return;
    writer_open(w, "deviations", '[');
    for (; set != 0; set &= set - 1)
        writer_str(w, NULL, deviation_names[__builtin_ctzll(set)]);
    writer_close(w);
}
