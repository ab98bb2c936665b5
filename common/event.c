/* event: the types of events, from event.def. See event.h. */
#include "event.h"

#include <stdbool.h>
#include <string.h>

#include "mdoc.h"

const struct event_info event_info[EVENTS] = {
#define EVENT(word, type, action, sentence) {#word, type, action, sentence},
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

enum event_kind
event_by_action(const char *action)
{
    unsigned i = 0;

    while (i < EVENTS &&
        (action[0] == '\0' || strcmp(event_info[i].action, action) != 0))
        i++;
    return (enum event_kind)i;
}

/* Whether an earlier row has the same type. */
static bool
repeated(unsigned i)
{
    return event_by_type(event_info[i].type) != (enum event_kind)i;
}

void
event_put_types(struct buf *out)
{
    for (unsigned i = 0; i < EVENTS; i++)
        if (!repeated(i)) {
            if (i > 0)
                buf_adds(out, ", ");
            buf_adds(out, event_info[i].type);
        }
}

static void
put_row(struct buf *out, const char *word, const char *sentence)
{
    buf_addf(out, ".It Cm %s\n", word);
    mdoc_prose(out, sentence, true);
}

static void
put_types(struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (unsigned i = 0; i < EVENTS; i++) {
        const struct event_info *e = &event_info[i];
        if (repeated(i))
            continue;
        put_row(out, e->type, e->sentence);
        if (e->action[0] == '\0')
            continue;
        buf_addf(out, "Made from\n.Li %s", e->action);
        for (unsigned j = i + 1; j < EVENTS; j++)
            if (strcmp(event_info[j].type, e->type) == 0)
                buf_addf(out, "\nand\n.Li %s", event_info[j].action);
        buf_adds(out, " .\n");
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
