/*
 * report: the state of the gateway as text and JSON, using only shared memory.
 *
 * The master and the admin process both use it. No function takes a lock or
 * changes shared memory. now: the wall clock in Unix seconds.
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

/* True if the gateway accepts new connections. */
bool report_ready(const struct shm *s);

/* conf_file NULL: none. */
void report_status(
    const struct shm *s, const char *conf_file, bool json, struct buf *out);
void report_workers(const struct shm *s, bool json, struct buf *out);

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
/* Reports the problems of the connection to Redis, each as a sentence. */
void report_redis_problems(
    const struct shm *s, const struct config *c, report_say *say, void *ctx);

/* --- report_http.c ------------------------------------------------------- */

/* What the admin port has refused: as members of an open object, as a line, and
 * as a metric; nothing if it is not there. */
void report_http_json(struct writer *w, const struct shm *s);
void report_http_text(struct buf *out, const struct shm *s, uint64_t now);
void report_http_metric(struct buf *out, const struct shm *s);

/* --- report_upgrade.c ---------------------------------------------------- */

/* Write the last upgrade as members of an open object, and as lines. */
void report_upgrade_json(struct writer *w, const struct shm *s);
void report_upgrade_text(struct buf *out, const struct shm *s, uint64_t now);

/* --- report_tls.c -------------------------------------------------------- */

/* Writes the members of `ocppctl tls`. expiring_ms: also lists identities whose
 * client certificate ends within this time; 0 lists none. */
void report_tls(struct writer *w, const struct shm *s, uint64_t expiring_ms);
void report_tls_text(
    struct buf *out, const struct shm *s, uint64_t expiring_ms);
/* The number of identities whose client certificate ends within this time, or
 * has ended. */
unsigned report_tls_expiring(const struct shm *s, uint64_t ms);
void     report_tls_problems(
        const struct shm *s, const struct config *c, report_say *say, void *ctx);

#endif
