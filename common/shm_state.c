/* shm_state: a segment as records. See shm_state.h. */
#include "shm_state.h"

#include <stdio.h>
#include <string.h>

#include "registry_state.h"

/* --- writing -------------------------------------------------------------- */

static void
write_segment(const struct shm *s, struct buf *out)
{
    fields_begin(out, "segment");
    fields_put_str(out, "version", s->version);
    fields_put_u64(out, "slots", shm_slots(s));
    fields_put_u64(
        out, "sequence", atomic_load((_Atomic uint64_t *)&s->sequence));
    fields_put_u64(out, "life", atomic_load((_Atomic uint64_t *)&s->life));
    fields_put_u64(out, "service_wall_ms", s->service_wall_ms);
    fields_put_u64(out, "upgrades", s->upgrades);
    fields_put_u64(out, "upgrades_failed", s->upgrades_failed);
    fields_put_u64(out, "reload_wall_ms", s->reload_wall_ms);
    fields_put_u64(out, "reloads", s->reloads);
    fields_put_u64(out, "reloads_failed", s->reloads_failed);
    fields_end(out);
}

/* Writes a text that another process has stored, possibly without a NUL. */
static void
put_text(struct buf *out, const char *key, const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);
    size_t      n = end != NULL ? (size_t)(end - text) : size;

    if (n > 0)
        fields_put_bytes(out, key, text, n);
}

static void
write_slot(const struct shm *s, unsigned i, struct buf *out)
{
    struct shm_worker *w = shm_worker(s, i);

    fields_begin(out, "slot");
    fields_put_u64(out, "slot", i);
    fields_put_u64(out, "incarnation", atomic_load(&w->incarnation));
    fields_put_u64(out, "born", atomic_load(&w->born));
    fields_put_u64(out, "deaths", atomic_load(&w->deaths));
    fields_put_u64(out, "died_wall_ms", atomic_load(&w->died_wall_ms));
    put_text(out, "death", w->death, sizeof w->death);
    fields_end(out);
}

/* A worker may be writing the record; a torn record is omitted. */
static void
write_refusal(
    struct shm_refusal *from, unsigned slot, unsigned place, struct buf *out)
{
    struct shm_refusal r;
    uint64_t           seq = atomic_load(&from->seq);

    memcpy(&r, from, sizeof r);
    atomic_thread_fence(memory_order_acquire);
    if (seq == 0 || seq % 2 != 0 || atomic_load(&from->seq) != seq ||
        r.reason >= REFUSE_REASONS || r.name_len > IDENTITY_MAX)
        return;
    fields_begin(out, "refusal");
    fields_put_u64(out, "slot", slot);
    fields_put_u64(out, "place", place);
    fields_put_str(out, "reason", refuse_info[r.reason].word);
    fields_put_u64(out, "wall_ms", r.wall_ms);
    fields_put_u64(out, "first_ms", r.first_ms);
    fields_put_list(out, "addr", r.addr, 2);
    fields_put_u64(out, "port", r.port);
    fields_put_u64(out, "count", r.count);
    fields_put_u64(out, "status", r.status);
    fields_put_bytes(out, "name", r.name, r.name_len);
    put_text(out, "path", r.path, sizeof r.path);
    put_text(out, "offered", r.offered, sizeof r.offered);
    put_text(out, "detail", r.detail, sizeof r.detail);
    fields_end(out);
}

void
shm_state_write_counters(const struct shm *s, struct buf *out)
{
    static struct stats sum;

    memset(&sum, 0, sizeof sum);
    stats_sum(&sum, &s->before);
    for (unsigned i = 0; i < shm_slots(s); i++)
        stats_sum(&sum, &shm_worker(s, i)->stats);
    stats_write(&sum, out);
}

void
shm_state_write(const struct shm *s, uint32_t rows, struct buf *out)
{
    write_segment(s, out);
    for (unsigned i = 0; i < shm_slots(s); i++) {
        write_slot(s, i, out);
        for (unsigned k = 0; k < SHM_REFUSALS + SHM_SILENT; k++)
            write_refusal(&shm_worker(s, i)->refusal[k], i, k, out);
    }
    penalty_write(shm_penalty(s), rows, out);
    if (s->tickets.n > 0)
        ticket_write(&s->tickets, out);
}

bool
shm_state_write_entry(const struct shm *s, uint32_t i, struct buf *out)
{
    struct shm *m = (struct shm *)s;

    return registry_state_write(
        shm_registry(s), i, atomic_load(shm_latest(m, i)), out);
}

/* --- reading -------------------------------------------------------------- */

