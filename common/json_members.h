/*
 * json_members: the members of one JSON object, one after the other. Pure.
 *
 * For JSON that this program has written: lines of the journal, and answers of
 * the workers. It does not validate: in text that is cut or is not an object,
 * it finds no further member. JSON from outside is read by worker/ocpp/json.h.
 */
#ifndef COMMON_JSON_MEMBERS_H
#define COMMON_JSON_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

struct json_member {
    const char *key; /* without its quotes; escapes are not decoded */
    size_t      key_len;
    const char *value; /* JSON text; a string includes its quotes */
    size_t      value_len;
};

/* The next member, and the first member with this key; false if there is none.
 * *at is 0 before the first call. *m points into json. */
bool json_members_next(
    const char *json, size_t len, size_t *at, struct json_member *m);
bool json_members_find(
    const char *json, size_t len, const char *key, struct json_member *m);

/* Writes the value for people to read: a string without quotes and escapes, but
 * never a control character; any other value as it is. */
void json_members_put_value(struct buf *out, const struct json_member *m);

/* One line per member: key, aligned at column `width`, value. Nested
 * objects become indented lines. */
void json_members_put_lines(
    struct buf *out, const char *json, size_t len, int width);

#endif
