/* registry_state: an entry of the registry as a record. See registry_state.h.
 */
#include "registry_state.h"

#include <stdio.h>
#include <string.h>

#include "close.h"
#include "stats.h"

/* The numbers of an entry that its record holds under their own names. */
#define NUMBERS(X)                                                             \
    X(generation, UINT64_MAX)                                                  \
    X(since, UINT32_MAX)                                                       \
    X(last_seen, UINT32_MAX)                                                   \
    X(closed_at, UINT32_MAX)                                                   \
    X(refused_at, UINT32_MAX)                                                  \
    X(claims, UINT32_MAX)                                                      \
    X(booted_at, UINT32_MAX)                                                   \
    X(messages, UINT32_MAX)                                                    \
    X(flip_at, UINT32_MAX)                                                     \
    X(port, UINT16_MAX)                                                        \
    X(flips, UINT8_MAX)                                                        \
    X(protocol, UINT8_MAX)

static void
put_number(struct buf *out, const char *key, uint64_t v)
{
    if (v != 0)
        fields_put_u64(out, key, v);
}

/* The numbers of a table's rows may differ between versions, but their words do
 * not. */
static void
put_word(struct buf *out, const char *key, unsigned i, unsigned n,
    const char *(*word)(unsigned))
{
    if (i < n)
        fields_put_str(out, key, word(i));
}

static unsigned
find_word(struct fields *f, const char *key, unsigned otherwise, unsigned n,
    const char *(*word)(unsigned))
{
    const char *text = fields_str(f, key, 64);

    for (unsigned i = 0; text[0] != '\0' && i < n; i++)
        if (strcmp(word(i), text) == 0)
            return i;
    return otherwise;
}

static const char *
action_word(unsigned i)
{
    return action_names[i];
}
static const char *
close_word(unsigned i)
{
    return close_info[i].word;
}
static const char *
refuse_word(unsigned i)
{
    return refuse_info[i].word;
}

bool
registry_state_write(
    struct registry *r, uint32_t i, uint64_t latest, struct buf *out)
{
    struct registry_entry e;
    uint8_t               proof[REGISTRY_PROOF];
    uint32_t              when, end;
    unsigned              profile;

    if (!registry_copy(r, i, &e))
        return false;
    fields_begin(out, "entry");
    fields_put_bytes(out, "name", e.name, e.name_len);
#define PUT(name, most) put_number(out, #name, e.name);
    NUMBERS(PUT)
#undef PUT
    const uint64_t addr[2] = {e.addr[0], e.addr[1]};
    fields_put_list(out, "addr", addr, 2);
    if (e.last_action != 0)
        put_word(out, "last_action", e.last_action - 1u, ACTIONS, action_word);
    if (e.closed_at != 0)
        put_word(
            out, "close_reason", e.close_reason, CLOSE_REASONS, close_word);
    if (e.refused_at != 0)
        put_word(
            out, "refuse_reason", e.refuse_reason, REFUSE_REASONS, refuse_word);
    put_number(out, "latest", latest);
    if (registry_proof_get(r, i, proof, &when)) {
        fields_put_bytes(out, "proof", proof, sizeof proof);
        fields_put_u64(out, "proof_when", when);
    }
    registry_certificate(r, i, &profile, &end);
    struct registry_model m;
    registry_model_read(r, registry_model_of(r, i), &m);
    if (m.vendor[0] != '\0' || m.model[0] != '\0') {
        fields_put_str(out, "vendor", m.vendor);
        fields_put_str(out, "model", m.model);
    }
    put_number(out, "profile", profile);
    put_number(out, "certificate_end", end);
    registry_starts_write(r, i, out);
    fields_end(out);
    return true;
}

static void
read_rest(struct registry *r, uint32_t i, struct fields *f)
{
    struct registry_entry *e = registry_at(r, i);
    uint64_t               addr[2] = {0, 0};

#define GET(name, most) e->name = fields_u64(f, #name, 0, most);
    NUMBERS(GET)
#undef GET
    fields_list(f, "addr", addr, 2);
    e->addr[0] = addr[0];
    e->addr[1] = addr[1];
    e->last_action =
        (uint8_t)(find_word(f, "last_action", UINT8_MAX, ACTIONS, action_word) +
            1);
    e->close_reason =
        (uint8_t)find_word(f, "close_reason", 0, CLOSE_REASONS, close_word);
    e->refuse_reason =
        (uint8_t)find_word(f, "refuse_reason", 0, REFUSE_REASONS, refuse_word);
    const struct field *proof = fields_find(f, "proof");
    uint32_t when = (uint32_t)fields_u64(f, "proof_when", 0, UINT32_MAX);
    if (proof != NULL && proof->len == REGISTRY_PROOF && when != 0)
        registry_proof_put(r, i, proof->value, when);
    unsigned profile = (unsigned)fields_u64(f, "profile", 0, 3);
    uint32_t end =
        (uint32_t)fields_u64(f, "certificate_end", 0, REGISTRY_ENDS - 1);
    if (profile != 0 || end != 0)
        registry_set_certificate(r, i, profile, end);
    registry_model_set(r, i, fields_str(f, "vendor", REGISTRY_MODEL_MAX),
        fields_str(f, "model", REGISTRY_MODEL_MAX));
    registry_starts_read(r, i, f);
}

enum registry_result
registry_state_read(
    struct registry *r, struct fields *f, uint32_t *entry, uint64_t *latest)
{
    const struct field *name = fields_find(f, "name");

    *latest = 0;
    if (strcmp(f->word, "entry") != 0 || name == NULL || name->len == 0 ||
        name->len > IDENTITY_MAX)
        return REGISTRY_UNKNOWN;
    enum registry_result result =
        registry_look_up(r, name->value, name->len, true, entry);
    if (result != REGISTRY_OK)
        return result;
    uint64_t generation = fields_u64(f, "generation", 0, UINT64_MAX);
    struct registry_entry *e = registry_at(r, *entry);
    *latest = fields_u64(f, "latest", 0, UINT64_MAX);
    if (e->owner == 0 && e->generation <= generation)
        read_rest(r, *entry, f);
    return REGISTRY_OK;
}
