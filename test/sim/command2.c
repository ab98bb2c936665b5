/*
 * command2: the answers of a charge point of OCPP 2.0.1 and 2.1 to the central
 * system. See command.h.
 */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"
#include "speech.h"

static const char *
inner_text(const cJSON *object, const char *outer, const char *name)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(object, outer);
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);

    return cJSON_IsString(v) ? v->valuestring : NULL;
}

/* --- transactions -------------------------------------------------------- */

static void
request_start(struct command_call *c)
{
    const char  *token = inner_text(c->payload, "idToken", "idToken");
    const cJSON *id =
        cJSON_GetObjectItemCaseSensitive(c->payload, "remoteStartId");

    if (!command_needs(c, token != NULL && cJSON_IsNumber(id)))
        return;
    bool here = command_number(c, "evseId", 1) == 1;
    command_status(c,
        here && command_plain(token) &&
                story_start(c->p, token, (int64_t)id->valuedouble)
            ? "Accepted"
            : "Rejected");
}

static bool
is_transaction(struct command_call *c)
{
    const char *id = command_text(c, "transactionId");

    return id != NULL && c->p->story == STORY_CHARGING && !fleet.o->load &&
        strcmp(id, speech_transaction(c->p)) == 0;
}

static void
request_stop(struct command_call *c)
{
    if (!command_needs(c, command_text(c, "transactionId") != NULL))
        return;
    if (is_transaction(c)) {
        story_stop(c->p, "Remote");
        command_status(c, "Accepted");
    } else {
        command_status(c, "Rejected");
    }
}

static void
transaction_status(struct command_call *c)
{
    if (command_text(c, "transactionId") != NULL)
        writer_bool(&c->w, "ongoingIndicator", is_transaction(c));
    writer_bool(&c->w, "messagesInQueue", c->p->outbox.count > 0);
}

/* --- the charge point ---------------------------------------------------- */

static void
reset(struct command_call *c)
{
    const char *type = command_text(c, "type");

    if (!command_needs(c, type != NULL))
        return;
    bool later = strcmp(type, "OnIdle") == 0 && c->p->story == STORY_CHARGING;
    command_status(c, later ? "Scheduled" : "Accepted");
    if (!later)
        command_reset(c->p, "HardReset");
}

static void
unlock_connector(struct command_call *c)
{
    int evse = command_number(c, "evseId", -1);

    if (!command_needs(c, evse >= 0))
        return;
    if (evse == 1 && c->p->story == STORY_CHARGING)
        command_status(c, "OngoingAuthorizedTransaction");
    else
        command_status(c, evse == 1 ? "Unlocked" : "UnknownConnector");
}

/* --- commands that 1.6 has under other names ----------------------------- */

static void
change_availability(struct command_call *c)
{
    command_availability(c, "operationalStatus");
}

static void
reserve_now(struct command_call *c)
{
    command_reserve(c, "id");
}

static void
send_local_list(struct command_call *c)
{
    command_list(c, "versionNumber");
}

static void
get_local_list_version(struct command_call *c)
{
    command_list_version(c, "versionNumber");
}

/* --- variables ----------------------------------------------------------- */

/* Returns the variable that an element names, or message2_variable_count if
 * there is none. */
static unsigned
variable_of(const cJSON *element, bool *component)
{
    const char *of = inner_text(element, "component", "name");
    const char *name = inner_text(element, "variable", "name");
    unsigned    at = message2_variable_count;

    *component = false;
    for (unsigned i = 0; i < message2_variable_count; i++) {
        const struct message2_variable *v = &message2_variables[i];
        if (of == NULL || strcmp(v->component, of) != 0)
            continue;
        *component = true;
        if (name != NULL && strcmp(v->variable, name) == 0)
            at = i;
    }
    return at;
}

static void
put_asked(struct command_call *c, const cJSON *element)
{
    static const char *const objects[] = {"component", "variable"};

    for (size_t i = 0; i < 2; i++) {
        const char *name = inner_text(element, objects[i], "name");
        writer_open(&c->w, objects[i], '{');
        writer_str(&c->w, "name", name ? name : "");
        writer_close(&c->w);
    }
}

