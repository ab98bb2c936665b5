/*
 * metrics_models: connected charge points by OCPP version, vendor and model,
 * for /metrics. See report.h.
 *
 * Each request counts the connections in the registry, so a connection needs no
 * memory for this.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/exposition.h"
#include "admin/metrics.h"

#define ROWS (REGISTRY_MODEL_OTHER + 1)

/* By number of the version (enum dialect_number of worker/ocpp/dialect.h). */
static const char *const versions[] = {
#define DIALECT(word, name) name,
#include "ocpp_dialects.def"
#undef DIALECT
};
#define VERSIONS (sizeof versions / sizeof *versions)

struct row {
    uint32_t              all, by[VERSIONS];
    unsigned              number;
    struct registry_model is;
};

static void
count(const struct shm *s, struct row *rows)
{
    struct registry *r = shm_registry(s);
    uint32_t         used = registry_used(r);

    for (uint32_t i = 0; i < used; i++) {
        const struct registry_entry *e = registry_at(r, i);
        unsigned                     version = e->protocol;
        if (e->owner == 0 || version >= VERSIONS)
            continue;
        struct row *row = &rows[registry_model_of(r, i)];
        row->all++;
        row->by[version]++;
    }
    for (unsigned i = 0; i < ROWS; i++) {
        rows[i].number = i;
        if (rows[i].all > 0)
            registry_model_read(r, i, &rows[i].is);
    }
}

/* Orders by connections, the most first, and then by name. */
static int
order(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->all != y->all)
        return x->all < y->all ? 1 : -1;
    int d = strcmp(x->is.vendor, y->is.vendor);
    return d != 0 ? d : strcmp(x->is.model, y->is.model);
}

static void
put(struct buf *out, const uint32_t by[VERSIONS], const char *vendor,
    const char *model)
{
    for (unsigned v = 0; v < VERSIONS; v++) {
        if (by[v] == 0)
            continue;
        buf_addf(out, "ocppd_charge_points_connected{version=\"%s\",vendor=\"",
            versions[v]);
        exposition_label(out, vendor);
        buf_adds(out, "\",model=\"");
        exposition_label(out, model);
        buf_addf(out, "\"} %u\n", by[v]);
    }
}

void
metrics_models(const struct shm *s, struct buf *out)
{
    struct row   *rows = calloc(ROWS, sizeof *rows);
    uint32_t      rest[VERSIONS] = {0}, unknown[VERSIONS] = {0};
    struct config c;

    if (rows == NULL)
        return;
    shm_config_read(s, &c);
    count(s, rows);
    qsort(rows, ROWS, sizeof *rows, order);
    exposition_head(out, "charge_points_connected", "gauge",
        "Connected charge points by OCPP version, vendor and model; "
        "admin.model_labels pairs have labels of their own");
    for (unsigned i = 0, named = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (r->all == 0)
            continue;
        uint32_t *sum = r->number == REGISTRY_MODEL_UNKNOWN ? unknown : rest;
        if (r->number != REGISTRY_MODEL_UNKNOWN &&
            r->number != REGISTRY_MODEL_OTHER && named++ < c.admin_model_labels)
            put(out, r->by, r->is.vendor, r->is.model);
        else
            for (unsigned v = 0; v < VERSIONS; v++)
                sum[v] += r->by[v];
    }
    put(out, rest, "other", "other");
    put(out, unknown, "unknown", "unknown");
    free(rows);
}
