/*
 * json_members: the members of one JSON object, one after the other. Pure.
 *
 * For JSON that the workers write, so that the master can print it without a
 * JSON library. It checks nothing: in text that is no object it finds no
 * further member.
 */
#ifndef MASTER_CONTROL_JSON_MEMBERS_H
#define MASTER_CONTROL_JSON_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

struct json_member {
    const char *key; /* without quotes, escapes as they stand */
    size_t      key_len;
    const char *value; /* as it stands: a string with its quotes */
    size_t      value_len;
};

/* *at: 0 before the first one. */
bool json_next_member(
    const char *json, size_t len, size_t *at, struct json_member *m);
bool json_find_member(
    const char *json, size_t len, const char *key, struct json_member *m);

/* The value for people: a string without quotes and escapes (but no control
 * character), anything else as it stands. */
void json_put_value(struct buf *out, const struct json_member *m);

/* One line per member: key, aligned at column `width`, value. Nested
 * objects become indented lines. */
void json_put_lines(struct buf *out, const char *json, size_t len, int width);

#endif
