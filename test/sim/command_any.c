/*
 * command_any: answers to commands that all OCPP versions have. See command.h.
 */
#include "command.h"

#include <string.h>

void
command_availability(struct command_call *c, const char *member)
{
    const char *wanted = command_text(c, member);

    if (!command_needs(c, wanted != NULL))
        return;
    c->p->inoperative = strcmp(wanted, "Inoperative") == 0;
    if (c->p->story == STORY_CHARGING) {
        command_status(c, "Scheduled");
        return;
    }
    command_status(c, "Accepted");
    story_state(c->p, STATUS_AVAILABLE);
}

void
command_trigger(struct command_call *c)
{
    static const struct {
        const char *name;
        unsigned    want;
        bool        only_16;
    } known[] = {
        {"BootNotification", WANT_BOOT, false},
        {"Heartbeat", WANT_HEARTBEAT, false},
        {"StatusNotification", WANT_STATUS_1, false},
        {"MeterValues", WANT_METER, false},
        {"DiagnosticsStatusNotification", WANT_DIAGNOSTICS, true},
        {"FirmwareStatusNotification", WANT_FIRMWARE, false},
        {"LogStatusNotification", WANT_LOG, false},
    };
    const char *name = command_text(c, "requestedMessage");

    if (!command_needs(c, name != NULL))
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0 &&
            (!known[i].only_16 || c->p->version == VERSION_16)) {
            c->p->wants |= (uint16_t)known[i].want;
            command_status(c, "Accepted");
            return;
        }
    }
    command_status(c, "NotImplemented");
}

void
command_reserve(struct command_call *c, const char *member)
{
    struct point *p = c->p;
    int           id = command_number(c, member, -1);

    if (!command_needs(c, id >= 0))
        return;
    if (p->inoperative) {
        command_status(c, "Unavailable");
    } else if (p->story >= STORY_AUTHORIZING) {
        command_status(c, "Occupied");
    } else {
        p->reservation = id + 1;
        story_state(p, STATUS_RESERVED);
        command_status(c, "Accepted");
    }
}

void
command_cancel(struct command_call *c)
{
    struct point *p = c->p;
    int           id = command_number(c, "reservationId", -1);

    if (!command_needs(c, id >= 0))
        return;
    if (p->reservation != id + 1) {
        command_status(c, "Rejected");
        return;
    }
    p->reservation = 0;
    story_state(p, STATUS_AVAILABLE);
    command_status(c, "Accepted");
}

void
command_list(struct command_call *c, const char *member)
{
    int version = command_number(c, member, -1);

    if (!command_needs(c, version >= 0))
        return;
    c->p->list_version = (uint8_t)version;
    command_status(c, "Accepted");
}

void
command_list_version(struct command_call *c, const char *member)
{
    writer_i64(&c->w, member, c->p->list_version);
}