static void
get_variables(struct command_call *c)
{
    const cJSON *all =
        cJSON_GetObjectItemCaseSensitive(c->payload, "getVariableData");
    const cJSON *e;
    bool         component;

    if (!command_needs(c, cJSON_GetArraySize(all) > 0))
        return;
    writer_open(&c->w, "getVariableResult", '[');
    cJSON_ArrayForEach(e, all)
    {
        unsigned i = variable_of(e, &component);
        bool     known = i < message2_variable_count;
        bool     hidden = known && message2_variables[i].writeonly;
        writer_open(&c->w, NULL, '{');
        writer_str(&c->w, "attributeStatus",
            hidden          ? "Rejected"
                : known     ? "Accepted"
                : component ? "UnknownVariable"
                            : "UnknownComponent");
        if (known && !hidden)
            writer_str(&c->w, "attributeValue", speech_value(c->p, i));
        put_asked(c, e);
        writer_close(&c->w);
    }
    writer_close(&c->w);
}

/* False if it is not a valid value. */
static bool
set_variable(struct point *p, const char *name, const char *value)
{
    uint32_t number = (uint32_t)strtoul(value, NULL, 10);
    bool     digits = value[0] != '\0' && strlen(value) < 6 &&
        strspn(value, "0123456789") == strlen(value) && number > 0;

    if (strcmp(name, "BasicAuthPassword") == 0) {
        if (strlen(value) < 16 || strlen(value) > 64)
            return false;
        /* The value is used from the next connection on. */
        free(p->key);
        p->key = strdup(value);
        ensure(p->key != NULL);
        return true;
    }
    if (!digits)
        return false;
    if (strcmp(name, "TxUpdatedInterval") == 0) {
        p->meter_ms = number * 1000;
        return true;
    }
    p->heartbeat_s = number;
    if (p->heartbeat_due != 0)
        p->heartbeat_due = fleet.tick + fleet_ticks(story_interval(p));
    return true;
}

static void
set_variables(struct command_call *c)
{
    const cJSON *all =
        cJSON_GetObjectItemCaseSensitive(c->payload, "setVariableData");
    const cJSON *e;
    bool         component;

    if (!command_needs(c, cJSON_GetArraySize(all) > 0))
        return;
    writer_open(&c->w, "setVariableResult", '[');
    cJSON_ArrayForEach(e, all)
    {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(e, "attributeValue");
        unsigned     i = variable_of(e, &component);
        const char *status = component ? "UnknownVariable" : "UnknownComponent";
        if (i < message2_variable_count)
            status = !message2_variables[i].readonly && cJSON_IsString(v) &&
                    set_variable(
                        c->p, message2_variables[i].variable, v->valuestring)
                ? "Accepted"
                : "Rejected";
        writer_open(&c->w, NULL, '{');
        writer_str(&c->w, "attributeStatus", status);
        put_asked(c, e);
        writer_close(&c->w);
    }
    writer_close(&c->w);
}

/* NotifyReport messages with all variables follow. */
static void
get_report(struct command_call *c)
{
    int id = command_number(c, "requestId", -1);

    if (!command_needs(c, id >= 0))
        return;
    command_status(c, "Accepted");
    c->p->report = id;
    c->p->report_part = 0;
    c->p->wants |= WANT_REPORT;
}

/* --- others -------------------------------------------------------------- */

static void
data_transfer(struct command_call *c)
{
    const char *vendor = command_text(c, "vendorId");

    if (!command_needs(c, vendor != NULL))
        return;
    command_status(
        c, strcmp(vendor, "ocppsim") == 0 ? "Accepted" : "UnknownVendorId");
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
    command_status(c, "Accepted");
    c->p->wants |= WANT_FIRMWARE;
}

const struct command command2_all[] = {
    {"CancelReservation", command_cancel},
    {"CertificateSigned", command_refuse},
    {"ChangeAvailability", change_availability},
    {"ClearCache", command_take},
    {"ClearChargingProfile", command_take},
    {"DataTransfer", data_transfer},
    {"DeleteCertificate", command_not_found},
    {"GetBaseReport", get_report},
    {"GetInstalledCertificateIds", command_not_found},
    {"GetLocalListVersion", get_local_list_version},
    {"GetLog", get_log},
    {"GetReport", get_report},
    {"GetTransactionStatus", transaction_status},
    {"GetVariables", get_variables},
    {"InstallCertificate", command_refuse},
    {"RequestStartTransaction", request_start},
    {"RequestStopTransaction", request_stop},
    {"ReserveNow", reserve_now},
    {"Reset", reset},
    {"SendLocalList", send_local_list},
    {"SetChargingProfile", command_take},
    {"SetNetworkProfile", command_take},
    {"SetVariables", set_variables},
    {"TriggerMessage", command_trigger},
    {"UnlockConnector", unlock_connector},
    {"UpdateFirmware", update_firmware},
    {NULL, NULL},
};
