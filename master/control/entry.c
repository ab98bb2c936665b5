/* entry: writes an entry of the registry as JSON members and as words. See
   entry.h. */
#include "control/entry.h"

#include <stdio.h>

#include "address.h"
#include "base/master.h"
#include "clock.h"
#include "close.h"
#include "shm.h"

/* By number of the version (enum dialect_number of worker/ocpp/dialect.h). */
static const char *const protocols[] = {
#define DIALECT(word, name) name,
#include "ocpp_dialects.def"
#undef DIALECT
};

struct registry_model
entry_model(uint32_t entry)
{
    struct registry      *r = shm_registry(master.shm);
    struct registry_model m;

    registry_model_read(r, registry_model_of(r, entry), &m);
    return m;
}

const char *
entry_last_action(const struct registry_entry *e)
{
    unsigned a = e->last_action;

    return a > 0 && a <= ACTIONS ? action_names[a - 1] : "-";
}

const char *
entry_close_word(const struct registry_entry *e)
{
    return e->close_reason < CLOSE_REASONS ? close_info[e->close_reason].word
                                           : "unknown";
}

const char *
entry_refuse_word(const struct registry_entry *e)
{
    return e->refuse_reason < REFUSE_REASONS
        ? refuse_info[e->refuse_reason].word
        : "unknown";
}

const char *
entry_protocol(const struct registry_entry *e)
{
    return e->claims > 0 && e->protocol < sizeof protocols / sizeof *protocols
        ? protocols[e->protocol]
        : NULL;
}

void
entry_address(const struct registry_entry *e, char out[ADDRESS_LEN])
{
    uint64_t packed[2] = {e->addr[0], e->addr[1]};

    if (e->claims > 0)
        address_text(out, packed, e->port);
    else
        snprintf(out, ADDRESS_LEN, "-");
}

void
entry_put_time(struct writer *w, const char *key, uint32_t then)
{
    char text[CLOCK_RFC3339_LEN + 1];

    if (then == 0) {
        writer_null(w, key);
        return;
    }
    clock_rfc3339(text, (uint64_t)then * 1000);
    writer_str(w, key, text);
}

static void
put_text(struct writer *w, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        writer_str(w, key, text);
    else
        writer_null(w, key);
}

/* Writes the members of an entry into an open object. number: that of the
   entry. */
void
entry_put(struct writer *w, const struct registry_entry *e, uint32_t number)
{
    struct registry_model model = entry_model(number);
    char                  addr[ADDRESS_LEN];
    cref                  owner = e->owner;

    writer_strn(w, "identity", e->name, e->name_len);
    writer_bool(w, "online", owner != 0);
    if (owner != 0)
        writer_u64(w, "worker", cref_slot(owner));
    else
        writer_null(w, "worker");
    if (e->claims > 0) {
        entry_address(e, addr);
        writer_str(w, "address", addr);
    } else {
        writer_null(w, "address");
    }
    put_text(w, "protocol", entry_protocol(e));
    put_text(w, "vendor", model.vendor);
    put_text(w, "model", model.model);
    entry_put_time(w, "since", e->since);
    entry_put_time(w, "lastSeen", e->last_seen);
    entry_put_time(w, "booted", e->booted_at);
    writer_u64(w, "messages", e->messages);
    writer_u64(w, "connections", e->claims);
    writer_u64(w, "generation", e->generation);
    if (e->last_action != 0)
        writer_str(w, "lastAction", entry_last_action(e));
    else
        writer_null(w, "lastAction");
    entry_put_time(w, "closed", e->closed_at);
    if (e->closed_at != 0)
        writer_str(w, "closeReason", entry_close_word(e));
    entry_put_time(w, "refused", e->refused_at);
    if (e->refused_at != 0)
        writer_str(w, "refuseReason", entry_refuse_word(e));
}

/* Writes a name in a form that is safe for a terminal. */
void
entry_put_name(struct buf *out, const char *name, size_t n, int width)
{
    for (size_t i = 0; i < n; i++)
        buf_addc(out,
            (char)((unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?'
                                                                    : name[i]));
    buf_addf(out, "%*s", width > (int)n ? width - (int)n : 0, "");
}
