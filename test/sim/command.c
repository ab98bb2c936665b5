/*
 * command: what a charge point answers to the central system.
 *
 * Every CALL gets its answer at once, in the same write as whatever else is
 * due. A command that needs a field it was not given is answered with a
 * CALLERROR; one that is not known, with NotImplemented.
 */
#include "point.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"
#include "common/writer.h"

#define RESET_S 1.0 /* between the answer to Reset and the power going */

/* One CALL being answered. */
struct call {
    struct point *p;
    const cJSON  *payload;
    struct writer w;     /* stands in the answer's payload object */
    const char   *error; /* code of a CALLERROR instead */
};

static const char *
text_of(const struct call *c, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->payload, name);

    return cJSON_IsString(v) ? v->valuestring : NULL;
}

static int
number_of(const struct call *c, const char *name, int otherwise)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->payload, name);

    return cJSON_IsNumber(v) ? v->valueint : otherwise;
}

static void
status(struct call *c, const char *word)
{
    writer_str(&c->w, "status", word);
}

static bool
needs(struct call *c, bool there)
{
    if (!there)
        c->error = "OccurenceConstraintViolation";
    return there;
}

/* --- one function for each action ---------------------------------------- */

static void
remote_start(struct call *c)
{
    const char *tag = text_of(c, "idTag");

    if (!needs(c, tag != NULL))
        return;
    /* It goes into payloads as it is. */
    bool plain = strlen(tag) <= 20 && tag[0] != '\0';
    for (const char *s = tag; *s != '\0'; s++)
        if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
            plain = false;
    bool other = number_of(c, "connectorId", 1) != 1;
    status(
        c, plain && !other && story_start(c->p, tag) ? "Accepted" : "Rejected");
}

static void
remote_stop(struct call *c)
{
    struct point *p = c->p;
    int           id = number_of(c, "transactionId", -1);

    if (!needs(c,
            cJSON_GetObjectItemCaseSensitive(c->payload, "transactionId") !=
                NULL))
        return;
    if (p->story == STORY_CHARGING && p->transaction != 0 &&
        id == p->transaction && !fleet.o->load) {
        story_stop(p, "Remote");
        status(c, "Accepted");
    } else {
        status(c, "Rejected");
    }
}

static void
reset(struct call *c)
{
    const char *type = text_of(c, "type");

    if (!needs(c, type != NULL))
        return;
    bool hard = strcmp(type, "Hard") == 0;
    if (!hard && strcmp(type, "Soft") != 0) {
        c->error = "PropertyConstraintViolation";
        return;
    }
    status(c, "Accepted");
    story_stop(c->p, hard ? "HardReset" : "SoftReset");
    if (!fleet.o->load)
        c->p->story = STORY_OFF;
    c->p->status = STATUS_AVAILABLE;
    c->p->flags |= POINT_RESET;
    c->p->story_due = fleet.tick + fleet_ticks(RESET_S);
}

static void
unlock_connector(struct call *c)
{
    int connector = number_of(c, "connectorId", -1);

    if (!needs(c, connector >= 0))
        return;
    if (connector == 1)
        story_stop(c->p, "UnlockCommand");
    status(c, connector == 1 ? "Unlocked" : "NotSupported");
}

static void
change_availability(struct call *c)
{
    const char *type = text_of(c, "type");

    if (!needs(c, type != NULL))
        return;
    c->p->inoperative = strcmp(type, "Inoperative") == 0;
    if (c->p->story == STORY_CHARGING) {
        status(c, "Scheduled");
        return;
    }
    status(c, "Accepted");
    story_state(c->p, STATUS_AVAILABLE);
}

static void
trigger_message(struct call *c)
{
    static const struct {
        const char *name;
        unsigned    want;
    } known[] = {
        {"BootNotification", WANT_BOOT},
        {"Heartbeat", WANT_HEARTBEAT},
        {"StatusNotification", WANT_STATUS_1},
        {"MeterValues", WANT_METER},
        {"DiagnosticsStatusNotification", WANT_DIAGNOSTICS},
        {"FirmwareStatusNotification", WANT_FIRMWARE},
        {"LogStatusNotification", WANT_LOG},
    };
    const char *name = text_of(c, "requestedMessage");

    if (!needs(c, name != NULL))
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0) {
            c->p->wants |= (uint16_t)known[i].want;
            status(c, "Accepted");
            return;
        }
    }
    status(c, "NotImplemented");
}

static void
key_value(struct call *c, const char *key, bool readonly, const char *fmt,
    uint32_t value)
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
get_configuration(struct call *c)
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
change_configuration(struct call *c)
{
    const char *key = text_of(c, "key"), *value = text_of(c, "value");

    if (!needs(c, key != NULL && value != NULL))
        return;
    uint32_t number = (uint32_t)strtoul(value, NULL, 10);
    bool     digits = value[0] != '\0' && strlen(value) < 9 &&
        strspn(value, "0123456789") == strlen(value);
    if (strcmp(key, "AuthorizationKey") == 0) {
        if (strlen(value) < 16 || strlen(value) > 40) {
            status(c, "Rejected");
            return;
        }
        /* From the next connection on. */
        free(c->p->key);
        c->p->key = strdup(value);
        ensure(c->p->key != NULL);
        status(c, "Accepted");
    } else if (strcmp(key, "HeartbeatInterval") == 0 && digits && number > 0) {
        c->p->heartbeat_s = number;
        if (c->p->heartbeat_due != 0)
            c->p->heartbeat_due =
                fleet.tick + fleet_ticks(story_interval(c->p));
        status(c, "Accepted");
    } else if (strcmp(key, "MeterValueSampleInterval") == 0 && digits &&
        number > 0 && number < 1000000) {
        c->p->meter_ms = number * 1000;
        status(c, "Accepted");
    } else {
        status(c, key_known(key) ? "Rejected" : "NotSupported");
    }
}

