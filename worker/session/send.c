/* send: SEND messages. See send.h. */
#include "session/send.h"

#include "base/self.h"
#include "ocpp/dialect.h"
#include "ocpp/event_kind.h"
#include "session/publish.h"
#include "session/tap.h"
#include "session/violation.h"

static void
drop(struct conn *c, const struct json *tape, const char *kind, const char *why)
{
    tap_frame(c, TAP_IN, tape->text, tape->len, why);
    violation_report(c, kind, why, tape->text, tape->len);
}

void
send_take(struct conn *c, const struct ocppj_frame *f, const struct json *tape)
{
    static struct schema_verdict v;
    const struct schema_message *m = schema_find(
        dialects[c->session.protocol].schema, f->action.p, f->action.len);

    if (m == NULL || !(m->flags & SCHEMA_SEND)) {
        drop(c, tape, "action", "the action is not one that is sent as a SEND");
        return;
    }
    STAT_INC(self.st, calls_in[m->action]);
    registry_at(self.registry, c->session.entry)->last_action =
        (uint8_t)(m->action + 1);
    v.deviations = 0;
    if (self.conf.ocpp_validation != CONF_ocpp_validation_off &&
        !schema_check(
            m, SCHEMA_REQUEST, tape, f->payload_tok, dialect_mode(), &v)) {
        drop(c, tape, "payload", v.text);
        return;
    }
    violation_count(c, v.deviations);
    enum event_kind        kind = event_kind_of(m, tape, f->payload_tok);
    struct publish_subject subject = publish_subject(c);
    if (kind == EVENT_none || subject.identity == registry_no_name)
        return;
    struct publish *p = publish_begin(kind, &subject);
    publish_call(p, m, f, tape);
    violation_put(&p->w, f->deviations | v.deviations);
    if (publish_end(p) == 0)
        return;
    STAT_INC(self.st, sends_in);
    tap_frame(c, TAP_IN, tape->text, tape->len, event_info[kind].type);
}
