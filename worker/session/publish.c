/* publish: makes events, which are lines of the journal. See publish.h. */
#include "session/publish.h"

#include "base/self.h"
#include "clock.h"
#include "fleet/redis.h"
#include "journal/journal.h"
#include "journal/journal_id.h"
#include "journal_line.h"
#include "ocpp/dialect.h"
#include "ocpp/secrets.h"

/* Bytes of the line's memory that are kept. */
#define LINE_KEPT ((size_t)256 << 10)

static struct buf     line = {.max = JOURNAL_LINE_MAX};
static struct publish current;
static bool           too_long; /* the last event was too long */

struct publish_subject
publish_subject(const struct conn *c)
{
    struct publish_subject subject = {.generation = c->generation,
        .protocol = dialects[c->session.protocol].name,
        .entry1 = c->session.entry + 1};

    subject.identity =
        registry_name(self.registry, c->session.entry, &subject.identity_len);
    return subject;
}

/* Each worker ships its own journal, but the events of an identity must reach
 * Redis in the order of their numbers. So an event names its predecessor if
 * that is in the journal of another slot. */
static void
follow(struct publish *p, uint32_t entry)
{
    _Atomic uint64_t *latest = shm_latest(self.shm, entry);
    const uint64_t    low = (UINT64_C(1) << SHM_LATEST_SHIFT) - 1;

    for (;;) {
        uint64_t was = atomic_exchange(
            latest, (uint64_t)self.slot << SHM_LATEST_SHIFT | p->number);
        unsigned slot = (unsigned)(was >> SHM_LATEST_SHIFT);
        /* Another worker has drawn a higher number, but has stored it
         * earlier. */
        if ((was & low) > p->number) {
            journal_abandon(p->number);
            p->number = journal_begin();
            if ((was & low) > p->number)
                return; /* a stray store has changed the word: no number is so
                         * high */
            atomic_store(latest, was);
            continue;
        }
        if (was == 0)
            journal_line_put_after(
                p->after, JOURNAL_AFTER_ALL, atomic_load(&self.shm->life));
        else if (slot == self.slot &&
            (was & low) < atomic_load(&self.mem->complete_from))
            /* The previous event may be lost, and with it the name of the event
             * that it had to follow. */
            journal_line_put_after(p->after, JOURNAL_AFTER_ALL, was & low);
        else if (slot != self.slot)
            journal_line_put_after(p->after, slot, was & low);
        return;
    }
}

struct publish *
publish_begin(enum event_kind kind, const struct publish_subject *subject)
{
    struct publish *p = &current;
    char            when[CLOCK_RFC3339_LEN + 1];

    buf_clear(&line);
    p->number = journal_begin();
    p->after[0] = '\0';
    if (redis_on() && subject->entry1 != 0)
        follow(p, subject->entry1 - 1);
    p->w = WRITER_INIT(&line);
    /* Each line of the journal begins with its id; the writer appends the other
       members. */
    journal_line_put_id(&line, p->number, journal_id_of_events());
    p->w.depth = 1;
    p->w.more = 1u << 1;
    writer_str(&p->w, "eventType", event_info[kind].type);
    writer_strn(
        &p->w, "chargePointId", subject->identity, subject->identity_len);
    writer_str(&p->w, "gatewayId", self.shm->node);
    clock_rfc3339(when, self.wall_ms);
    writer_str(&p->w, "timestamp", when);
    writer_u64(&p->w, "generation", subject->generation);
    if (subject->protocol[0] != '\0')
        writer_str(&p->w, "protocol", subject->protocol);
    return p;
}

void
publish_call(struct publish *p, const struct schema_message *m,
    const struct ocppj_frame *f, const struct json *tape)
{
    writer_strn(&p->w, "messageId", f->id, f->id_len);
    writer_strn(&p->w, "action", f->action.p, f->action.len);
    writer_raw(&p->w, "payload", "", 0);
    if (tape->tok[f->payload_tok].type == JSON_NULL)
        buf_adds(&line, "{}");
    else if (m->flags & SCHEMA_SECRETS)
        secrets_put(tape, f->payload_tok, &line);
    else
        json_put(tape, f->payload_tok, &line);
}

bool
publish_too_long(void)
{
    return too_long;
}

static uint64_t
append(struct publish *p)
{
    too_long = line.overflow || line.len + JOURNAL_CHECK_LEN > JOURNAL_LINE_MAX;
    if (!too_long)
        return journal_append(p->number, line.p, line.len) ? p->number : 0;
    journal_abandon(p->number);
    STAT_INC(self.st, events_refused);
    return 0;
}

uint64_t
publish_end(struct publish *p)
{
    if (p->after[0] != '\0')
        writer_str(&p->w, "after", p->after);
    writer_close(&p->w);
    uint64_t number = append(p);
    if (line.cap > LINE_KEPT)
        buf_free(&line);
    return number;
}