static void
reserve_now(struct call *c)
{
    struct point *p = c->p;
    int           id = number_of(c, "reservationId", -1);

    if (!needs(c, id >= 0))
        return;
    if (p->inoperative) {
        status(c, "Unavailable");
    } else if (p->story >= STORY_AUTHORIZING) {
        status(c, "Occupied");
    } else {
        p->reservation = id + 1;
        story_state(p, STATUS_RESERVED);
        status(c, "Accepted");
    }
}

static void
cancel_reservation(struct call *c)
{
    struct point *p = c->p;
    int           id = number_of(c, "reservationId", -1);

    if (!needs(c, id >= 0))
        return;
    if (p->reservation != id + 1) {
        status(c, "Rejected");
        return;
    }
    p->reservation = 0;
    story_state(p, STATUS_AVAILABLE);
    status(c, "Accepted");
}

static void
send_local_list(struct call *c)
{
    int version = number_of(c, "listVersion", -1);

    if (!needs(c, version >= 0))
        return;
    c->p->list_version = (uint8_t)version;
    status(c, "Accepted");
}

static void
get_local_list_version(struct call *c)
{
    writer_i64(&c->w, "listVersion", c->p->list_version);
}

static void
data_transfer(struct call *c)
{
    const char *vendor = text_of(c, "vendorId"), *data = text_of(c, "data");

    if (!needs(c, vendor != NULL))
        return;
    if (strcmp(vendor, "ocppsim") != 0) {
        status(c, "UnknownVendorId");
        return;
    }
    status(c, "Accepted");
    if (data != NULL)
        writer_str(&c->w, "data", data);
}

static void
get_diagnostics(struct call *c)
{
    if (!needs(c, text_of(c, "location") != NULL))
        return;
    writer_str(&c->w, "fileName", "diagnostics.txt");
    c->p->wants |= WANT_DIAGNOSTICS;
}

static void
get_log(struct call *c)
{
    status(c, "Accepted");
    writer_str(&c->w, "filename", "log.txt");
    c->p->wants |= WANT_LOG;
}

static void
update_firmware(struct call *c)
{
    if (needs(c, text_of(c, "location") != NULL))
        c->p->wants |= WANT_FIRMWARE;
}

static void
get_composite_schedule(struct call *c)
{
    int connector = number_of(c, "connectorId", -1);
    int duration = number_of(c, "duration", -1);

    if (!needs(c, connector >= 0 && duration >= 0))
        return;
    status(c, connector <= 1 ? "Accepted" : "Rejected");
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

static void
take(struct call *c)
{
    status(c, "Accepted");
}

static void
refuse(struct call *c)
{
    status(c, "Rejected");
}

static void
not_found(struct call *c)
{
    status(c, "NotFound");
}

static const struct command {
    const char *name;
    void (*answer)(struct call *c);
} commands[] = {
    {"CancelReservation", cancel_reservation},
    {"CertificateSigned", refuse},
    {"ChangeAvailability", change_availability},
    {"ChangeConfiguration", change_configuration},
    {"ClearCache", take},
    {"ClearChargingProfile", take},
    {"DataTransfer", data_transfer},
    {"DeleteCertificate", not_found},
    {"ExtendedTriggerMessage", trigger_message},
    {"GetCompositeSchedule", get_composite_schedule},
    {"GetConfiguration", get_configuration},
    {"GetDiagnostics", get_diagnostics},
    {"GetInstalledCertificateIds", not_found},
    {"GetLocalListVersion", get_local_list_version},
    {"GetLog", get_log},
    {"InstallCertificate", refuse},
    {"RemoteStartTransaction", remote_start},
    {"RemoteStopTransaction", remote_stop},
    {"ReserveNow", reserve_now},
    {"Reset", reset},
    {"SendLocalList", send_local_list},
    {"SetChargingProfile", take},
    {"SignedUpdateFirmware", refuse},
    {"TriggerMessage", trigger_message},
    {"UnlockConnector", unlock_connector},
    {"UpdateFirmware", update_firmware},
};

static void
perform(struct call *c, struct span action)
{
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)action.n, action.p);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            if (cJSON_IsObject(c->payload))
                commands[i].answer(c);
            else
                c->error = "FormationViolation";
            return;
        }
    }
    c->error = "NotImplemented";
}

void
command_handle(struct point *p, const struct jsonspan_frame *f)
{
    static struct buf out = BUF_INIT(65536);
    const char       *end;
    struct span       action = {"", 0};
    struct call       c = {.p = p};

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
