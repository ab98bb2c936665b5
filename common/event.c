/* event: the types of events, from event.def. See event.h. */
#include "event.h"

#include <stdbool.h>
#include <string.h>

#include "mdoc.h"

const struct event_info event_info[EVENTS] = {
#define EVENT(word, type, sentence) {#word, type, sentence},
#include "event.def"
#undef EVENT
};

enum event_kind
event_by_type(const char *type)
{
    unsigned i = 0;

    while (i < EVENTS && strcmp(event_info[i].type, type) != 0)
        i++;
    return (enum event_kind)i;
}

void
event_put_types(struct buf *out)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        if (i > 0)
            buf_adds(out, ", ");
        buf_adds(out, event_info[i].type);
    }
}

const char *
event_action(enum event_kind kind, unsigned n)
{
    static const struct {
        const char     *name;
        enum event_kind kind;
    } actions[] = {
#define ACTION(name, direction, profile, event) {#name, EVENT_##event},
#include "ocpp_actions.def"
#undef ACTION
        /* The content of these messages decides which type of event is made
         * from them. */
        {"TransactionEvent", EVENT_tx_started},
        {"TransactionEvent", EVENT_tx_stopped},
        {"NotifyEvent", EVENT_status_changed},
    };

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (actions[i].kind == kind && n-- == 0)
            return actions[i].name;
    return NULL;
}

static void
put_row(struct buf *out, const char *word, const char *sentence)
{
    buf_addf(out, ".It Cm %s\n", word);
    mdoc_prose(out, sentence, true);
}

/* Writes the messages from which an event is made. */
static void
put_actions(struct buf *out, enum event_kind kind)
{
    const char *name = event_action(kind, 0);

    if (name == NULL)
        return;
    for (unsigned i = 0; name != NULL; name = event_action(kind, ++i))
        buf_addf(out, "%s\n.Li %s", i > 0 ? "\nand" : "Made from", name);
    buf_adds(out, " .\n");
}

static void
put_types(struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (unsigned i = 0; i < EVENTS; i++) {
        put_row(out, event_info[i].type, event_info[i].sentence);
        put_actions(out, (enum event_kind)i);
    }
    buf_adds(out, ".El\n");
}

void
event_put_manual(struct buf *out)
{
    put_types(out);
    buf_adds(out, ".Ss Outcomes of commands\n.Bl -tag -width Ds\n");
#define OUTCOME(word, exit_code, sentence) put_row(out, #word, sentence);
#include "outcome.def"
#undef OUTCOME
    buf_adds(out, ".El\n.Ss Deviations\n.Bl -tag -width Ds\n");
#define DEVIATION(word, sentence) put_row(out, #word, sentence);
#include "deviation.def"
#undef DEVIATION
    buf_adds(out, ".El\n");
}