static void
read_segment(struct shm *s, struct fields *f)
{
    uint64_t sequence =
        fields_u64(f, "sequence", 0, UINT64_MAX / 2) + SHM_STATE_NUMBERS;

    if (sequence > s->sequence)
        s->sequence = sequence;
    s->life = fields_u64(f, "life", 0, UINT64_MAX);
    s->service_wall_ms =
        fields_u64(f, "service_wall_ms", s->service_wall_ms, UINT64_MAX);
    s->upgrades = (uint32_t)fields_u64(f, "upgrades", 0, UINT32_MAX - 1);
    s->upgrades_failed =
        (uint32_t)fields_u64(f, "upgrades_failed", 0, UINT32_MAX - 1);
    s->reload_wall_ms = fields_u64(f, "reload_wall_ms", 0, UINT64_MAX);
    s->reloads = (uint32_t)fields_u64(f, "reloads", 0, UINT32_MAX - 1);
    s->reloads_failed =
        (uint32_t)fields_u64(f, "reloads_failed", 0, UINT32_MAX - 1);
}

/* The record of a slot that this program does not have is ignored. */
static void
read_slot(struct shm *s, struct fields *f)
{
    uint64_t i = fields_u64(f, "slot", UINT64_MAX, CREF_SLOTS - 1);

    if (i >= shm_slots(s))
        return;
    struct shm_worker *w = shm_worker(s, (unsigned)i);
    /* The value is at least 1, because the next process is not the first one of
     * the slot. */
    w->incarnation = (uint32_t)fields_u64(f, "incarnation", 1, UINT32_MAX - 1);
    w->born = fields_u64(f, "born", 0, UINT64_MAX);
    w->deaths = (uint32_t)fields_u64(f, "deaths", 0, UINT32_MAX);
    w->died_wall_ms = fields_u64(f, "died_wall_ms", 0, UINT64_MAX);
    snprintf(w->death, sizeof w->death, "%s",
        fields_str(f, "death", sizeof w->death - 1));
    w->recovered = 1;
}

static enum refuse_reason
reason_of(const char *word)
{
    for (unsigned i = 0; i < REFUSE_REASONS; i++)
        if (strcmp(refuse_info[i].word, word) == 0)
            return (enum refuse_reason)i;
    return REFUSE_REASONS;
}

static void
read_refusal(struct shm *s, struct fields *f)
{
    uint64_t            slot = fields_u64(f, "slot", 0, CREF_SLOTS - 1);
    uint64_t            place = fields_u64(f, "place", UINT64_MAX, UINT32_MAX);
    enum refuse_reason  reason = reason_of(fields_str(f, "reason", 64));
    const struct field *name = fields_find(f, "name");

    if (reason == REFUSE_REASONS || place >= SHM_REFUSALS + SHM_SILENT ||
        (name != NULL && name->len > IDENTITY_MAX))
        return;
    struct shm_refusal *r =
        &shm_worker(s, (unsigned)(slot % shm_slots(s)))->refusal[place];
    uint64_t wall_ms = fields_u64(f, "wall_ms", 0, UINT64_MAX);
    if (r->seq != 0 && r->wall_ms > wall_ms)
        return; /* with fewer slots than before, the newer record stays */
    memset(r, 0, sizeof *r);
    r->seq = 2;
    r->reason = (uint8_t)reason;
    r->wall_ms = wall_ms;
    r->first_ms = fields_u64(f, "first_ms", wall_ms, UINT64_MAX);
    fields_list(f, "addr", r->addr, 2);
    r->port = (uint16_t)fields_u64(f, "port", 0, UINT16_MAX);
    r->count = (uint32_t)fields_u64(f, "count", 1, UINT32_MAX);
    r->status = (uint16_t)fields_u64(
        f, "status", (uint64_t)refuse_info[reason].status, 599);
    if (name != NULL) {
        r->name_len = (uint8_t)name->len;
        memcpy(r->name, name->value, name->len);
    }
    snprintf(r->path, sizeof r->path, "%s",
        fields_str(f, "path", sizeof r->path - 1));
    snprintf(r->offered, sizeof r->offered, "%s",
        fields_str(f, "offered", sizeof r->offered - 1));
    snprintf(r->detail, sizeof r->detail, "%s",
        fields_str(f, "detail", sizeof r->detail - 1));
}

enum registry_result
shm_state_read_entry(struct shm *s, struct fields *f, uint32_t *entry)
{
    uint64_t             latest;
    enum registry_result r =
        registry_state_read(shm_registry(s), f, entry, &latest);

    /* If the entry has an owner, the word belongs to the owner's worker. */
    if (r == REGISTRY_OK && latest != 0 &&
        registry_at(shm_registry(s), *entry)->owner == 0)
        atomic_store(shm_latest(s, *entry), latest);
    return r;
}

bool
shm_state_read_counters(struct shm *s, struct fields *f)
{
    return stats_read(&s->before, f);
}

bool
shm_state_read(struct shm *s, struct fields *f)
{
    uint32_t entry;

    if (strcmp(f->word, "segment") == 0)
        read_segment(s, f);
    else if (strcmp(f->word, "slot") == 0)
        read_slot(s, f);
    else if (strcmp(f->word, "refusal") == 0)
        read_refusal(s, f);
    else if (strcmp(f->word, "entry") == 0)
        return shm_state_read_entry(s, f, &entry) == REGISTRY_OK;
    else
        return shm_state_read_counters(s, f) ||
            penalty_read(shm_penalty(s), f) || ticket_read(&s->tickets, f);
    return true;
}
