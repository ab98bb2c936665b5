/*
 * http_api: the requests of the HTTP API, by the table http.def. In the admin
 * process only; each in the thread of its connection, which may wait.
 */
#ifndef MASTER_ADMIN_HTTP_API_H
#define MASTER_ADMIN_HTTP_API_H

#include <microhttpd.h>

#include "buf.h"
#include "shm.h"

/* channel: to the master. */
void http_api_begin(const struct shm *s, int channel);

/* Answers a request of a path below /v1/, or of /openapi.json. */
enum MHD_Result http_api_answer(struct MHD_Connection *c, const char *url,
    const char *method, struct buf *body);

#endif
