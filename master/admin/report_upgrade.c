/* report_upgrade: the last upgrade, for `ocppctl status`. See report.h. */
#include <inttypes.h>
#include <string.h>

#include "admin/report.h"
#include "base/when.h"
#include "clock.h"
#include "shm.h"
#include "writer.h"

static void
put_time(struct writer *w, const char *key, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_LEN + 1];

    if (wall_ms == 0) {
        writer_null(w, key);
        return;
    }
    clock_rfc3339(text, wall_ms);
    writer_str(w, key, text);
}

void
report_upgrade_json(struct writer *w, const struct shm *s)
{
    put_time(w, "serviceStarted", s->service_wall_ms);
    writer_open(w, "upgrade", '{');
    writer_bool(w, "underWay", s->upgrading);
    writer_u64(w, "upgrades", s->upgrades);
    writer_u64(w, "failed", s->upgrades_failed);
    put_time(w, "last", s->upgrade_wall_ms);
    writer_bool(w, "lastFailed", s->upgrade_failed);
    writer_strn(w, "lastWords", s->upgrade_words,
        strnlen(s->upgrade_words, sizeof s->upgrade_words));
    writer_u64(w, "connections", s->upgrade_moved);
    writer_u64(w, "closed", s->upgrade_closed);
    writer_u64(w, "tookMs", s->upgrade_took_ms);
    writer_close(w);
}

void
report_upgrade_text(struct buf *out, const struct shm *s, uint64_t now)
{
    if (s->upgrades > 0) {
        buf_adds(out, "  in service   since ");
        when_put(out, s->service_wall_ms / 1000);
        buf_addf(out, ", through %u upgrade%s\n", s->upgrades,
            s->upgrades == 1 ? "" : "s");
    }
    if (s->upgrading)
        buf_adds(out, "  upgrade      in progress\n");
    if (s->upgrade_wall_ms == 0)
        return;
    buf_adds(out, "  last upgrade ");
    when_ago(out, now, s->upgrade_wall_ms / 1000);
    if (s->upgrade_failed)
        buf_addf(out, " failed: %.*s; the old program continues\n",
            (int)sizeof s->upgrade_words, s->upgrade_words);
    else
        buf_addf(out,
            " %.*s: %" PRIu64 " connections moved, %" PRIu64
            " closed, in %" PRIu64 " ms\n",
            (int)sizeof s->upgrade_words, s->upgrade_words, s->upgrade_moved,
            s->upgrade_closed, s->upgrade_took_ms);
}
