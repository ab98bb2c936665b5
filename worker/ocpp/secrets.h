/*
 * secrets: hides the parts of a message that must not be in events, taps and
 * logs.
 *
 * Passwords, keys and PINs are replaced by "***". Which values these are is
 * marked in the message schemas (ocpp16.schema explains the marks). The walk
 * goes by the names of members, without the schema of the message. So the same
 * secrets are hidden in a refused frame, or in an answer that belongs to no
 * CALL. Pure.
 */
#ifndef WORKER_OCPP_SECRETS_H
#define WORKER_OCPP_SECRETS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "ocpp/json.h"

/* Appends value i as json_put() does, without its secrets. If there are any,
 * white space between tokens is omitted. */
void secrets_put(const struct json *j, uint32_t i, struct buf *out);

/* Bytes of the largest frame without its secrets. */
#define SECRETS_FRAME_MAX (32u << 20)

/* Appends a whole frame. If it is not JSON, it is cut at the first word that
 * may announce a secret. max: bytes after which writing may stop. */
void secrets_put_frame(
    struct buf *out, const char *text, size_t len, size_t max);

/* True if a member with this name may be a secret. */
bool secrets_is_field(const char *name, size_t len);

#endif
