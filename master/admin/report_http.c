/* report_http: what the admin port has refused. See report.h. */
#include "admin/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/exposition.h"
#include "base/when.h"
#include "clock.h"
#include "writer.h"

static void
word(char out[16], unsigned status)
{
    if (status == 0)
        snprintf(out, 16, "cut");
    else
        snprintf(out, 16, "%u", status);
}

static int
from_len(const struct shm *s)
{
    return (int)strnlen(s->http_refused_from, sizeof s->http_refused_from);
}

void
report_http_json(struct writer *w, const struct shm *s)
{
    char text[CLOCK_RFC3339_LEN + 1], key[16];

    writer_open(w, "httpRefused", '{');
    for (unsigned i = 0; i < SHM_HTTP_STATUSES; i++) {
        word(key, shm_http_status[i]);
        writer_u64(w, key, s->http_refused[i]);
    }
    if (s->http_refused_wall_ms != 0) {
        clock_rfc3339(text, s->http_refused_wall_ms);
        word(key, s->http_refused_status);
        writer_str(w, "last", text);
        writer_str(w, "lastStatus", key);
        writer_strn(
            w, "lastAddress", s->http_refused_from, (size_t)from_len(s));
    } else {
        writer_null(w, "last");
    }
    writer_close(w);
}

void
report_http_text(struct buf *out, const struct shm *s, uint64_t now)
{
    uint64_t all = 0;
    char     last[16];

    if (s->http_refused_wall_ms == 0)
        return;
    for (unsigned i = 0; i < SHM_HTTP_STATUSES; i++)
        all += s->http_refused[i];
    word(last, s->http_refused_status);
    buf_addf(out, "  HTTP refused %" PRIu64 ", the last ", all);
    when_ago(out, now, s->http_refused_wall_ms / 1000);
    buf_addf(out, ": %s, from %.*s\n", last, from_len(s), s->http_refused_from);
}

void
report_http_metric(struct buf *out, const struct shm *s)
{
    char status[16];

    exposition_head(out, "http_refused_total", "counter",
        "Requests that the admin port refused, by HTTP status; cut: "
        "connections that ended because of its limits");
    for (unsigned i = 0; i < SHM_HTTP_STATUSES; i++) {
        word(status, shm_http_status[i]);
        buf_addf(out, "ocppd_http_refused_total{status=\"%s\"} %" PRIu64 "\n",
            status, s->http_refused[i]);
    }
}
