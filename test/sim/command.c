/*
 * command: the answers of a charge point to the central system; command2.c has
 * the commands of 2.x.
 *
 * Every CALL is answered at once, in the same write as everything else that is
 * due. A command without a required field is answered with a CALLERROR, an
 * unknown one with NotImplemented.
 */
#include "command.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"
#include "common/writer.h"

const char *
command_text(const struct command_call *c, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->payload, name);

    return cJSON_IsString(v) ? v->valuestring : NULL;
}

int
command_number(const struct command_call *c, const char *name, int otherwise)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->payload, name);

    return cJSON_IsNumber(v) ? v->valueint : otherwise;
}

void
command_status(struct command_call *c, const char *word)
{
    writer_str(&c->w, "status", word);
}

void
command_lacks(struct command_call *c)
{
    c->error = c->p->version == VERSION_16 ? "OccurenceConstraintViolation"
                                           : "OccurrenceConstraintViolation";
}

/* True if the text can be put into a payload without escapes. */
bool
command_plain(const char *token)
{
    bool plain = strlen(token) <= 20 && token[0] != '\0';

    for (const char *s = token; *s != '\0'; s++)
        if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
            plain = false;
    return plain;
}

/* --- one function for each action ---------------------------------------- */

static void
remote_start(struct command_call *c)
{
    const char *tag = command_text(c, "idTag");

    if (!command_needs(c, tag != NULL))
        return;
    bool plain = command_plain(tag);
    bool other = command_number(c, "connectorId", 1) != 1;
    command_status(c,
        plain && !other && story_start(c->p, tag, -1) ? "Accepted"
                                                      : "Rejected");
}

static void
remote_stop(struct command_call *c)
{
    struct point *p = c->p;
    int           id = command_number(c, "transactionId", -1);

    if (!command_needs(c,
            cJSON_GetObjectItemCaseSensitive(c->payload, "transactionId") !=
                NULL))
        return;
    if (p->story == STORY_CHARGING && p->transaction != 0 &&
        id == p->transaction && !fleet.o->load) {
        story_stop(p, "Remote");
        command_status(c, "Accepted");
    } else {
        command_status(c, "Rejected");
    }
}

void
command_reset(struct point *p, const char *reason)
{
    story_stop(p, reason);
    if (!fleet.o->load)
        p->story = STORY_OFF;
    p->status = STATUS_AVAILABLE;
    p->flags |= POINT_RESET;
    p->story_due = fleet.tick + fleet_ticks(COMMAND_RESET_S);
}

static void
reset(struct command_call *c)
{
    const char *type = command_text(c, "type");

    if (!command_needs(c, type != NULL))
        return;
    bool hard = strcmp(type, "Hard") == 0;
    if (!hard && strcmp(type, "Soft") != 0) {
        c->error = "PropertyConstraintViolation";
        return;
    }
    command_status(c, "Accepted");
    command_reset(c->p, hard ? "HardReset" : "SoftReset");
}

static void
unlock_connector(struct command_call *c)
{
    int connector = command_number(c, "connectorId", -1);

    if (!command_needs(c, connector >= 0))
        return;
    if (connector == 1)
        story_stop(c->p, "UnlockCommand");
    command_status(c, connector == 1 ? "Unlocked" : "NotSupported");
}

/* --- commands that 2.x has under other names ----------------------------- */

static void
change_availability(struct command_call *c)
{
    command_availability(c, "type");
}

static void
reserve_now(struct command_call *c)
{
    command_reserve(c, "reservationId");
}

static void
send_local_list(struct command_call *c)
{
    command_list(c, "listVersion");
}

static void
get_local_list_version(struct command_call *c)
{
    command_list_version(c, "listVersion");
}

/* --- configuration ------------------------------------------------------- */

static void
key_value(struct command_call *c, const char *key, bool readonly,
    const char *fmt, uint32_t value)
{
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(c->payload, "key");
    const cJSON *k;
    char         text[16];
    bool         asked = cJSON_GetArraySize(wanted) == 0;

    cJSON_ArrayForEach(k, wanted) if (cJSON_IsString(k) &&
        strcmp(k->valuestring, key) == 0) asked = true;
    if (!asked)
        return;
    snprintf(text, sizeof text, "%" PRIu32, value);
    writer_open(&c->w, NULL, '{');
    writer_str(&c->w, "key", key);
    writer_bool(&c->w, "readonly", readonly);
    writer_str(&c->w, "value", fmt != NULL ? fmt : text);
    writer_close(&c->w);
}

