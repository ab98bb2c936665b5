/*
 * http_refused: what the admin port refuses, counted and logged.
 *
 * The admin process counts by HTTP status, in any thread; once a second it
 * sends the sums to the master, which keeps them for `status` and the metrics
 * (report_http.c), and once a minute it logs a line.
 */
#ifndef MASTER_ADMIN_HTTP_REFUSED_H
#define MASTER_ADMIN_HTTP_REFUSED_H

#include <stdint.h>

#include "channel.h"
#include "shm.h"

/* One request, or with status 0 one connection that was cut because of the
 * limits. Other statuses than those of shm_http_status() are not counted. */
void http_refused_count(unsigned status, const uint64_t addr[2]);

/* Once a second, in one thread. channel: to the master. */
void http_refused_flush(int channel);

/* In the master: a datagram CHANNEL_http_refused. */
void http_refused_take(const struct channel_msg *m, const char *body);

#endif
