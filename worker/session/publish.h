/*
 * publish: makes events, which are lines of the journal.
 *
 *     struct publish *p = publish_begin(EVENT_tx_started, &subject);
 *     publish_call(p, frame, tape); writer_raw(&p->w, "answer", ...);
 *     number = publish_end(p);
 *
 * One event at a time; the fields and their order are those of
 * ocppd-events(7).
 */
#ifndef WORKER_SESSION_PUBLISH_H
#define WORKER_SESSION_PUBLISH_H

#include <stdint.h>

#include "event.h"
#include "net/conn.h"
#include "ocpp/ocppj.h"
#include "ocpp/schema.h"
#include "writer.h"

/* The identity and session that the event is about. protocol: "" if there is no
   connection. */
struct publish_subject {
    const char *identity;
    size_t      identity_len;
    uint64_t    generation;
    const char *protocol;
    uint32_t    entry1; /* number of its registry entry plus 1; 0: none */
};

struct publish {
    struct writer w;         /* the event's object is open: add members */
    uint64_t      number;    /* number of the event */
    char          after[21]; /* the event to be shipped before it, or "" */
};

/* The subject of events of a connection that has a session. */
struct publish_subject publish_subject(const struct conn *c);

/* Begins an event. Returns the only one, whose writer the caller fills in
 * before publish_end(). */
struct publish *publish_begin(
    enum event_kind kind, const struct publish_subject *subject);

/* Writes messageId, action and payload of a CALL, byte for byte except for
 * secrets. */
void publish_call(struct publish *p, const struct schema_message *m,
    const struct ocppj_frame *f, const struct json *tape);

/* Appends the event to the journal. Returns its number; up_committed() reports
 * when it is durable. Returns 0 if the journal does not accept it; then nothing
 * may be acknowledged. */
uint64_t publish_end(struct publish *p);

/* After publish_end() returned 0: true if the event is longer than
 * JOURNAL_LINE_MAX, so that the journal will never take it. */
bool publish_too_long(void);

#endif
