/*
 * metrics: the numbers of stats.def, for people, programs and Prometheus.
 *
 * Uses only shared memory, as report.h does.
 */
#ifndef MASTER_ADMIN_METRICS_H
#define MASTER_ADMIN_METRICS_H

#include <stdbool.h>

#include "buf.h"
#include "shm.h"

/* Text for `ocppctl stats`. pattern: for fnmatch(3), matched against names;
 * NULL for all. False if it matches none. */
bool metrics_text(const struct shm *s, const char *pattern, struct buf *out);
bool metrics_json(const struct shm *s, const char *pattern, struct buf *out);
/* /metrics, in the text format of Prometheus 0.0.4. */
void metrics_prometheus(const struct shm *s, struct buf *out);
/* The process_ metrics, in the same format. In the admin process only: it opens
 * files. */
void metrics_processes(const struct shm *s, struct buf *out);
/* Connected charge points by version, vendor and model, in the same format. */
void metrics_models(const struct shm *s, struct buf *out);
/* Writes the table as mdoc(7), for ocppd-stats(7). */
void metrics_put_manual(struct buf *out);

#endif