static bool
key_known(const char *key)
{
    return strcmp(key, "HeartbeatInterval") == 0 ||
        strcmp(key, "MeterValueSampleInterval") == 0 ||
        strcmp(key, "NumberOfConnectors") == 0 ||
        strcmp(key, "SupportedFeatureProfiles") == 0;
}

static void
get_configuration(struct command_call *c)
{
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(c->payload, "key");
    const cJSON *k;

    writer_open(&c->w, "configurationKey", '[');
    key_value(c, "HeartbeatInterval", false, NULL, c->p->heartbeat_s);
    key_value(c, "MeterValueSampleInterval", false, NULL,
        (c->p->meter_ms + 999) / 1000);
    key_value(c, "NumberOfConnectors", true, NULL, 1);
    key_value(c, "SupportedFeatureProfiles", true,
        "Core,FirmwareManagement,LocalAuthListManagement,Reservation,"
        "SmartCharging,RemoteTrigger",
        0);
    writer_close(&c->w);
    if (cJSON_GetArraySize(wanted) == 0)
        return;
    writer_open(&c->w, "unknownKey", '[');
    cJSON_ArrayForEach(k, wanted) if (cJSON_IsString(k) &&
        !key_known(k->valuestring)) writer_str(&c->w, NULL, k->valuestring);
    writer_close(&c->w);
}

static void
change_configuration(struct command_call *c)
{
    const char *key = command_text(c, "key"), *value = command_text(c, "value");

    if (!command_needs(c, key != NULL && value != NULL))
        return;
    uint32_t number = (uint32_t)strtoul(value, NULL, 10);
    bool     digits = value[0] != '\0' && strlen(value) < 9 &&
        strspn(value, "0123456789") == strlen(value);
    if (strcmp(key, "AuthorizationKey") == 0) {
        if (strlen(value) < 16 || strlen(value) > 40) {
            command_status(c, "Rejected");
            return;
        }
        /* The key is used from the next connection on. */
        free(c->p->key);
        c->p->key = strdup(value);
        ensure(c->p->key != NULL);
        command_status(c, "Accepted");
    } else if (strcmp(key, "HeartbeatInterval") == 0 && digits && number > 0) {
        c->p->heartbeat_s = number;
        if (c->p->heartbeat_due != 0)
            c->p->heartbeat_due =
                fleet.tick + fleet_ticks(story_interval(c->p));
        command_status(c, "Accepted");
    } else if (strcmp(key, "MeterValueSampleInterval") == 0 && digits &&
        number > 0 && number < 1000000) {
        c->p->meter_ms = number * 1000;
        command_status(c, "Accepted");
    } else {
        command_status(c, key_known(key) ? "Rejected" : "NotSupported");
    }
}

static void
data_transfer(struct command_call *c)
{
    const char *vendor = command_text(c, "vendorId"),
               *data = command_text(c, "data");

    if (!command_needs(c, vendor != NULL))
        return;
    if (strcmp(vendor, "ocppsim") != 0) {
        command_status(c, "UnknownVendorId");
        return;
    }
    command_status(c, "Accepted");
    if (data != NULL)
        writer_str(&c->w, "data", data);
}

static void
get_diagnostics(struct command_call *c)
{
    if (!command_needs(c, command_text(c, "location") != NULL))
        return;
    writer_str(&c->w, "fileName", "diagnostics.txt");
    c->p->wants |= WANT_DIAGNOSTICS;
}

static void
get_log(struct command_call *c)
{
    command_status(c, "Accepted");
    writer_str(&c->w, "filename", "log.txt");
    c->p->wants |= WANT_LOG;
}

static void
update_firmware(struct command_call *c)
{
    if (command_needs(c, command_text(c, "location") != NULL))
        c->p->wants |= WANT_FIRMWARE;
}

