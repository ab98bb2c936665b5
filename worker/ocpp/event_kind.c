/* event_kind: which event a message becomes. See event_kind.h. */
#include "ocpp/event_kind.h"

#include <string.h>

static bool
member_is(
    const struct json *j, uint32_t object, const char *name, const char *value)
{
    uint32_t i = json_member(j, object, name, strlen(name));

    return i != 0 && json_equals(j, i, value, strlen(value));
}

/* TransactionEvent: eventType distinguishes the start, the updates and the end.
 */
static enum event_kind
kind_of_transaction(const struct json *j, uint32_t payload)
{
    if (member_is(j, payload, "eventType", "Started"))
        return EVENT_tx_started;
    if (member_is(j, payload, "eventType", "Ended"))
        return EVENT_tx_stopped;
    return EVENT_tx_updated;
}

/* NotifyEvent: the status of a connector is the variable AvailabilityState of
 * a component Connector. */
static enum event_kind
kind_of_monitor(const struct json *j, uint32_t payload)
{
    uint32_t data = json_member(j, payload, "eventData", 9);

    if (data == 0 || j->tok[data].type != JSON_ARRAY)
        return EVENT_monitor;
    for (uint32_t i = data + 1; i < j->tok[data].next; i = j->tok[i].next) {
        uint32_t component = json_member(j, i, "component", 9);
        uint32_t variable = json_member(j, i, "variable", 8);
        if (component != 0 && variable != 0 &&
            member_is(j, component, "name", "Connector") &&
            member_is(j, variable, "name", "AvailabilityState"))
            return EVENT_status_changed;
    }
    return EVENT_monitor;
}

enum event_kind
event_kind_of(
    const struct schema_message *m, const struct json *tape, uint32_t payload)
{
    if (!(m->flags & SCHEMA_EVENT_BY_PAYLOAD))
        return (enum event_kind)m->event;
    return m->event == EVENT_monitor ? kind_of_monitor(tape, payload)
                                     : kind_of_transaction(tape, payload);
}
