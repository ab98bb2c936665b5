/* session_describe: facts about a session that only its worker knows, for
 * `ocppctl show`. See session.h. */
#include "session/session.h"

#include "base/self.h"
#include "net/transport_tls.h"
#include "session/quiet.h"
#include "session/violation.h"
#include "writer.h"

void
session_describe(struct conn *c, struct buf *out)
{
    struct writer w = WRITER_INIT(out);
    const char   *version, *cipher;

    writer_open(&w, NULL, '{');
    writer_u64(&w, "generation", c->generation);
    writer_str(&w, "protocol", dialects[c->session.protocol].name);
    if (transport_tls_names(c, &version, &cipher)) {
        writer_str(&w, "tlsVersion", version);
        writer_str(&w, "tlsCipher", cipher);
    }
    writer_u64(&w, "connectedMs", session_age_ms(c));
    writer_u64(&w, "silentMs", self.now_ms - c->last_in_ms);
    writer_u64(&w, "messagesIn", c->session.messages_in);
    writer_u64(&w, "messagesOut", c->session.messages_out);
    if (c->session.rtt_ms != UINT16_MAX)
        writer_u64(&w, "pingMs", c->session.rtt_ms);
    writer_str(&w, "boot",
        c->session.boot == BOOT_ACCEPTED       ? "Accepted"
            : c->session.boot == BOOT_PENDING  ? "Pending"
            : c->session.boot == BOOT_REJECTED ? "Rejected"
            : c->session.boot == BOOT_WAITS    ? "not answered yet"
                                               : "none on this connection");
    violation_put(&w, violation_seen(c));
    writer_u64(&w, "unanswered", c->session.unanswered);
    writer_u64(&w, "commandsPending", c->busy ? c->busy->session.calls_n : 0);
    writer_u64(&w, "outputBytes", c->busy ? c->busy->out.len : 0);
    const char *part = conn_busy_part(c);
    writer_bool(&w, "slowed", c->flags & CONN_SLOWED);
    writer_bool(&w, "quiet", part == NULL);
    if (part != NULL)
        writer_str(&w, "busyPart", part);
    writer_close(&w);
}
