/* event: the types of events, from event.def (ocppd-events(7)). */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include "buf.h"

enum event_kind {
#define EVENT(word, type, sentence) EVENT_##word,
#include "event.def"
#undef EVENT
    EVENTS, /* how many */
    EVENT_none = EVENTS,
};

struct event_info {
    const char *word;
    const char *type; /* eventType */
    const char *sentence;
};

extern const struct event_info event_info[EVENTS];

/* The kind with that type; EVENT_none if there is none. */
enum event_kind event_by_type(const char *type);

/* The name of message n from which events of this kind are made; NULL if there
 * are no more. */
const char *event_action(enum event_kind kind, unsigned n);

/* The types, separated by ", ". */
void event_put_types(struct buf *out);

/* The JSON Schema of events and outcomes. */
void event_put_schema(struct buf *out);

/* The types, the outcomes of commands and the kinds of deviations as mdoc(7)
 * source: the part of ocppd-events(7) that stands at @EVENTS@. */
void event_put_manual(struct buf *out);

#endif
