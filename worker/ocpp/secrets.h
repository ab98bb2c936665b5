/*
 * secrets: what of a message must not be seen by those that read events, taps
 * and logs.
 *
 * Passwords, keys and PINs are replaced by "***". Which values these are is
 * marked in the message schemas (ocpp16.schema explains the marks). A message
 * is walked without its schema, by the names of members: so a frame that was
 * refused, or an answer that belongs to no CALL, hides the same. Pure.
 */
#ifndef WORKER_OCPP_SECRETS_H
#define WORKER_OCPP_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "ocpp/json.h"

/* Appends value i as json_put() does, without its secrets. If there are any,
 * white space between tokens is left out. */
void secrets_put(const struct json *j, uint32_t i, struct buf *out);

/* Appends a whole frame, which may be no JSON: that ends at the first word
 * that may announce a secret. max: bytes that are needed. */
void secrets_put_frame(
    struct buf *out, const char *text, size_t len, size_t max);

/* May a member of this name be a secret? */
bool secrets_is_field(const char *name, size_t len);

#endif
