/*
 * http_hint: what is odd about credentials, for the operator: why a charge
 * point is refused. Pure; it never reveals a part of the key.
 */
#ifndef WORKER_NET_HTTP_HINT_H
#define WORKER_NET_HTTP_HINT_H

#include "net/http.h"

/* Why http_basic() found no password for this identity; static. */
const char *http_hint(
    struct http_span authorization, const char *identity, size_t identity_len);

#endif
