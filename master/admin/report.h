/*
 * report: the state of the gateway as text and JSON, from shared memory
 * alone.
 *
 * The master and the admin process both use it; nothing in here takes a lock
 * or changes anything.
 */
#ifndef MASTER_ADMIN_REPORT_H
#define MASTER_ADMIN_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "shm.h"

enum report_health { REPORT_HEALTHY, REPORT_DEGRADED, REPORT_UNHEALTHY };

/* The document of /health: one JSON object and a newline. */
enum report_health report_health(const struct shm *s, struct buf *out);

/* Does it take new connections? */
bool report_ready(const struct shm *s);

/* conf_file NULL: none. */
void report_status(
    const struct shm *s, const char *conf_file, bool json, struct buf *out);
void report_workers(const struct shm *s, bool json, struct buf *out);

/* "5m ago", "never" for 0; now and then in Unix seconds. */
void report_ago(struct buf *out, uint64_t now, uint64_t then);
/* RFC 3339 of Unix seconds, "never" for 0. */
void report_time(struct buf *out, uint64_t then);

/* "ready" and so on, of enum shm_worker_state. */
const char *report_state(int state);

/* --- report_redis.c ------------------------------------------------------ */

struct writer;

/* Member "redis". */
void report_redis(
    struct writer *w, const struct shm *s, const struct config *c);
/* The same for people. */
void report_redis_text(
    struct buf *out, const struct shm *s, const struct config *c);
typedef void report_say(void *ctx, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What is wrong with it, each a sentence. */
void report_redis_problems(
    const struct shm *s, const struct config *c, report_say *say, void *ctx);

/* --- report_upgrade.c ---------------------------------------------------- */

/* The last upgrade, as members of an open object, and as lines; now in Unix
 * seconds. */
void report_upgrade_json(struct writer *w, const struct shm *s);
void report_upgrade_text(struct buf *out, const struct shm *s, uint64_t now);

/* --- report_tls.c -------------------------------------------------------- */

/* Members of `ocppctl tls`. expiring_ms: also lists identities whose client
 * certificate ends within this time; 0 lists none. */
void report_tls(struct writer *w, const struct shm *s, uint64_t expiring_ms);
void report_tls_text(
    struct buf *out, const struct shm *s, uint64_t expiring_ms);
void report_tls_problems(
    const struct shm *s, const struct config *c, report_say *say, void *ctx);

/* --- metrics.c ----------------------------------------------------------- */

/* `ocppctl stats`; pattern as of fnmatch(3) over names, NULL for all. False
 * if it matches none. */
bool metrics_text(const struct shm *s, const char *pattern, struct buf *out);
bool metrics_json(const struct shm *s, const char *pattern, struct buf *out);
/* /metrics, in the text format of Prometheus 0.0.4. */
void metrics_prometheus(const struct shm *s, struct buf *out);
/* The process_ metrics, in the same format. In the admin process only: it opens
 * files. */
void metrics_processes(const struct shm *s, struct buf *out);
/* The head of a metric (name without ocppd_), and text as it may stand in a
 * label. */
void metrics_put_head(
    struct buf *out, const char *name, const char *type, const char *help);
void metrics_put_label(struct buf *out, const char *text);
/* Connected charge points by version, vendor and model, in the same format. */
void metrics_models(const struct shm *s, struct buf *out);
/* The table as mdoc(7), for ocppd-stats(7). */
void metrics_put_manual(struct buf *out);

/* Reads every value of all workers, added up. */
void metrics_sum(const struct shm *s, struct stats *sum);

#endif
