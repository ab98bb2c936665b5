/* publish: events, from what happened to a line in the journal. See
 * publish.h. */
#include "session/publish.h"

#include "clock.h"
#include "journal/journal.h"
#include "ocpp/dialect.h"
#include "base/self.h"

static struct buf     line = {.max = JOURNAL_LINE_MAX};
static struct publish current;

struct publish_who
publish_who(const struct conn *c)
{
    struct publish_who who = {.generation = c->generation,
        .protocol = dialects[c->session.protocol].name};

    who.identity =
        registry_name(self.registry, c->session.entry, &who.identity_len);
    return who;
}

struct publish *
publish_begin(enum event_kind kind, const struct publish_who *who)
{
    struct publish *p = &current;
    char            when[CLOCK_RFC3339_LEN + 1];

    buf_clear(&line);
    p->number = journal_begin();
    p->w = WRITER_INIT(&line);
    /* The journal's lines begin in one form; the writer goes on behind it. */
    journal_line_put_id(&line, p->number, self.shm->node);
    p->w.depth = 1;
    p->w.more = 1u << 1;
    writer_str(&p->w, "eventType", event_info[kind].type);
    writer_strn(&p->w, "chargePointId", who->identity, who->identity_len);
    writer_str(&p->w, "gatewayId", self.shm->node);
    clock_rfc3339(when, self.wall_ms);
    writer_str(&p->w, "timestamp", when);
    writer_u64(&p->w, "generation", who->generation);
    if (who->protocol[0] != '\0')
        writer_str(&p->w, "protocol", who->protocol);
    return p;
}

void
publish_call(
    struct publish *p, const struct ocppj_frame *f, const struct json *tape)
{
    writer_strn(&p->w, "messageId", f->id, f->id_len);
    writer_strn(&p->w, "action", f->action.p, f->action.len);
    writer_raw(&p->w, "payload", "", 0);
    if (tape->tok[f->payload_tok].type == JSON_NULL)
        buf_adds(&line, "{}");
    else
        json_put(tape, f->payload_tok, &line);
}

uint64_t
publish_end(struct publish *p)
{
    writer_close(&p->w);
    if (line.overflow) {
        journal_abandon(p->number);
        STAT_INC(self.st, events_refused);
        return 0;
    }
    if (!journal_append(p->number, line.p, line.len))
        return 0;
    return p->number;
}