static void
get_composite_schedule(struct command_call *c)
{
    int connector = command_number(c, "connectorId", -1);
    int duration = command_number(c, "duration", -1);

    if (!command_needs(c, connector >= 0 && duration >= 0))
        return;
    command_status(c, connector <= 1 ? "Accepted" : "Rejected");
    if (connector > 1)
        return;
    writer_i64(&c->w, "connectorId", connector);
    writer_str(&c->w, "scheduleStart", point_now());
    writer_open(&c->w, "chargingSchedule", '{');
    writer_i64(&c->w, "duration", duration);
    writer_str(&c->w, "chargingRateUnit", "W");
    writer_open(&c->w, "chargingSchedulePeriod", '[');
    writer_open(&c->w, NULL, '{');
    writer_i64(&c->w, "startPeriod", 0);
    writer_i64(&c->w, "limit", 11040);
    writer_close(&c->w);
    writer_close(&c->w);
    writer_close(&c->w);
}

void
command_take(struct command_call *c)
{
    command_status(c, "Accepted");
}

void
command_refuse(struct command_call *c)
{
    command_status(c, "Rejected");
}

void
command_not_found(struct command_call *c)
{
    command_status(c, "NotFound");
}

static const struct command commands[] = {
    {"CancelReservation", command_cancel},
    {"CertificateSigned", command_refuse},
    {"ChangeAvailability", change_availability},
    {"ChangeConfiguration", change_configuration},
    {"ClearCache", command_take},
    {"ClearChargingProfile", command_take},
    {"DataTransfer", data_transfer},
    {"DeleteCertificate", command_not_found},
    {"ExtendedTriggerMessage", command_trigger},
    {"GetCompositeSchedule", get_composite_schedule},
    {"GetConfiguration", get_configuration},
    {"GetDiagnostics", get_diagnostics},
    {"GetInstalledCertificateIds", command_not_found},
    {"GetLocalListVersion", get_local_list_version},
    {"GetLog", get_log},
    {"InstallCertificate", command_refuse},
    {"RemoteStartTransaction", remote_start},
    {"RemoteStopTransaction", remote_stop},
    {"ReserveNow", reserve_now},
    {"Reset", reset},
    {"SendLocalList", send_local_list},
    {"SetChargingProfile", command_take},
    {"SignedUpdateFirmware", command_refuse},
    {"TriggerMessage", command_trigger},
    {"UnlockConnector", unlock_connector},
    {"UpdateFirmware", update_firmware},
    {NULL, NULL},
};

static void
perform(struct command_call *c, struct span action)
{
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)action.n, action.p);
    const struct command *all =
        c->p->version == VERSION_16 ? commands : command2_all;
    for (; all->name != NULL; all++) {
        if (strcmp(all->name, name) == 0) {
            if (cJSON_IsObject(c->payload))
                all->answer(c);
            else
                c->error = c->p->version == VERSION_16 ? "FormationViolation"
                                                       : "FormatViolation";
            return;
        }
    }
    c->error = "NotImplemented";
}

void
command_handle(struct point *p, const struct jsonspan_frame *f)
{
    static struct buf   out = BUF_INIT(65536);
    const char         *end;
    struct span         action = {"", 0};
    struct command_call c = {.p = p};

    tally_add(fleet.tally, commands, 1);
    if (fleet.o->ignore_commands > 0 &&
        fleet_chance() * 100 < fleet.o->ignore_commands) {
        tally_add(fleet.tally, commands_ignored, 1);
        return;
    }
    cJSON *payload =
        cJSON_ParseWithLengthOpts(f->rest[1].p, f->rest[1].n, &end, false);
    c.payload = payload;
    jsonspan_string(f->rest[0], &action);
    buf_clear(&out);
    buf_adds(&out, "[3,\"");
    buf_add(&out, f->id.p, f->id.n);
    buf_adds(&out, "\",");
    c.w = WRITER_INIT(&out);
    writer_open(&c.w, NULL, '{');
    perform(&c, action);
    writer_close(&c.w);
    if (c.error != NULL) {
        buf_clear(&out);
        buf_adds(&out, "[4,\"");
        buf_add(&out, f->id.p, f->id.n);
        buf_addf(&out, "\",\"%s\",\"\",{}", c.error);
    } else {
        tally_add(fleet.tally, commands_done, 1);
    }
    buf_addc(&out, ']');
    cJSON_Delete(payload);
    link_send(&p->link, 1, out.p, out.len);
    point_settle(p);
    point_rearm(p);
}
