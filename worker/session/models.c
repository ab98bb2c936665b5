/* models: the vendor and the model of a charge point. See models.h. */
#include "session/models.h"

#include <string.h>

#include "base/self.h"
#include "journal_line.h"
#include "ocpp/tape.h"

/* One character more shows that the text is too long. */
#define TEXT_MAX (REGISTRY_MODEL_MAX + 4)

static void
text_of(
    const struct json *j, uint32_t object, const char *name, char out[TEXT_MAX])
{
    uint32_t v = json_member(j, object, name, strlen(name));
    size_t   n = 0;

    if (v != 0 && j->tok[v].type == JSON_NUMBER) { /* a number instead of a
                                                    * string, such as 22 */
        const char *text = json_raw(j, v, &n);
        n = n < TEXT_MAX - 1 ? n : TEXT_MAX - 1;
        memcpy(out, text, n);
    } else if (v != 0) {
        n = json_string(j, v, out, TEXT_MAX - 1, NULL);
    }
    out[n] = '\0';
}

static void
put(uint32_t entry, const struct json *boot, uint32_t payload)
{
    char     vendor[TEXT_MAX], model[TEXT_MAX];
    uint32_t station = json_member(
        boot, payload, "chargingStation", strlen("chargingStation"));

    if (station != 0) { /* OCPP 2.x */
        text_of(boot, station, "vendorName", vendor);
        text_of(boot, station, "model", model);
    } else {
        text_of(boot, payload, "chargePointVendor", vendor);
        text_of(boot, payload, "chargePointModel", model);
    }
    registry_model_set(self.registry, entry, vendor, model);
}

void
models_booted(struct conn *c, const struct json *boot, uint32_t payload)
{
    put(c->session.entry, boot, payload);
}

void
models_recover(const char *line, size_t len)
{
    const char *type, *word = "\"charge_point.booted\"";
    char        name[IDENTITY_MAX];
    size_t      n;
    bool        full;

    if (!journal_line_field(line, len, "eventType", &type, &n) ||
        n != strlen(word) || memcmp(type, word, n) != 0)
        return;
    struct json *tape = tape_borrow(TAPE_EVENT);
    if (json_scan(tape, line, len)) {
        uint32_t station =
            json_member(tape, 0, "chargePointId", strlen("chargePointId"));
        uint32_t payload = json_member(tape, 0, "payload", strlen("payload"));
        n = station != 0 ? json_string(tape, station, name, sizeof name, &full)
                         : 0;
        uint32_t entry = n > 0 && full && payload != 0
            ? registry_find(self.registry, name, n, true)
            : REGISTRY_NONE;
        if (entry != REGISTRY_NONE)
            put(entry, tape, payload);
    }
    tape_return(tape);
}
