/* speech: messages in the charge point's OCPP version. See speech.h. */
#include "speech.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool
is_16(const struct point *p)
{
    return p->version == VERSION_16;
}

static bool
is_offline(const struct point *p)
{
    return p->link.state != LINK_OPEN;
}

const char *
speech_transaction(const struct point *p)
{
    static char id[MESSAGE2_ID_MAX];

    snprintf(id, sizeof id, "%08" PRIx32 "-%s%" PRIu32 "-%" PRIu32, fleet.nonce,
        p->flags & POINT_RIVAL ? "r" : "", p->number, p->session);
    return id;
}

enum message
speech_boot(struct point *p, struct message_text *t)
{
    const char *serial =
        fleet.o->serial != NULL ? fleet.o->serial : point_identity(p);

    if (is_16(p))
        message_boot(t, serial);
    else
        message2_boot(t, serial);
    return MESSAGE_BOOT;
}

enum message
speech_status(
    struct point *p, struct message_text *t, int connector, unsigned status)
{
    if (is_16(p)) {
        message_status(t, connector, (enum message_status)status, point_now());
        return MESSAGE_STATUS;
    }
    bool event = p->version == VERSION_21;
    message2_status(
        t, event, p->last_call, (enum message_status)status, point_now());
    return event ? MESSAGE_EVENT : MESSAGE_STATUS;
}

enum message
speech_authorize(struct point *p, struct message_text *t)
{
    if (is_16(p))
        message_authorize(t, point_tag(p));
    else
        message2_authorize(t, point_tag(p));
    return MESSAGE_AUTHORIZE;
}

enum message
speech_start(struct point *p, struct message_text *t)
{
    if (is_16(p)) {
        message_start(t, point_tag(p), p->meter_wh, point_now());
        return MESSAGE_START;
    }
    bool               remote = p->remote_tag != NULL;
    struct message2_tx tx = {.kind = MESSAGE_TX_STARTED,
        .trigger = remote ? "RemoteStart" : "Authorized",
        .state = "Charging",
        .token = point_tag(p),
        .context = "Transaction.Begin",
        .meter = p->meter_wh,
        .power = p->power_w,
        .remote = remote ? p->remote_id : -1,
        .plugged = true,
        .offline = is_offline(p),
        .now = point_now()};
    p->session++;
    p->seq = 0;
    tx.id = speech_transaction(p);
    message2_tx(t, &tx);
    return MESSAGE_TX_STARTED;
}

enum message
speech_update(struct point *p, struct message_text *t, uint32_t meter)
{
    if (is_16(p)) {
        message_meter(
            t, true, meter, p->power_w, "Sample.Periodic", point_now());
        return MESSAGE_METER_VALUES;
    }
    struct message2_tx tx = {.kind = MESSAGE_TX_UPDATED,
        .id = speech_transaction(p),
        .seq = ++p->seq,
        .trigger = "MeterValuePeriodic",
        .state = "Charging",
        .context = "Sample.Periodic",
        .meter = meter,
        .power = p->power_w,
        .remote = -1,
        .offline = is_offline(p),
        .now = point_now()};
    message2_tx(t, &tx);
    return MESSAGE_TX_UPDATED;
}

enum message
speech_stop(
    struct point *p, struct message_text *t, uint32_t meter, const char *reason)
{
    static const struct {
        const char *of_16, *reason, *trigger;
    } words[] = {
        {"Local", "Local", "StopAuthorized"},
        {"EVDisconnected", "EVDisconnected", "EVDeparted"},
        {"Remote", "Remote", "RemoteStop"},
        {"DeAuthorized", "DeAuthorized", "Deauthorized"},
        {"HardReset", "ImmediateReset", "ResetCommand"},
        {"SoftReset", "ImmediateReset", "ResetCommand"},
        {"UnlockCommand", "Other", "UnlockCommand"},
    };

    if (is_16(p)) {
        message_stop(t, point_tag(p), meter, reason, point_now());
        return MESSAGE_STOP;
    }
    struct message2_tx tx = {.kind = MESSAGE_TX_ENDED,
        .id = speech_transaction(p),
        .seq = ++p->seq,
        .trigger = "AbnormalCondition",
        .reason = "Other",
        .state = "Idle",
        .context = "Transaction.End",
        .meter = meter,
        .remote = -1,
        .offline = is_offline(p),
        .now = point_now()};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(reason, words[i].of_16) == 0) {
            tx.reason = words[i].reason;
            tx.trigger = words[i].trigger;
        }
    message2_tx(t, &tx);
    return MESSAGE_TX_ENDED;
}

enum message
speech_meter(struct point *p, struct message_text *t, uint32_t meter,
    uint32_t power, const char *context)
{
    if (is_16(p))
        message_meter(t, false, meter, power, context, point_now());
    else
        message2_meter(t, meter, context, point_now());
    return MESSAGE_METER_VALUES;
}

enum message
speech_word(
    struct point *p, struct message_text *t, enum message m, const char *word)
{
    /* 2.x has logs in place of diagnostics. */
    if (m == MESSAGE_DIAGNOSTICS && !is_16(p))
        m = MESSAGE_LOG;
    message_word(t, word);
    return m;
}

/* --- variables ----------------------------------------------------------- */

const char *
speech_value(const struct point *p, unsigned i)
{
    static char                     text[2][16];
    const struct message2_variable *v = &message2_variables[i];

    if (v->value != NULL)
        return v->value;
    if (strcmp(v->variable, "HeartbeatInterval") == 0) {
        snprintf(text[0], sizeof text[0], "%" PRIu32, p->heartbeat_s);
        return text[0];
    }
    if (strcmp(v->variable, "TxUpdatedInterval") == 0) {
        snprintf(
            text[1], sizeof text[1], "%" PRIu32, (p->meter_ms + 999) / 1000);
        return text[1];
    }
    if (strcmp(v->variable, "AvailabilityState") == 0)
        return p->inoperative ? "Unavailable" : "Available";
    return NULL;
}

enum message
speech_report(struct point *p, struct message_text *t)
{
    const char *values[32] = {NULL};

    for (unsigned i = 0; i < message2_variable_count; i++)
        values[i] = speech_value(p, i);
    if (message2_report(t, p->report, p->report_part++, values, point_now()))
        p->wants |= WANT_REPORT;
    return MESSAGE_REPORT;
}
