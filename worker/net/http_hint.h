/*
 * http_hint: explains to the operator why the credentials of a charge point
 * were refused. Pure; a hint never contains a part of the key.
 */
#ifndef WORKER_NET_HTTP_HINT_H
#define WORKER_NET_HTTP_HINT_H

#include "net/http.h"

/* The reason why http_basic() found no password for this identity; a static
   text. */
const char *http_hint(
    struct http_span authorization, const char *identity, size_t identity_len);

#endif
