/*
 * version: chooses the OCPP version of a connection among those that the charge
 * point offers as subprotocols (OCPP-J 1.6 section 3.1.2).
 */
#ifndef WORKER_SESSION_VERSION_H
#define WORKER_SESSION_VERSION_H

#include <stdbool.h>
#include <stddef.h>

#include "net/http.h"
#include "ocpp/dialect.h"

/* False if there is no common version. *named is true if the charge point
 * offered *protocol, which the answer must repeat; otherwise it offered none,
 * and *protocol is unchanged. */
bool version_choose(const struct http_request *r, const char *identity,
    size_t len, enum dialect_number *protocol, bool *named);

#endif
